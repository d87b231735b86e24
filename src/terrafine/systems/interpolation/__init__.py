"""Interpolation without weights, the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from terrafine.nn.elevation import ElevationModel, Relief
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, System
from terrafine.nn.upsample import METHODS, interpolation_radius, relief_of

__all__ = ["SYSTEM"]


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    method = str(network["method"])
    return ModelSpec(
        system="interpolation",
        name=method,
        version="1",
        inputs=("elevation",),
        outputs=("elevation",),
        scale=scale,
        halo=interpolation_radius(scale, method),
        tile=512,
        network=dict(network),
    )


def _adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> ElevationModel:
    method = str(spec.network["method"])

    def forward(network: nn.Module, heights: Tensor, pixel_size_m: Tensor) -> Relief:
        return Relief(relief_of(heights, spec.scale, method))

    return ElevationModel(spec, None, forward, options)


SYSTEM = System(
    name="interpolation",
    summary="nearest, bilinear, bicubic and back-projected bicubic, registration-exact",
    scales=(2, 3, 4),
    variants=tuple(METHODS),
    describe=_describe,
    adapt=_adapt,
)
