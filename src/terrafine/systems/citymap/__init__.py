"""CityMap: impervious surface and buildings from Sentinel-2, trained on the sensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from terrafine.nn.system import System
from terrafine.nn.task import Training
from terrafine.systems.citymap import loss
from terrafine.systems.citymap.boosting import boost, check_extras
from terrafine.systems.citymap.model import SCALE, adapt, describe, without
from terrafine.systems.citymap.net import CityMap

__all__ = ["SYSTEM"]


def _build(network: Mapping[str, Any], scale: int = SCALE) -> nn.Module:
    return CityMap(**network)


SYSTEM = System(
    name="citymap",
    summary="impervious surface and buildings on a 1 m grid from Sentinel-2: an index, boosted trees, a small net",
    scales=(SCALE,),
    verb="map",
    build=_build,
    describe=describe,
    adapt=adapt,
    without=without,
    training=Training(
        "scenes",
        loss.forward,
        loss.losses,
        loss.predict,
        prepare=boost,
        check_extras=check_extras,
        loss_table=loss.LOSS_TABLE,
    ),
    network=CityMap,
    seen={"citymap": "two thirds of Pisa and Montpellier, Sentinel-2 level 1C (2A simulated), two dates, 2015 to 2018"},
    resolved={"citymap": "of buildings coarser than 320 m, measured in Pisa"},
    combines_dates=True,
)
