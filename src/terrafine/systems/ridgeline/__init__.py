"""Ridgeline: Terrafine's own DEM super-resolution, the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from terrafine.nn.elevation import ElevationModel, Relief
from terrafine.nn.export import with_engine
from terrafine.nn.losses import RELIEF_TABLE, relief_terms
from terrafine.nn.relief import ReliefNet
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, System, TrainingBatch, network_of
from terrafine.nn.task import Discriminators, Losses, Settings, Training
from terrafine.nn.upsample import assemble, relief_of

__all__ = ["SYSTEM"]


def _build(network: Mapping[str, Any], scale: int) -> ReliefNet:
    return ReliefNet(scale, **network)


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    net = network_of(net, ReliefNet)
    return ModelSpec(
        system="ridgeline",
        name="ridgeline",
        version="0",
        inputs=("elevation",),
        outputs=("elevation", "elevation_sigma"),
        scale=scale,
        halo=net.receptive_radius(),
        multiple=2 if net.deep_blocks else 1,
        tile=512,
        network=dict(network),
    )


def _kept(net: nn.Module, heights: Tensor, pixel_size_m: Tensor) -> Relief:
    relief, _, log_sigma = net(heights, pixel_size_m)
    return Relief(relief, log_sigma)


def _free(net: nn.Module, heights: Tensor, pixel_size_m: Tensor) -> Relief:
    """The same detail on cell means as plain cubic interpolation smooths them."""
    relief, _, log_sigma = net(heights, pixel_size_m)
    k = round(relief.shape[1] ** 0.5)
    return Relief(relief + relief_of(heights, k, "bicubic").mean(dim=1, keepdim=True), log_sigma)


def _adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> ElevationModel:
    return with_engine(ElevationModel(spec, net, _kept if options.consistency == "hard" else _free, options))


def _forward(net: nn.Module, batch: TrainingBatch, settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    out: tuple[Tensor, Tensor, Tensor] = net(batch.coarse, batch.pixel_size_m)
    return out


def _loss(
    networks: Discriminators, batch: TrainingBatch, out: tuple[Tensor, Tensor, Tensor], settings: Settings
) -> Losses:
    return relief_terms(*out, batch, settings["loss"])


def _predict(net: nn.Module, batch: TrainingBatch, settings: Settings) -> dict[str, Tensor]:
    relief, _, log_sigma = _forward(net, batch, settings)
    sigma = nn.functional.pixel_shuffle(log_sigma.exp(), batch.scale)
    return {"elevation": assemble(batch.coarse, relief, batch.scale), "elevation_sigma": sigma}


SYSTEM = System(
    name="ridgeline",
    summary="residual network on neighbour differences at coarse resolution, back-projected, with its own σ",
    scales=(2, 3, 4),
    build=_build,
    describe=_describe,
    adapt=_adapt,
    training=Training("dem", _forward, _loss, _predict, loss_table=RELIEF_TABLE),
    network=ReliefNet,
)
