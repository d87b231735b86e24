"""SRCNN: the shallow comparator of Jiao et al. 2020."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from terrafine.nn.preupsampled import PreUpsampled, adapt, predict, radius, residual_loss
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import System
from terrafine.systems.srcnn.net import RADIUS, Shallow

__all__ = ["SYSTEM"]


def _build(network: Mapping[str, Any], scale: int) -> PreUpsampled:
    return PreUpsampled(Shallow(**network))


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    return ModelSpec(
        system="srcnn",
        name="srcnn",
        version="0",
        inputs=("elevation",),
        outputs=("elevation",),
        scale=scale,
        halo=radius(RADIUS, scale),
        tile=128,
        network=dict(network),
    )


SYSTEM = System(
    name="srcnn",
    summary="three convolutions 9-1-5 on the bicubic DEM (Dong et al. 2014)",
    scales=(2, 3, 4),
    build=_build,
    describe=_describe,
    adapt=adapt,
    loss=residual_loss,
    predict=predict,
)
