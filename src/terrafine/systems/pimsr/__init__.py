"""PIMSR: DEM super-resolution guided by Sentinel-1 backscatter, where there is any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from terrafine.errors import UsageError
from terrafine.nn.elevation import ElevationModel, Relief
from terrafine.nn.losses import RELIEF_TABLE, relief_terms
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, System, TrainingBatch, network_of
from terrafine.nn.task import Discriminators, Losses, Settings, Training, unfit_size
from terrafine.nn.upsample import assemble, relief_of
from terrafine.systems.pimsr.net import GuidedRelief, PimsrNet, direction_bands

__all__ = ["SYSTEM"]


def _build(network: Mapping[str, Any], scale: int) -> PimsrNet:
    return PimsrNet(scale, **network)


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    net = network_of(net, PimsrNet)
    return ModelSpec(
        system="pimsr",
        name="pimsr",
        version="0",
        inputs=("elevation",),
        guides=(*net.guides, *dict.fromkeys(band for name in net.guides for band in direction_bands(name))),
        outputs=("elevation", "elevation_sigma"),
        scale=scale,
        halo=net.receptive_radius(),
        multiple=2,
        tile=512,
        network=dict(network),
    )


def _forward(net: nn.Module, batch: TrainingBatch, settings: Settings) -> tuple[GuidedRelief, tuple[str, ...]]:
    """The network's output, and the names of its guides."""
    net = network_of(net, PimsrNet)
    return net(batch.coarse, batch.pixel_size_m, batch.guides), net.guides


def _loss(
    networks: Discriminators, batch: TrainingBatch, output: tuple[GuidedRelief, tuple[str, ...]], settings: Settings
) -> Losses:
    out, guides = output
    shares = zip(("dem", *guides), out.gates.detach().mean(dim=(0, 2, 3)), strict=True)
    terms = relief_terms(out.relief, out.detail, out.log_sigma, batch, settings["loss"])
    return terms | {f"share_{name}": share for name, share in shares}


def _kept(net: nn.Module, heights: Tensor, pixel_size_m: Tensor, guides: Mapping[str, Tensor] = {}) -> Relief:
    out = net(heights, pixel_size_m, guides)
    return Relief(out.relief, out.log_sigma)


def _free(net: nn.Module, heights: Tensor, pixel_size_m: Tensor, guides: Mapping[str, Tensor] = {}) -> Relief:
    """The same detail on cell means as plain cubic interpolation smooths them."""
    out = net(heights, pixel_size_m, guides)
    k = round(out.relief.shape[1] ** 0.5)
    return Relief(out.relief + relief_of(heights, k, "bicubic").mean(dim=1, keepdim=True), out.log_sigma)


def _adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> ElevationModel:
    if options.engine != "torch":
        raise UsageError(f"pimsr runs on torch; the engine {options.engine} cannot run it")
    return ElevationModel(spec, net, _kept if options.consistency == "hard" else _free, options)


def _predict(net: nn.Module, batch: TrainingBatch, settings: Settings) -> dict[str, Tensor]:
    out, _ = _forward(net, batch, settings)
    sigma = nn.functional.pixel_shuffle(out.log_sigma.exp(), batch.scale)
    return {"elevation": assemble(batch.coarse, out.relief, batch.scale), "elevation_sigma": sigma}


def _refuses_size(network: Mapping[str, Any], size: int, adversary: Mapping[str, Any]) -> str:
    return unfit_size(size, 2, why="shares are also found at half of the cells")


SYSTEM = System(
    name="pimsr",
    summary="ridgeline guided by Sentinel-1 too: per-pixel shares of heights, VV and VH on three scales",
    scales=(2, 4),
    build=_build,
    describe=_describe,
    adapt=_adapt,
    training=Training("dem", _forward, _loss, _predict, loss_table=RELIEF_TABLE, refuses_size=_refuses_size),
    network=PimsrNet,
)
