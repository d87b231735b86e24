"""The family of degradations does what its names say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terrafine.errors import RecipeError
from terrafine.training.dem.degrade import KERNELS, MARGIN, Degradation, Family, kernel, sample


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_keeps_a_plane_where_it_lies(name: str, k: int) -> None:
    side = (6 + 2 * MARGIN) * k
    y, x = np.mgrid[:side, :side] + 0.5
    coarse = Degradation(name)(torch.from_numpy(2 * y - 3 * x + 7), k, np.random.default_rng(0))
    cy, cx = (np.mgrid[:6, :6] + MARGIN + 0.5) * k
    np.testing.assert_allclose(coarse, 2 * cy - 3 * cx + 7, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_mean_is_the_block_mean(k: int) -> None:
    fine = np.random.default_rng(1).normal(size=((5 + 2 * MARGIN) * k,) * 2)
    inner = fine[MARGIN * k : -MARGIN * k, MARGIN * k : -MARGIN * k]
    mean, wide = (Degradation(n)(torch.from_numpy(fine), k, np.random.default_rng(0)) for n in ("mean", "gaussian"))
    np.testing.assert_allclose(mean, sample(inner, k), atol=1e-12)
    assert np.abs(wide.numpy() - sample(inner, k)).max() > 1e-3


@pytest.mark.parametrize("name", KERNELS)
def test_taps_sum_to_one_and_mirror(name: str) -> None:
    taps = kernel(name, 4)
    assert taps.sum() == pytest.approx(1)
    np.testing.assert_allclose(taps, taps[::-1])


def test_rounding_and_noise_are_as_stated() -> None:
    fine = torch.full((404, 404), 10.3, dtype=torch.float64)
    noisy = Degradation(noise_m=2.0)(fine, 2, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(2.0, rel=0.05)
    assert set(np.unique(Degradation(rounded=True)(fine, 2, np.random.default_rng(0)))) == {10.0}


def test_members_are_drawn_as_often_as_the_recipe_says() -> None:
    family = Family({"mean": 0.7, "gaussian": 0.3}, noise=0.5, noise_m=1.0, rounded=0.25)
    rng = np.random.default_rng(0)
    drawn = [family.draw(rng) for _ in range(4000)]
    assert np.mean([d.kernel == "mean" for d in drawn]) == pytest.approx(0.7, abs=0.03)
    assert np.mean([d.noise_m > 0 for d in drawn]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([d.rounded for d in drawn]) == pytest.approx(0.25, abs=0.03)
    assert {d.kernel for d in drawn} == {"mean", "gaussian"}


def test_unknown_kernels_are_refused() -> None:
    with pytest.raises(RecipeError, match="expected positive weights"):
        Family({"box": 1.0})
    with pytest.raises(RecipeError, match="no degradation kernel"):
        kernel("box", 4)
