"""Degrade a fine surface to the coarse grid, and project a surface back onto its observation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["block_mean", "consistency_residual", "project"]


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
    departure = coarse - block_mean(fine, k)
    if tolerance > 0:
        departure = departure - departure.clamp(-tolerance, tolerance)
    return fine + departure.repeat_interleave(k, dim=-2).repeat_interleave(k, dim=-1)


def consistency_residual(fine: Tensor, coarse: Tensor, k: int) -> Tensor:
    """Largest |block mean - observation|, metres; a scalar."""
    return torch.max(torch.abs(block_mean(fine, k) - coarse))
