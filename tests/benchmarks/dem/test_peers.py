"""The benchmarks of peers and variants: tiles leave no seam, every variant is a recipe that differs by what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.surfaces import cells, terrain

from benchmarks.dem import ablation, vdsr4dem
from terrafine.systems import find_system
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.recipe import read_recipe


class Nothing(torch.nn.Module):
    """Adds nothing, or a constant share of the range."""

    def __init__(self, share: float = 0.0) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, self.share)


def test_a_network_that_adds_nothing_leaves_the_interpolation_in_every_tile() -> None:
    coarse = terrain(128)[:, :90].astype(np.float32)
    inner = np.s_[15:-15, 15:-15]
    for reading, (before, _) in vdsr4dem.READINGS.items():
        if before is vdsr4dem.bicubic:
            fine, _ = vdsr4dem.predict(Nothing(), reading)(coarse, cells(128, 30.0))
            assert fine.shape == (384, 270)
            np.testing.assert_allclose(fine[inner], vdsr4dem.bicubic(coarse, 3)[inner], atol=2e-3)
    moved, _ = vdsr4dem.predict(Nothing(0.01), "bicubic, training data's range")(coarse, cells(128, 30.0))
    assert np.median(moved - vdsr4dem.bicubic(coarse, 3)) == pytest.approx(29.8, abs=0.01)  # a hundredth of 2980 m


def test_what_is_kept_averages_back_to_the_coarse_heights() -> None:
    coarse = terrain(128)[:60, :60]
    off = vdsr4dem.bicubic(coarse, 3) + 5
    assert np.abs(vdsr4dem.block_mean(off, 3) - coarse).max() > 4
    assert np.abs(vdsr4dem.block_mean(vdsr4dem.keep(off, coarse), 3) - coarse).max() < 0.05


def test_every_variant_is_a_recipe_that_differs_from_the_full_one(tmp_path: Path) -> None:
    shipped = read_recipe(ablation.RECIPE, DemRecipe)
    digests = set()
    for name in ablation.VARIANTS:
        recipe = ablation.STUDY.write(name, 50, tmp_path / name / "recipe.toml")
        assert (recipe.optim.steps, recipe.optim.warmup) == (50, 5)
        assert dict(recipe.data.held_out) == dict(shipped.data.held_out)
        digests.add(replace(recipe, name="").digest)
    assert len(digests) == len(ablation.VARIANTS)


@pytest.mark.parametrize("name", ["full", "wide", "no-context", "no-roughness"])
def test_the_network_of_a_variant_is_built_and_runs(tmp_path: Path, name: str) -> None:
    recipe = ablation.STUDY.write(name, 50, tmp_path / "recipe.toml")
    build = find_system("ridgeline").build
    assert build is not None
    net = build(recipe.network, recipe.scale)
    relief, *_ = net(torch.randn(1, 1, 24, 24), torch.full((1, 2, 24, 1), 30.0))
    assert relief.shape == (1, 16, 24, 24)
    assert relief.mean(dim=1).abs().max() < 1e-4
