"""DRN: the deep residual network of Jiao et al. 2020."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from terrafine.nn.preupsampled import PreUpsampled, adapt, predict, radius, residual_loss
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import System
from terrafine.systems.drn.net import DeepResidual

__all__ = ["SYSTEM"]


def _build(network: Mapping[str, Any], scale: int) -> PreUpsampled:
    return PreUpsampled(DeepResidual(**network))


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    return ModelSpec(
        system="drn",
        name="drn",
        version="0",
        inputs=("elevation",),
        outputs=("elevation",),
        scale=scale,
        halo=radius(int(network.get("layers", 30)), scale),
        tile=128,
        network=dict(network),
    )


SYSTEM = System(
    name="drn",
    summary="deep residual network on the bicubic DEM, 30 layers of 64 channels (Jiao et al. 2020)",
    scales=(2, 3, 4),
    build=_build,
    describe=_describe,
    adapt=adapt,
    loss=residual_loss,
    predict=predict,
)
