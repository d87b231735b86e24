"""JointSeg: sealed ground at 1 m from a 10 m image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from terrafine.nn.system import System
from terrafine.nn.task import JointGame
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
    build=_build,
    describe=describe,
    adapt=adapt,
    joint=JointGame(
        build=_build,
        discriminators=loss.discriminators,
        make=loss.make,
        judge=loss.judge,
        please=loss.please,
        show=loss.show,
        shares=loss.shares,
    ),
)
