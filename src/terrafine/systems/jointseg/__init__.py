"""JointSeg: impervious surface at 1 m from a 10 m image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from terrafine.nn.system import System
from terrafine.nn.task import Training
from terrafine.systems.jointseg import loss
from terrafine.systems.jointseg.model import adapt, describe
from terrafine.systems.jointseg.net import JointSeg

__all__ = ["SYSTEM"]


_SEEN = {
    "red": {"0.05": 0.025, "0.25": 0.090, "0.50": 0.144, "0.75": 0.197, "0.95": 0.285},
    "green": {"0.05": 0.027, "0.25": 0.090, "0.50": 0.144, "0.75": 0.203, "0.95": 0.291},
    "blue": {"0.05": 0.025, "0.25": 0.091, "0.50": 0.150, "0.75": 0.210, "0.95": 0.304},
}  # Dubai, tiles 6 to 8, at 10 m by the sensor model, light and haze varied as in training


def _build(network: Mapping[str, Any], scale: int = 10) -> nn.Module:
    return JointSeg(**network)


SYSTEM = System(
    name="jointseg",
    summary="impervious surface at 1 m from a 10 m image: Prog-ESRGAN and a segmenter, trained jointly",
    scales=(4, 10),
    verb="map",
    domain={"jointseg": _SEEN},
    build=_build,
    describe=describe,
    adapt=adapt,
    training=Training(
        "segmentation",
        loss.forward,
        loss.network_losses,
        loss.predict,
        discriminators=loss.discriminators,
        discriminator_losses=loss.discriminator_losses,
        frozen=loss.frozen,
        rate_factors=loss.rate_factors,
        loss_table=loss.LOSS_TABLE,
        adversary_table=loss.ADVERSARY_TABLE,
    ),
    network=JointSeg,
)
