from __future__ import annotations

import numpy as np
import pytest

from terrafine.evaluation.bootstrap import interval, resample_weights
from terrafine.evaluation.elevation.errors import ErrorStats
from terrafine.evaluation.elevation.strata import (
    SLOPE_EDGES,
    BlockSums,
    Strata,
    band_of,
    band_step,
    classify,
)


def test_classes_are_closed_below_and_the_last_on_both_sides() -> None:
    v = np.array([-1.0, 0.0, 1.99, 2.0, 45.0, 90.0, 90.1, np.nan])
    assert classify(v, SLOPE_EDGES).tolist() == [-1, 0, 0, 1, 6, 6, -1, -1]


def test_bands_are_round_and_have_no_end() -> None:
    assert band_step(-3, 1234) == 200.0
    z = np.array([-250.0, -0.1, 0.0, 199.9, 200.0, 8000.0, np.nan])
    bands = Strata().add(z[:6], z[:6] - 1, band_of(z, 200.0)[:6]).by_bands(200.0)
    assert [(b["lower"], b["n"]) for b in bands] == [(-400, 1), (-200, 1), (0, 2), (200, 1), (8000, 1)]
    assert band_of(z, 200.0)[6] == -1


def test_strata_split_the_cells_and_merge_back_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    c, r, k = rng.normal(size=500), rng.normal(size=500), rng.integers(-1, 4, 500)
    whole = Strata().add(c, r, k)
    split = Strata().add(c[:123], r[:123], k[:123]).merge(Strata().add(c[123:], r[123:], k[123:]))
    assert sorted(whole.parts) == [0, 1, 2, 3]
    for key, stats in whole.parts.items():
        alone = ErrorStats().add(c[k == key], r[k == key]).summary()
        for got in (stats.summary(), split.parts[key].summary()):
            assert got["n"] == alone["n"]
            assert got["rmse"] == pytest.approx(alone["rmse"], rel=1e-12)
            assert got["le90"] == alone["le90"]


def test_records_carry_bounds_and_names() -> None:
    s = Strata().add(np.zeros(4), np.ones(4), np.array([0, 0, 2, -1]))
    by_edges = s.by_edges(SLOPE_EDGES, "°")
    assert [(b["label"], b["lower"], b["upper"], b["n"]) for b in by_edges] == [
        ("0–2°", 0.0, 2.0, 2),
        ("5–10°", 5.0, 10.0, 1),
    ]
    assert [b["label"] for b in s.by_class({2: "forest"})] == ["0", "forest"]


def test_block_sums_give_the_plain_statistics_at_weight_one_in_any_split() -> None:
    e = np.random.default_rng(1).normal(1, 3, (70, 50))
    valid = np.random.default_rng(2).random((70, 50)) > 0.2
    whole, split = BlockSums((70, 50), 16), BlockSums((70, 50), 16)
    whole.add(e, valid, 0, 0)
    for a, b in ((0, 33), (33, 70)):
        split.add(e[a:b, :20], valid[a:b, :20], a, 0)
        split.add(e[a:b, 20:], valid[a:b, 20:], a, 20)
    np.testing.assert_allclose(split.sums, whole.sums, rtol=1e-12)
    got = whole.statistics(np.ones((1, whole.sums.shape[1])))
    assert got["rmse"][0] == pytest.approx(np.sqrt(np.mean(e[valid] ** 2)))
    assert got["bias"][0] == pytest.approx(e[valid].mean())
    assert got["mae"][0] == pytest.approx(np.abs(e[valid]).mean())
    assert got["sd"][0] == pytest.approx(e[valid].std())


def test_the_interval_of_white_noise_is_the_textbook_one() -> None:
    e = np.random.default_rng(3).normal(0, 2, (320, 320))
    b = BlockSums(e.shape, 20)
    b.add(e, np.ones(e.shape, bool), 0, 0)
    weights = resample_weights(b.sums[0] > 0, 2000, seed=0)
    low, high = interval(b.statistics(weights)["bias"])
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 320, rel=0.15)


def test_correlated_errors_widen_the_interval() -> None:
    coarse = np.random.default_rng(4).normal(0, 2, (16, 16))
    e = np.kron(coarse, np.ones((20, 20)))
    b = BlockSums(e.shape, 20)
    b.add(e, np.ones(e.shape, bool), 0, 0)
    low, high = interval(b.statistics(resample_weights(b.sums[0] > 0, 2000, seed=0))["bias"])
    assert (high - low) / 2 == pytest.approx(1.96 * coarse.std() / 16, rel=0.15)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    occupied = np.array([True, False, True, True])
    a, b, c = (resample_weights(occupied, 50, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert (a[:, 1] == 0).all()
    assert (a.sum(axis=1) == 3).all()


def test_no_samples_no_interval() -> None:
    assert interval(np.array([np.nan, 1.0])) is None
