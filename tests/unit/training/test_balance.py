"""Adaptive weights: each method against its formula, and a run that is interrupted goes on to the same weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.support.recipes import write_recipe

from terrafine.errors import RecipeError
from terrafine.nn.weights import digest
from terrafine.training.balance import Balance, Balancing
from terrafine.training.curve import draw_curve
from terrafine.training.start import train

TERMS = ("rmse", "slope")
LOSS = "[loss]\nrmse = 0.5\nslope = 0.25\n"


def test_uncertainty_settles_where_each_term_weighs_the_inverse_of_its_size() -> None:
    balance = Balance(Balancing("uncertainty", TERMS, rate=0.05), 0)
    assert balance.factors(0, {"rmse": 0.5, "slope": 4.0}) == {"rmse": 1.0, "slope": 1.0}
    for step in range(1, 600):
        factors = balance.factors(step, {"rmse": 0.5, "slope": 4.0})
    assert factors["rmse"] == pytest.approx(2.0, rel=1e-3)
    assert factors["slope"] == pytest.approx(0.25, rel=1e-3)


def test_uncertainty_goes_down_the_gradient_of_its_objective() -> None:
    balance = Balance(Balancing("uncertainty", TERMS, rate=0.01), 0)
    balance.state["log_variance"][:] = 0.3
    balance.factors(0, {"rmse": 0.9, "slope": 1.1})
    for s, value in zip(balance.state["log_variance"].tolist(), (0.9, 1.1), strict=True):

        def objective(s: float, value: float = value) -> float:
            return math.exp(-s) * value + s

        slope = (objective(0.3 + 1e-6) - objective(0.3 - 1e-6)) / 2e-6
        assert s == pytest.approx(0.3 - 0.01 * slope, abs=1e-9)


def test_a_value_gone_wild_moves_no_variance_far() -> None:
    balance = Balance(Balancing("uncertainty", TERMS, rate=0.01), 0)
    balance.factors(0, {"rmse": 1e9, "slope": 0.0})
    np.testing.assert_allclose(balance.state["log_variance"].numpy(), [0.01, -0.01])


def test_relobralo_is_its_formula() -> None:
    settings = Balancing("relobralo", TERMS, temperature=0.5, keep=0.9, remember=0.5)
    balance = Balance(settings, 3)
    rng = np.random.default_rng(0)
    history = rng.uniform(0.2, 1.0, (40, 2))
    factor, kept = np.ones(2), 0
    for step, now in enumerate(history):
        against = []
        for then in (history[0], history[max(0, step - 1)]):
            e = np.exp(now / (0.5 * then))
            against.append(2 * e / e.sum())
        stays = np.random.default_rng([3, step, 1]).random() < 0.5
        kept += stays
        factor = 0.9 * (factor if stays else against[0]) + 0.1 * against[1]
        got = balance.factors(step, dict(zip(TERMS, now.tolist(), strict=True)))
        np.testing.assert_allclose(list(got.values()), factor, rtol=1e-12)
    assert 0 < kept < 40
    assert abs(factor - 1).max() > 0.01


def test_relobralo_weighs_what_falls_least_most() -> None:
    balance = Balance(Balancing("relobralo", TERMS, keep=0.9, remember=0.0), 0)
    for step in range(50):
        factors = balance.factors(step, {"rmse": 0.98**step, "slope": 1.0})
    assert factors["slope"] > 1.5 > 0.5 > factors["rmse"]
    assert sum(factors.values()) == pytest.approx(2)


@pytest.mark.parametrize("method", ["uncertainty", "relobralo"])
def test_a_term_that_is_absent_stays_as_it_is(method: str) -> None:
    balance = Balance(Balancing(method, TERMS, remember=0.0), 0)
    balance.factors(0, {"rmse": 1.0, "slope": 1.0})
    before = {name: value.clone() for name, value in balance.state.items()}
    assert list(balance.factors(1, {"rmse": 0.4})) == ["rmse"]
    for name, value in balance.state.items():
        assert value[1] == before[name][1]
    assert any((value[0] != before[name][0]) for name, value in balance.state.items())


def test_what_cannot_be_balanced_is_refused() -> None:
    balance = Balance(Balancing("uncertainty", TERMS), 0)
    with pytest.raises(RecipeError, match="falls below 0"):
        balance.factors(0, {"rmse": -0.1})
    with pytest.raises(RecipeError, match="none of them"):
        balance.factors(0, {})


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('method = "luck"\nterms = ["rmse", "slope"]', "expected one of"),
        ('method = "relobralo"\nterms = ["rmse", "mae"]', r"\['mae'\] have no weight above 0"),
        ('method = "relobralo"\nterms = ["rmse"]', "two or more"),
        ('method = "relobralo"\nterms = ["rmse", "rmse"]', "each once"),
        ('method = "relobralo"\nterms = ["rmse", "slope"]\nkeep = 1.0', "below 1"),
        ('method = "relobralo"\nterms = ["rmse", "slope"]\ntemperature = 0', "above 0"),
        ('method = "uncertainty"\nterms = ["rmse", "slope"]\nrate = "slow"', "expected a number"),
        ('method = "uncertainty"', "missing keys"),
    ],
)
def test_a_balance_that_cannot_be_meant_is_refused(ground: Path, tmp_path: Path, table: str, says: str) -> None:
    recipe = balanced(tmp_path, table)
    with pytest.raises(RecipeError, match=says):
        train(recipe, data_root=ground, out=tmp_path / "out", threads=1)


def balanced(folder: Path, table: str, steps: int = 5) -> Path:
    recipe = write_recipe(folder / "r.toml", steps=steps)
    recipe.write_text(f"{recipe.read_text()}\n{LOSS}\n[balance]\n{table}\n")
    return recipe


@pytest.mark.parametrize("method", ["uncertainty", "relobralo"])
def test_interrupted_and_resumed_gives_the_same_weights(ground: Path, tmp_path: Path, method: str) -> None:
    recipe = balanced(tmp_path, f'method = "{method}"\nterms = ["rmse", "slope"]\nrate = 0.1\nkeep = 0.5')
    whole = train(recipe, data_root=ground, out=tmp_path / "whole", threads=1).weights

    def stop(step: int, total: int, line: dict[str, float]) -> None:
        if step == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(recipe, data_root=ground, out=tmp_path / "broken", threads=1, progress=stop)
    lines: list[dict[str, float]] = []
    resumed = train(
        recipe, data_root=ground, out=tmp_path / "broken", threads=1, progress=lambda s, t, line: lines.append(line)
    ).weights
    assert digest(resumed) == digest(whole)
    assert len(lines) == 2  # from the checkpoint of step 3 on
    last = json.loads((tmp_path / "whole" / "log.jsonl").read_text().splitlines()[-1])
    assert {k: last[k] for k in ("weight_rmse", "weight_slope")} == {
        k: lines[-1][k] for k in ("weight_rmse", "weight_slope")
    }
    assert last["weight_slope"] != 0.25
    assert "weight_mae" not in last


def test_the_total_counts_each_term_by_the_weight_that_is_logged(ground: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    train(
        balanced(tmp_path, 'method = "uncertainty"\nterms = ["rmse", "slope"]\nrate = 0.2'),
        data_root=ground,
        out=tmp_path / "out",
        threads=1,
        progress=lambda s, t, line: lines.append(line),
    )
    for line in lines:
        fixed = 0.5 * line["mae"] + 0.1 * line["sigma"]
        total = fixed + line["weight_rmse"] * line["rmse"] + line["weight_slope"] * line["slope"]
        assert line["total"] == pytest.approx(total, rel=1e-5)
    assert lines[-1]["weight_rmse"] != lines[0]["weight_rmse"] == 0.5


def test_the_picture_has_a_panel_of_weights_where_there_are_any(tmp_path: Path) -> None:
    def width(log: list[dict[str, float]]) -> int:
        draw_curve(log, tmp_path / "curve.png", "run")
        return int.from_bytes((tmp_path / "curve.png").read_bytes()[16:20], "big")

    plain = [{"step": i, "total": 1.0 / i, "to_bicubic": 0.8} for i in (1, 2)]
    assert width([line | {"weight_rmse": 0.5} for line in plain]) == pytest.approx(1.5 * width(plain), abs=2)
