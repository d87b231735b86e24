"""Sat2DEM: relief from a single optical image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from terrafine.nn.system import System
from terrafine.nn.task import Training
from terrafine.systems.sat2dem import loss
from terrafine.systems.sat2dem.model import adapt, describe
from terrafine.systems.sat2dem.net import UNet
from terrafine.systems.sat2dem.sizes import refuses_size

__all__ = ["SYSTEM"]


_SEEN = (
    "five Landsat 8 scenes of the western United States, 2.9 million cells of 30 m, with late morning sun from the "
    "south-east; real sensor, one area against SRTM at 90 m"
)
_DOMAIN = {
    "red": {"0.05": 0.038, "0.25": 0.054, "0.50": 0.072, "0.75": 0.101, "0.95": 0.146},
    "green": {"0.05": 0.055, "0.25": 0.067, "0.50": 0.078, "0.75": 0.094, "0.95": 0.123},
    "blue": {"0.05": 0.066, "0.25": 0.074, "0.50": 0.082, "0.75": 0.096, "0.95": 0.115},
}  # of the training patches of recipes/relief.toml, by `HeightTask.domain`


def _build(network: Mapping[str, Any], scale: int = 1) -> nn.Module:
    return UNet(**network)


SYSTEM = System(
    name="sat2dem",
    summary="relief from red, green and blue: U-Net, Pix2Pix and DRPAN, with CBAM, GAM or SimAM",
    scales=(1,),
    verb="height",
    domain={"relief": _DOMAIN},
    seen={"relief": _SEEN},
    build=_build,
    describe=describe,
    adapt=adapt,
    training=Training(
        "height",
        loss.forward,
        loss.generator_losses,
        loss.predict,
        discriminators=loss.discriminators,
        discriminator_losses=loss.discriminator_losses,
        loss_table=loss.LOSS_TABLE,
        adversary_table=loss.ADVERSARY_TABLE,
        refuses_size=refuses_size,
    ),
    network=UNet,
)
