"""How cells depart from the product that is stated: each departure does what its name says, and is not in the truth."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from terrafine.errors import RecipeError
from terrafine.nn.losses import relief_terms
from terrafine.nn.system import TrainingBatch
from terrafine.systems import ridgeline2
from terrafine.training.dem.misfit import Misfit, MisfitFamily
from terrafine.training.dem.products import ProductDegradation
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.recipe import read_recipe

CELL = (30.0, 30.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(side: int) -> torch.Tensor:
    return torch.zeros((side, side), dtype=torch.float64)


def test_canopy_has_the_height_and_the_cover_that_are_stated() -> None:
    seen = Misfit(canopy_share=0.2, canopy_cover=0.25, canopy_cells=2.0).seen(flat(160), 4, rng(), 30.0)
    assert float((seen > 0).double().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(seen[seen > 0].median()) == pytest.approx(6.0, rel=0.1)
    assert float(seen.min()) == 0.0


def test_a_shift_moves_the_cells_and_not_the_truth() -> None:
    k, slope = 3, 2.0
    rows = torch.arange(26 * k, dtype=torch.float64)[:, None] * slope * torch.ones(26 * k, dtype=torch.float64)
    product = ProductDegradation(exact=False)
    still = product(rows, k, rng(), CELL)
    moved = replace(product, misfit=Misfit(shift_cells=(0.5, 0.0)))(rows, k, rng(), CELL)
    np.testing.assert_allclose(moved - still, -0.5 * k * slope, atol=1e-9)


def test_sampled_cells_hold_the_height_at_their_centre() -> None:
    fine = torch.from_numpy(rng(2).normal(size=(48, 48)))
    made = ProductDegradation(exact=False, misfit=Misfit(sampled=True))(fine, 3, rng(), CELL)
    np.testing.assert_allclose(made, fine[1::3, 1::3][6:-6, 6:-6], atol=1e-12)


def test_the_level_of_uneven_noise_varies_about_the_stated_one() -> None:
    level = Misfit(uneven=0.6).level((90, 90), rng(), torch.device("cpu"))
    assert isinstance(level, torch.Tensor)
    assert float(level.square().mean()) == pytest.approx(1.0)
    assert float(level.max() / level.min()) > 4.0
    assert Misfit().level((9, 9), rng(), torch.device("cpu")) == 1.0


def test_heavy_noise_has_more_outliers_than_a_normal_one() -> None:
    heavy, plain = (Misfit(heavy=h).white((200, 200), rng()) for h in (True, False))
    shares = [float(np.mean(np.abs(w) > 4 * w.std())) for w in (heavy, plain)]
    assert shares[0] > 10 * shares[1]


def test_the_network_is_told_other_numbers_than_the_true_ones() -> None:
    true = ProductDegradation(0.5, 0.05, 0.4, 1.0, 0.0, exact=False)
    stated = replace(true, misfit=Misfit(stated=(0.5, 0.1, -0.2, 0.3))).conditions(CELL)
    assert stated[:4] == pytest.approx([0.6, 0.05 * math.exp(0.5), 0.2, math.exp(0.3)])
    assert true.conditions(CELL)[:4] == pytest.approx([0.5, 0.05, 0.4, 1.0])


def test_block_means_get_voids_alone() -> None:
    drawn = [MisfitFamily(voids=0.5).draw(rng(i), noisy=False) for i in range(40)]
    assert all(replace(m, void=0.0) == Misfit() for m in drawn)
    assert 5 < sum(m.void > 0 for m in drawn) < 35


def test_departures_are_drawn_as_often_as_the_recipe_says() -> None:
    family, source = MisfitFamily(), rng()
    drawn = [family.draw(source, noisy=True) for _ in range(3_000)]
    assert np.mean([m.canopy_share > 0 for m in drawn]) == pytest.approx(family.canopy, abs=0.03)
    assert np.mean([m.heavy for m in drawn]) == pytest.approx(family.heavy, abs=0.03)
    assert np.mean([any(m.shift_cells) for m in drawn]) == pytest.approx(family.shifted, abs=0.03)
    assert np.std([m.stated[0] for m in drawn]) == pytest.approx(family.stated_noise, rel=0.1)
    assert max(abs(s) for m in drawn for s in m.shift_cells) <= family.shift_cells
    assert max(m.void for m in drawn) <= family.void_share


def test_voids_are_filled_and_named() -> None:
    ground = torch.from_numpy(np.add.outer(np.arange(30.0), np.arange(30.0)))
    filled, known = Misfit(void=0.2).voids(ground, rng())
    assert known is not None
    assert float(known.mean()) == pytest.approx(0.8, abs=0.02)
    assert torch.equal(filled[known == 1], ground[known == 1])
    assert torch.isfinite(filled).all()
    assert Misfit().voids(ground, rng())[1] is None


def test_what_lies_in_a_void_does_not_count() -> None:
    k, n = 2, 24
    fine = torch.from_numpy(rng(3).normal(size=(1, 1, n * k, n * k)).cumsum(-1)).float()
    coarse, known = torch.nn.functional.avg_pool2d(fine, k), torch.ones(1, 1, n, n)
    known[..., 8:12, 8:12] = 0
    relief, sigma = torch.zeros(1, k * k, n, n), torch.zeros(1, k * k, n, n)
    wrong = fine.clone()
    wrong[..., 16:24, 16:24] += 500.0

    def loss(truth: torch.Tensor, seen: torch.Tensor | None) -> dict[str, torch.Tensor]:
        batch = TrainingBatch(coarse, truth, torch.full((1, 2, n, 1), 30.0), k, known=seen)
        base = relief + 0.1 * torch.sin(torch.arange(k * k)).reshape(1, -1, 1, 1)
        return relief_terms(relief, relief - base, sigma, batch, {"edge": 2}, base=base)

    for name, value in loss(fine, known).items():
        torch.testing.assert_close(loss(wrong, known)[name], value)
    assert loss(wrong, None)["sigma"] > loss(fine, None)["sigma"] + 5
    torch.testing.assert_close(loss(fine, torch.ones(1, 1, n, n))["total"], loss(fine, None)["total"])


def test_departures_need_a_product_to_depart_from(tmp_path: Path) -> None:
    shipped = Path(ridgeline2.__file__).parent / "recipes" / "ridgeline2.toml"
    found = read_recipe(shipped, DemRecipe).misfit
    assert found is not None
    assert found.canopy == 0.3
    text = shipped.read_text(encoding="utf-8")
    path, start, end = tmp_path / "r.toml", text.index("[products]"), text.index("[misfit]")
    path.write_text(text[:start] + "[degrade]\nkernels = { mean = 1.0 }\n" + text[end:], encoding="utf-8")
    with pytest.raises(RecipeError, match="misfit"):
        read_recipe(path, DemRecipe)
