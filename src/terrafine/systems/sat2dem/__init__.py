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

__all__ = ["SYSTEM"]


def _build(network: Mapping[str, Any], scale: int = 1) -> nn.Module:
    return UNet(**network)


SYSTEM = System(
    name="sat2dem",
    summary="relief from red, green and blue: U-Net, Pix2Pix and DRPAN, with CBAM, GAM or SimAM",
    scales=(1,),
    verb="height",
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
    ),
    network=UNet,
)
