"""Degrade a fine surface to the coarse grid, and project a surface back onto its observation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["block_mean", "consistency_residual", "keep_observation", "project"]


def block_mean(fine: Tensor, k: int) -> Tensor:
    """Mean of each k×k block; (n, c, k·y, k·x) -> (n, c, y, x), same unit. The sides must be multiples of k."""
    if fine.shape[-1] % k or fine.shape[-2] % k:
        raise ValueError(f"sides {tuple(fine.shape[-2:])} are no multiples of {k}")
    return functional.avg_pool2d(fine, k)


def project(fine: Tensor, coarse: Tensor, k: int, *, tolerance: float = 0.0) -> Tensor:
    """The surface nearest to `fine` (least squares) whose block means lie within `tolerance` of `coarse`.

    fine (n, 1, k·y, k·x), coarse (n, 1, y, x), both in metres. With tolerance 0 the observation is kept exactly
    (hard); above it, only the part of the departure beyond the tolerance is taken back (soft, for noisy inputs).
    An orthogonal projection on a convex set that holds the truth never takes a surface farther from the truth.
    """
    observed = coarse.repeat_interleave(k, dim=-2).repeat_interleave(k, dim=-1)
    relief = functional.pixel_unshuffle(fine - observed, k)
    return observed + functional.pixel_shuffle(keep_observation(relief, tolerance=tolerance), k)


def keep_observation(relief: Tensor, *, tolerance: float = 0.0) -> Tensor:
    """`project` in subcell form: relief (n, k², y, x) is subcell minus observed cell, and so its mean the departure.

    Working on the relief, no height above the datum enters, and float32 loses nothing on a summit.
    """
    departure = relief.mean(dim=1, keepdim=True)
    if tolerance > 0:
        departure = departure - departure.clamp(-tolerance, tolerance)
    return relief - departure


def consistency_residual(fine: Tensor, coarse: Tensor, k: int) -> Tensor:
    """Largest |block mean - observation|, metres; a scalar."""
    return torch.max(torch.abs(block_mean(fine, k) - coarse))
