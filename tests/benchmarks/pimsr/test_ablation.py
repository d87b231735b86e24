"""The ablation of PIMSR: every variant is a recipe that differs by what it says; scores tell better from worse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.paths import DATA
from tests.support.surfaces import terrain

from benchmarks.pimsr import ablation
from terrafine.nn.system import System, TrainingBatch
from terrafine.nn.upsample import assemble, relief_of
from terrafine.systems import find_system
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.recipe import read_recipe


def test_every_variant_is_a_recipe_that_differs_from_the_base(tmp_path: Path) -> None:
    shipped = read_recipe(ablation.RECIPE, DemRecipe)
    digests = set()
    for name in ablation.VARIANTS:
        recipe = ablation.STUDY.write(name, 50, tmp_path / name / "recipe.toml")
        assert (recipe.optim.steps, recipe.optim.warmup) == (50, 5)
        assert dict(recipe.data.held_out) == dict(shipped.data.held_out)
        assert recipe.radar == shipped.radar
        digests.add(replace(recipe, name="").digest)
    assert len(digests) == len(ablation.VARIANTS)


@pytest.mark.parametrize("name", ["base", "no-pyramid", "no-gates"])
def test_the_network_of_a_variant_is_built_and_has_what_it_says(tmp_path: Path, name: str) -> None:
    recipe = ablation.STUDY.write(name, 50, tmp_path / "recipe.toml")
    build = find_system("pimsr").build
    assert build is not None
    parts = {n.split(".")[0] for n, _ in build(recipe.network, recipe.scale).named_parameters()}
    assert ("fine" in parts, "gates" in parts) == (name != "no-pyramid", name != "no-gates")


def batch() -> TrainingBatch:
    fine = torch.from_numpy(terrain(96).astype(np.float32))[None, None]
    ones = torch.ones_like(fine)
    guides = {"vv": ones * -9, "look_east": ones * 0.6, "look_north": ones * -0.1}
    return TrainingBatch(
        torch.nn.functional.avg_pool2d(fine, 4),
        fine,
        torch.full((1, 2, 24, 1), 120.0),
        4,
        {name: torch.cat((value, ones), dim=1) for name, value in guides.items()},
    )


def test_terms_are_nothing_for_the_truth_and_near_one_for_the_cubic_surface() -> None:
    def ratios(share: float) -> dict[str, float]:
        def predict(net: torch.nn.Module, b: TrainingBatch, settings: object) -> dict[str, torch.Tensor]:
            cubic = assemble(b.coarse, relief_of(b.coarse, 4, "backprojected"), 4)
            return {"elevation": share * b.fine + (1 - share) * cubic}

        pimsr = find_system("pimsr")
        assert pimsr.training is not None
        fake = System("fake", "", (4,), pimsr.adapt, pimsr.describe, training=replace(pimsr.training, predict=predict))
        found: dict[str, float] = ablation.term_ratios(fake, torch.nn.Identity(), [batch()])
        return found

    truth, half, cubic = ratios(1.0), ratios(0.5), ratios(0.0)
    for name in ("slope_angle", "aspect", "curvature", "flow"):
        assert truth[name] < 0.01 < half[name] < cubic[name] < 1
        assert cubic[name] > 0.5


@pytest.mark.shared_data
def test_the_real_hillside_tells_better_from_worse(tmp_path: Path) -> None:
    if not (DATA / "radar" / "myanmar_dem.tif").exists():
        pytest.skip(f"no real radar in {DATA}")
    real = ablation.Myanmar(DATA, tmp_path)
    assert real.dates == {"vv": 98, "vh": 98}
    truth, off = real.judge(real.dem.z), real.judge(real.dem.z + np.eye(*real.dem.z.shape))
    assert truth["rmse"] == truth["slope_to_bicubic"] == 0 < off["rmse"]
    by_hand, by_model = real.interpolated(), real.score("backprojected", guided=False)
    assert 0.8 < by_hand["to_bicubic"] < 0.95
    assert by_model["to_bicubic"] == pytest.approx(by_hand["to_bicubic"], abs=0.01)
