"""The PIMSR network as its authors' public code describes it, for comparison with `pimsr`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import DataError, UsageError
from terrafine.nn.elevation import ElevationModel, Relief
from terrafine.nn.losses import refuse_unknown
from terrafine.nn.precision import in_float32
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, System, TrainingBatch, network_of
from terrafine.nn.task import Discriminators, Losses, Settings, Training, unfit_size
from terrafine.nn.upsample import assemble, relief_of
from terrafine.physics.backscatter import simulate_db
from terrafine.schema.types import Weight
from terrafine.systems.pimsr_published.net import PATCH, POLARISATIONS, STRIDE, PublishedNet, log_power

__all__ = ["SYSTEM"]

SCALE = 4


def _build(network: Mapping[str, Any], scale: int) -> PublishedNet:
    if scale != SCALE:
        raise ValueError(f"scale = {scale}: expected {SCALE}")
    return PublishedNet(**network)


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    return ModelSpec(
        system="pimsr_published",
        name="pimsr-published",
        version="0",
        inputs=("elevation",),
        guides=POLARISATIONS,
        outputs=("elevation",),
        scale=scale,
        # A cell is in patches that begin on the lattice: none reaches further, and every tile has the same lattice.
        halo=PATCH,
        multiple=STRIDE,
        tile=128,
        network=dict(network),
    )


def _relief(net: nn.Module, heights: Tensor, pixel_size_m: Tensor, guides: Mapping[str, Tensor] = {}) -> Relief:
    residual = net(heights, pixel_size_m, guides)
    return Relief(relief_of(heights, SCALE, "bicubic") + functional.pixel_unshuffle(residual, SCALE))


def _adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> ElevationModel:
    if options.engine != "torch":
        raise UsageError(f"pimsr-published runs on torch; the engine {options.engine} cannot run it")
    return ElevationModel(spec, net, _relief, options)


def _forward(net: nn.Module, batch: TrainingBatch, settings: Settings) -> tuple[Tensor, PublishedNet]:
    """The fine surface (n, 1, 4y, 4x) in metres, and the network, whose units the loss uses."""
    net = network_of(net, PublishedNet)
    relief = _relief(net, batch.coarse, batch.pixel_size_m, batch.guides).relief
    return assemble(batch.coarse, relief, batch.scale), net


def _loss(
    networks: Discriminators, batch: TrainingBatch, output: tuple[Tensor, PublishedNet], settings: Settings
) -> Losses:
    """L1 of heights, in z-scores, + `sar` × L1 between the backscatter of the surface and of the truth.

    `[loss]`: `sar` (0.15; the public code has 0.1 to 0.2). Raises DataError for a batch without the radar's geometry,
    so that the term is never silently absent, and RecipeError for any other setting.
    """
    refuse_unknown(settings["loss"], ("sar",))
    fine, net = output
    height = ((fine - batch.fine) / net.unit(batch.pixel_size_m)).abs().mean()
    weight = settings["loss"].get("sar", 0.15)
    if weight == 0:
        return {"total": height, "l1": height}
    sar = _sar_term(net, fine, batch)
    return {"total": height + weight * sar, "l1": height, "sar": sar}


@in_float32
def _sar_term(net: PublishedNet, fine: Tensor, batch: TrainingBatch) -> Tensor:
    """Mean |simulated(fine) − simulated(truth)| in the network's units: z-scores of log(1 + power)."""
    parts = [batch.guides.get(name) for name in ("look_east", "look_north")]
    if any(part is None or not bool((part[:, 1] > 0).all()) for part in parts):
        raise DataError(
            "the SAR term needs the look of the radar in every patch; set [radar] drop = 0, or [loss] sar = 0"
        )
    east, north = (part[:, :1].mean(dim=(2, 3), keepdim=True) for part in parts if part is not None)
    incidence = torch.rad2deg(torch.asin(torch.hypot(east, north).clamp_max(1.0)))
    azimuth = torch.rad2deg(torch.atan2(east, north))
    pixel = batch.pixel_size_m.repeat_interleave(batch.scale, dim=2) / batch.scale
    ours, theirs = (log_power(simulate_db(z, pixel, incidence, azimuth)) for z in (fine, batch.fine))
    return (ours - theirs).abs().mean() / net.backscatter["vv"][1]


def _predict(net: nn.Module, batch: TrainingBatch, settings: Settings) -> dict[str, Tensor]:
    relief = _relief(net, batch.coarse, batch.pixel_size_m, batch.guides).relief
    return {"elevation": assemble(batch.coarse, relief - relief.mean(dim=1, keepdim=True), batch.scale)}


def _refuses_size(network: Mapping[str, Any], size: int, adversary: Mapping[str, Any]) -> str:
    return unfit_size(size, STRIDE, PATCH, f"the network reads tiles of at least {PATCH} cells")


SYSTEM = System(
    name="pimsr_published",
    summary="PIMSR as its public code describes it, for comparison: radar by concatenation, CBAM, no geometry",
    scales=(SCALE,),
    build=_build,
    describe=_describe,
    adapt=_adapt,
    training=Training("dem", _forward, _loss, _predict, loss_table={"sar": Weight}, refuses_size=_refuses_size),
    network=PublishedNet,
)
