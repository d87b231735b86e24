from __future__ import annotations

import numpy as np
import pytest

from terrafine.errors import BandError
from terrafine.evaluation.elevation.uncertainty import NOMINAL, CoverageStats, stated_multiples

rng = np.random.default_rng(0)
SIGMA = rng.uniform(0.5, 4, 200_000)
ERROR = rng.normal(0, SIGMA)


def test_an_honest_sigma_covers_what_it_says() -> None:
    s = CoverageStats().add(ERROR, SIGMA).summary()
    assert s["coverage_68"] == pytest.approx(0.68, abs=0.005)
    assert s["coverage_90"] == pytest.approx(0.90, abs=0.005)
    assert s["mean_sigma"] == pytest.approx(SIGMA.mean())
    for point in s["reliability"]:
        assert point["observed"] == pytest.approx(point["nominal"], abs=0.005)


@pytest.mark.parametrize(("factor", "covered"), [(0.5, 0.381), (2.0, 0.953)])
def test_a_sigma_too_small_or_too_large_is_seen(factor: float, covered: float) -> None:
    s = CoverageStats().add(ERROR, factor * SIGMA).summary()
    assert s["coverage_68"] == pytest.approx(covered, abs=0.01)


def test_multipliers_replace_the_gaussian_ones() -> None:
    s = CoverageStats(multipliers={0.68: 2 * 0.99446}).add(ERROR, 0.5 * SIGMA).summary()
    assert s["coverage_68"] == pytest.approx(0.68, abs=0.005)
    assert s["coverage_90"] < 0.7


def test_the_summary_says_which_multiples_it_took() -> None:
    assert CoverageStats().summary()["multiples"] == "Gaussian"
    assert CoverageStats(multipliers={0.9: 1.9, 0.68: 1.0}).summary()["multiples"] == {"0.68": 1.0, "0.9": 1.9}


def test_a_tag_states_multiples_of_sigma() -> None:
    assert stated_multiples("0.68:1 0.90:1.9 0.95:2.4", "a.tif") == {0.68: 1.0, 0.9: 1.9, 0.95: 2.4}
    assert stated_multiples("", "a.tif") == {}


@pytest.mark.parametrize("text", ["0.9", "0.9:", "0.9:x", "90:1.9", "0.9:-1", "0.9:nan", "0.9:inf", "0.9:1:2"])
def test_a_tag_that_states_no_multiples_is_refused(text: str) -> None:
    with pytest.raises(BandError, match=r"a\.tif: tag SIGMA_COVERS"):
        stated_multiples(text, "a.tif")


def test_cells_without_sigma_are_left_out() -> None:
    s = CoverageStats().add(np.array([1.0, 1.0, 1.0, np.nan]), np.array([np.nan, 0.0, 2.0, 1.0])).summary()
    assert s["n"] == 1
    assert CoverageStats().summary()["coverage_90"] is None


def test_any_split_merges_to_the_whole() -> None:
    whole = CoverageStats().add(ERROR, SIGMA)
    parts = CoverageStats()
    for a, b in ((0, 10), (10, 10), (10, 150_000), (150_000, 200_000)):
        parts = parts.merge(CoverageStats().add(ERROR[a:b], SIGMA[a:b]))
    assert parts.n == whole.n
    np.testing.assert_array_equal(parts.within, whole.within)
    assert len(whole.summary()["reliability"]) == len(NOMINAL)
