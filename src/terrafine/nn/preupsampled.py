"""Networks on a pre-upsampled DEM: they take the bicubic surface and add a residual to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.elevation import ElevationModel, Relief
from terrafine.nn.export import with_engine
from terrafine.nn.losses import Edge, refuse_unknown
from terrafine.nn.precision import fixed_correlation
from terrafine.nn.spec import ModelSpec
from terrafine.nn.subcell import context_kernel, forward_differences, on_differences
from terrafine.nn.system import Options, System, TrainingBatch
from terrafine.nn.task import Discriminators, Losses, Settings, Training
from terrafine.nn.upsample import assemble, interpolation_radius, relief_of

__all__ = ["PreUpsampled", "preupsampled_system"]

_WINDOW = 15
_OUT = 0.1  # unit of the residual relative to the slopes at the input, so that both are near one


class PreUpsampled(nn.Module):
    """Network that adds a residual, computed from the bicubic surface, to that surface on the fine grid.

    The published networks scale heights to 0-1 by the minimum and maximum of a scene. A tile has neither, and its own
    minimum and maximum would cause seams. The input of the body is therefore the bicubic surface of the heights minus
    their 15×15 mean, divided by the pixel size. This is also affine in the heights, and independent of tile and sea
    level.

    Parameters
    ----------
    body
        Network from surface to residual, (n, 1, k·y, k·x) -> same.
    """

    above: Tensor

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        taps = context_kernel(_WINDOW)
        kernel = torch.from_numpy(on_differences(taps, taps, _WINDOW // 2)).float()
        self.register_buffer("above", -kernel, persistent=False)

    def forward(self, heights: Tensor, pixel_size_m: Tensor, scale: int) -> Tensor:
        """Compute the relief, that is subcell minus cell height.

        Parameters
        ----------
        heights
            Coarse heights in metres, (n, 1, y, x).
        pixel_size_m
            Metres along y and x, (n, 2, y, 1).
        scale
            Fine cells along a coarse cell, k.

        Returns
        -------
        Tensor
            (n, k², y, x), metres.
        """
        size = pixel_size_m.prod(dim=1, keepdim=True).sqrt()
        local = fixed_correlation(forward_differences(heights), self.above) / size
        surface = functional.pixel_shuffle(local + relief_of(local, scale, "bicubic"), scale)
        residual = functional.pixel_unshuffle(self.body(surface), scale) * (_OUT * size)
        out: Tensor = relief_of(heights, scale, "bicubic") + residual
        return out


def _adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> ElevationModel:
    """Model of the engine that runs the network."""

    def forward(network: nn.Module, heights: Tensor, pixel_size_m: Tensor) -> Relief:
        return Relief(network(heights, pixel_size_m, spec.scale))

    return with_engine(ElevationModel(spec, net, forward, options))


def _forward(net: nn.Module, batch: TrainingBatch, settings: Settings) -> Tensor:
    """Relief (n, k², y, x) in metres."""
    out: Tensor = net(batch.coarse, batch.pixel_size_m, batch.scale)
    return out


def _predict(net: nn.Module, batch: TrainingBatch, settings: Settings) -> dict[str, Tensor]:
    """Heights with the observation kept, as in a run of the model; (n, 1, k·y, k·x) m."""
    relief = _forward(net, batch, settings)
    return {"elevation": assemble(batch.coarse, relief - relief.mean(dim=1, keepdim=True), batch.scale)}


def _residual_loss(networks: Discriminators, batch: TrainingBatch, output: Tensor, settings: Settings) -> Losses:
    """Mean over patches of MSE / MSE of bicubic: squared error as published, with equal weight for each patch.

    `[loss]`: `edge`, coarse cells at a patch's border that are left out. Raises RecipeError for any other.
    """
    refuse_unknown(settings["loss"], ("edge",))
    k, edge = batch.scale, int(settings["loss"].get("edge", 0))
    cells = batch.coarse.double().repeat_interleave(k, dim=-2).repeat_interleave(k, dim=-1)
    truth = functional.pixel_unshuffle((batch.fine.double() - cells).float(), k)
    relief = output.float()
    floor = (0.002 * batch.pixel_size_m.mean(dim=(1, 2, 3)) / k).square()
    inner = slice(edge, -edge or None)
    error, plain = (
        (x - truth)[..., inner, inner].square().mean(dim=(1, 2, 3))
        for x in (relief, relief_of(batch.coarse, k, "bicubic"))
    )
    ratio = (error / (plain + floor)).mean()
    return {"total": ratio, "mse_to_bicubic": ratio}


def preupsampled_system(
    name: str,
    summary: str,
    body: type[nn.Module],
    radius: Callable[[Mapping[str, Any]], int],
    scales: tuple[int, ...] = (2, 3, 4),
) -> System:
    """Build a system whose network is `body(**network)` on the bicubic surface.

    Parameters
    ----------
    name
        Name of the system.
    summary
        Description of the system in one line.
    body
        Function from network arguments to the body of `PreUpsampled`.
    radius
        Function from network arguments to the receptive radius of the body in fine cells.
    scales
        Scales that the models of the system serve.

    Returns
    -------
    System
        The system, with its training for the task `dem`.
    """

    def build(network: Mapping[str, Any], scale: int) -> PreUpsampled:
        return PreUpsampled(body(**network))

    def describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
        around = -(-radius(network) // scale) + interpolation_radius(scale, "bicubic") + _WINDOW // 2 + 1
        return ModelSpec(
            system=name,
            name=name,
            version="0",
            inputs=("elevation",),
            outputs=("elevation",),
            scale=scale,
            halo=around,
            tile=128,
            network=dict(network),
        )

    return System(
        name=name,
        summary=summary,
        scales=scales,
        build=build,
        describe=describe,
        adapt=_adapt,
        training=Training("dem", _forward, _residual_loss, _predict, loss_table={"edge": Edge}),
        network=body,
    )
