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


def _build(network: Mapping[str, Any], scale: int = 10) -> nn.Module:
    return JointSeg(**network)


SYSTEM = System(
    name="jointseg",
    summary="sealed ground at 1 m from a 10 m image: Prog-ESRGAN and a segmenter, trained as one",
    scales=(4, 10),
    verb="map",
    domain={"jointseg": {"red": (0.015, 0.35), "green": (0.017, 0.36), "blue": (0.013, 0.37)}},
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
