"""Losses of elevation networks: relative errors of heights and slopes, the likelihood of σ, and physics terms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.nn.precision import in_float32
from terrafine.nn.system import TrainingBatch
from terrafine.nn.terms import SETTINGS, physics_terms
from terrafine.schema.types import Share, Weight, Within

__all__ = ["RELIEF_TABLE", "Edge", "refuse_unknown", "relief_terms"]

_FLOOR = 0.002  # of the fine pixel size: below it relief is noise, and its relative error is meaningless
_WEIGHTS = {"rmse": 0.5, "mae": 0.5, "slope": 0.5, "sigma": 0.1}
_KNOWN = (*_WEIGHTS, "edge", "relative", *SETTINGS)
Edge = Annotated[int, Within(0, 1_024)]
"""Coarse cells at a patch's border that a loss leaves out."""
RELIEF_TABLE: Mapping[str, Any] = {**dict.fromkeys(_KNOWN, Weight), "edge": Edge, "relative": Share}
"""What the `[loss]` of `relief_terms` may hold."""


def refuse_unknown(settings: Mapping[str, float], known: Collection[str]) -> None:
    """Reject names in `[loss]` that a loss does not know, so that a misspelt term is not ignored.

    Parameters
    ----------
    settings
        The recipe's `[loss]`.
    known
        Names that the loss understands.

    Raises
    ------
    RecipeError
        For any other name.
    """
    if unknown := sorted(set(settings) - set(known)):
        raise RecipeError(f"[loss] {unknown}: no such terms; known are {sorted(known)}")


@in_float32
def relief_terms(
    relief: Tensor,
    detail: Tensor,
    log_sigma: Tensor,
    batch: TrainingBatch,
    settings: Mapping[str, float],
    *,
    base: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute the losses of heights, first differences and σ, relative to the error of the consistent cubic surface.

    Each part is the mean over patches of the error divided by the error of the consistent cubic surface. This is the
    ratio that the tables report, so flat and steep ground have equal weight.

    Parameters
    ----------
    relief, detail, log_sigma
        Output of `terrafine.nn.relief.ReliefNet`, (n, k², y, x).
    batch
        Coarse and fine heights, metres; cells that are not `known` count in none of the parts but the physics terms.
    settings
        `rmse`, `mae` and `slope` weight the parts; `sigma` weights the Laplace likelihood, whose gradient reaches only
        the σ branch; `edge` is the number of coarse cells left out at a patch's border, where the network lacks
        surroundings; `relative` = 0 keeps metres. Further settings weight the terms of `terrafine.nn.terms`, 0 by
        default.
    base
        Consistent cubic surface in the same form, for a network whose relief is not the surface plus a detail without
        cell mean; by default it follows from the other two.

    Returns
    -------
    dict[str, Tensor]
        Scalars: `total` and its parts by name.

    Raises
    ------
    RecipeError
        For a setting that is none of these.
    """
    refuse_unknown(settings, _KNOWN)
    k, edge = batch.scale, int(settings.get("edge", 4))
    truth = functional.pixel_unshuffle((batch.fine.double() - _repeat(batch.coarse, k)).float(), k)
    relief, detail, log_sigma = relief.float(), detail.float(), log_sigma.float()
    # The cubic surface is the relief without the detail; both have a cell mean of 0.
    base = relief - (detail - detail.mean(dim=1, keepdim=True)) if base is None else base.float()
    error, plain = (_observed(_inner(x - truth, edge), batch.known, edge) for x in (relief, base.detach()))
    floor = _FLOOR * batch.pixel_size_m.mean(dim=(1, 2, 3)) / k
    scale = (plain.square().mean(dim=(1, 2, 3)) + floor.square()).sqrt()
    slope_scale = (_differences(functional.pixel_shuffle(plain, k)) + floor.square()).sqrt()
    if not settings.get("relative", 1.0):
        scale, slope_scale = torch.ones_like(scale), torch.ones_like(slope_scale)
    rmse = (_mean_square(error) + 1e-4 * floor.square()).sqrt() / scale
    mae = error.abs().mean(dim=(1, 2, 3)) / scale
    steps = _differences(functional.pixel_shuffle(error, k))
    slope = (steps + 1e-4 * floor.square()).sqrt() / slope_scale
    sigma = _inner(log_sigma, edge)
    fits = sigma - torch.log(scale)[:, None, None, None] + error.detach().abs() * torch.exp(-sigma)
    likelihood = _observed(fits, batch.known, edge).mean()
    parts = {"rmse": rmse.mean(), "mae": mae.mean(), "slope": slope.mean(), "sigma": likelihood}
    total = torch.stack([settings.get(n, _WEIGHTS[n]) * v for n, v in parts.items()]).sum()
    more = physics_terms(relief, base, batch, settings, edge)
    for name, term in more.items():
        total = total + settings[name] * term
    return {"total": total, **parts, **more}


def _repeat(x: Tensor, k: int) -> Tensor:
    return x.double().repeat_interleave(k, dim=-2).repeat_interleave(k, dim=-1)


def _inner(x: Tensor, edge: int) -> Tensor:
    return x[..., edge:-edge, edge:-edge] if edge else x


def _observed(x: Tensor, known: Tensor | None, edge: int) -> Tensor:
    """Inner cells (n, c, y, x), 0 where not observed, over the share observed, so that means are of observed cells."""
    if known is None:
        return x
    inside = _inner(known, edge)
    share = inside.mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-3)
    return x * inside / share


def _mean_square(x: Tensor) -> Tensor:
    return x.square().mean(dim=(1, 2, 3))


def _differences(x: Tensor) -> Tensor:
    """Mean square of forward differences along y and x, per patch."""
    return _mean_square(x[..., 1:, :] - x[..., :-1, :]) + _mean_square(x[..., 1:] - x[..., :-1])
