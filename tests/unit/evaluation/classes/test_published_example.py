"""The estimators give the numbers of the worked example in Olofsson et al. 2014, section 5."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.campaigns import design_of

from terrafine.campaign.sampling.adjusted import adjusted_statistics, stratified_total
from terrafine.evaluation.classes.sample import estimate

MATRIX = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Map by row, reference by column: deforestation, forest gain, stable forest, stable non-forest."""
PIXELS = {0: 200_000.0, 1: 150_000.0, 2: 3_200_000.0, 3: 6_450_000.0}
HECTARES = 10_000_000 * 0.09
PUBLISHED = {0: (21_158, 6_158), 1: (11_686, 3_756), 2: (285_770, 15_510), 3: (581_386, 16_282)}
"""Error-adjusted area of each class and the half of its 95 % interval, hectares."""


def example() -> tuple[np.ndarray, np.ndarray]:
    mapped = np.repeat(np.arange(4), MATRIX.sum(axis=1))
    return mapped, np.concatenate([np.repeat(np.arange(4), row) for row in MATRIX])


def test_areas_and_intervals_are_those_of_the_paper() -> None:
    mapped, label = example()
    found = estimate(mapped, label, mapped, PIXELS, HECTARES, [0, 1, 2, 3])
    for row in found["classes"]:
        area, half = PUBLISHED[row["value"]]
        assert row["area_m2"]["value"] == pytest.approx(area, abs=0.6)
        assert row["area_m2"]["interval"][1] - row["area_m2"]["value"] == pytest.approx(half, abs=1.5)
    assert found["classes"][0]["area_m2"]["standard_error"] / HECTARES == pytest.approx(0.0035, abs=5e-5)


def test_accuracies_are_those_of_the_paper() -> None:
    mapped, label = example()
    found = estimate(mapped, label, mapped, PIXELS, HECTARES, [0, 1, 2, 3])
    users = [(r["precision"]["value"], 1.96 * r["precision"]["standard_error"]) for r in found["classes"]]
    for (value, half), published in zip(users, ((0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)), strict=True):
        assert (value, half) == (pytest.approx(published[0], abs=0.005), pytest.approx(published[1], abs=0.005))
    producers = [r["recall"]["value"] for r in found["classes"]]
    assert producers == [pytest.approx(v, abs=0.005) for v in (0.75, 0.85, 0.93, 0.96)]
    overall = found["overall_accuracy"]
    assert overall["value"] == pytest.approx(0.95, abs=0.005)
    assert 1.96 * overall["standard_error"] == pytest.approx(0.02, abs=0.005)


def test_growth_of_a_campaign_is_estimated_by_the_same_formula() -> None:
    mapped, label = example()
    total, error = stratified_total((label == 0).astype(np.float64), mapped, {k: 900.0 * n for k, n in PIXELS.items()})
    assert total / 1e4 == pytest.approx(21_158, abs=0.6)
    assert 1.96 * error / 1e4 == pytest.approx(6_158, abs=1.5)


def test_gain_adjusted_in_a_campaign_is_that_of_the_paper() -> None:
    """Deforestation as what became impervious: the strata of a campaign of two epochs, the same counts and areas."""
    design, answers = design_of(MATRIX, [900.0 * n for n in PIXELS.values()])
    growth = adjusted_statistics(design, answers)["growth"][0]
    assert growth["gain_km2"]["value"] == pytest.approx(211.58, abs=0.006)
    low, high = growth["gain_km2"]["interval"]
    assert (high - low) / 2 == pytest.approx(61.58, abs=0.015)
