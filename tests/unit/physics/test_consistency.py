"""The observation is kept: block means and projections."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from terrafine.physics.consistency import keep_observation


def block_mean(fine: Tensor, k: int) -> Tensor:
    return functional.avg_pool2d(fine, k)


def project(fine: Tensor, coarse: Tensor, k: int, *, tolerance: float = 0.0) -> Tensor:
    """`keep_observation` of a whole surface."""
    cells = coarse.repeat_interleave(k, dim=-2).repeat_interleave(k, dim=-1)
    relief = functional.pixel_unshuffle(fine - cells, k)
    return cells + functional.pixel_shuffle(keep_observation(relief, tolerance=tolerance), k)


def consistency_residual(fine: Tensor, coarse: Tensor, k: int) -> Tensor:
    return (block_mean(fine, k) - coarse).abs().max()


def surface(seed: int, k: int, size: int = 6) -> torch.Tensor:
    return torch.randn((2, 1, size * k, size * k), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 99), k=st.sampled_from([2, 3, 4]))
@settings(deadline=None, max_examples=20)
def test_a_projected_surface_has_the_observed_block_means(seed: int, k: int) -> None:
    fine, coarse = surface(seed, k), block_mean(surface(seed + 1, k), k)
    assert consistency_residual(project(fine, coarse, k), coarse, k) < 1e-12
    assert consistency_residual(fine, coarse, k) > 1e-3


@given(seed=st.integers(0, 99), k=st.sampled_from([2, 3, 4]), tolerance=st.floats(0.0, 2.0))
@settings(deadline=None, max_examples=20)
def test_projection_never_leads_away_from_a_consistent_truth(seed: int, k: int, tolerance: float) -> None:
    fine, truth = surface(seed, k), surface(seed + 1, k)
    projected = project(fine, block_mean(truth, k), k, tolerance=tolerance)
    assert (projected - truth).norm() <= (fine - truth).norm() + 1e-12
    assert consistency_residual(projected, block_mean(truth, k), k) <= tolerance + 1e-12


def test_projecting_twice_changes_nothing_more() -> None:
    fine, coarse = surface(5, 4), block_mean(surface(6, 4), 4)
    once = project(fine, coarse, 4)
    torch.testing.assert_close(project(once, coarse, 4), once)


def test_projection_passes_gradients_only_within_the_null_space() -> None:
    fine = surface(7, 2).requires_grad_()
    weight = surface(8, 2)
    (project(fine, block_mean(surface(9, 2), 2), 2) * weight).sum().backward()
    assert fine.grad is not None
    assert block_mean(fine.grad, 2).abs().max() < 1e-12
    assert fine.grad.abs().max() > 1e-3
