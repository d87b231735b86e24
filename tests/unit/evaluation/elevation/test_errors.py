from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.surfaces import terrain

from terrafine.evaluation.elevation.errors import ErrorStats, Moments
from terrafine.evaluation.nice import nice_step

STATISTICS = ("bias", "median", "mae", "rmse", "nmad", "sd", "le90", "le95")


def summary(candidate: np.ndarray, reference: np.ndarray) -> dict:
    return ErrorStats().add(candidate, reference).summary()


def test_a_copy_has_no_error() -> None:
    z = terrain()
    s = summary(z, z)
    assert all(s[k] == 0 for k in STATISTICS)
    assert s["psnr"] is None
    assert s["n"] == z.size


def test_a_raised_copy_has_its_rise_as_bias_and_no_spread() -> None:
    z = terrain()
    s = summary(z + 2.5, z)
    for k in ("bias", "median", "mae", "rmse", "le90", "le95"):
        assert s[k] == pytest.approx(2.5, abs=1e-9), k
    assert s["sd"] == pytest.approx(0, abs=1e-9)
    assert s["nmad"] == pytest.approx(0, abs=1e-9)
    assert s["psnr"] == pytest.approx(20 * math.log10((z.max() - z.min()) / 2.5))


def test_a_tilted_copy_has_the_statistics_of_a_uniform_distribution() -> None:
    z = terrain(200)
    tilt = np.broadcast_to(np.linspace(-10, 10, 200), z.shape)
    s = summary(z + tilt, z)
    assert s["bias"] == pytest.approx(0, abs=1e-9)
    assert s["mae"] == pytest.approx(5, rel=0.01)
    assert s["rmse"] == pytest.approx(10 / math.sqrt(3), rel=0.01)
    assert s["le90"] == pytest.approx(9, rel=0.01)
    assert s["le95"] == pytest.approx(9.5, rel=0.01)
    assert s["nmad"] == pytest.approx(1.4826 * 5, rel=0.01)


def test_a_scaled_copy_errs_in_proportion_to_height() -> None:
    z = terrain()
    s = summary(1.1 * z, z)
    assert s["bias"] == pytest.approx(0.1 * z.mean())
    assert s["sd"] == pytest.approx(0.1 * z.std())
    assert s["candidate_sd"] == pytest.approx(1.1 * s["reference_sd"])


def test_gaussian_noise_gives_the_gaussian_percentiles() -> None:
    z = terrain(400)
    s = summary(z + np.random.default_rng(5).normal(0, 3, z.shape), z)
    for key, expected in {"rmse": 3, "sd": 3, "nmad": 3, "mae": 2.394, "le90": 4.935, "le95": 5.880}.items():
        assert s[key] == pytest.approx(expected, rel=0.02), key
    assert s["beyond"][3] == {"threshold_m": 5.0, "fraction": pytest.approx(0.0956, abs=0.004)}


def test_rounding_to_metres_gives_one_over_root_twelve() -> None:
    z = terrain(400)
    s = summary(np.rint(z), z)
    assert s["rmse"] == pytest.approx(1 / math.sqrt(12), rel=0.01)
    assert s["max"] <= 0.5


@pytest.mark.parametrize("key", [*STATISTICS, "psnr", "min", "max"])
def test_every_statistic_tells_a_perturbed_copy_from_the_first(key: str) -> None:
    z = terrain()
    noise = np.random.default_rng(2).normal(0.3, 1, z.shape)
    first, second = summary(z + noise, z), summary(z + 1.3 * noise + 0.05, z)
    assert abs(first[key] - second[key]) > 0.02


def test_le90_is_the_percentile_of_the_absolute_error_not_of_the_spread() -> None:
    e = np.random.default_rng(3).normal(1, 2, 5000)
    s = summary(e, np.zeros_like(e))
    assert s["le90"] == pytest.approx(np.percentile(np.abs(e), 90), abs=1e-4)
    assert abs(s["le90"] - (np.percentile(e, 95) - np.percentile(e, 5))) > 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=5), st.integers(0, 3))
def test_any_split_merges_to_the_whole(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    c, r = rng.normal(1000, 200, 400), rng.normal(1000, 200, 400)
    whole = ErrorStats().add(c, r).summary()
    parts = [ErrorStats().add(a, b) for a, b in zip(np.split(c, sorted(cuts)), np.split(r, sorted(cuts)), strict=True)]
    left = ErrorStats()
    for p in parts:
        left = left.merge(p)
    right = ErrorStats()
    for p in reversed(parts):
        right = p.merge(right)
    for merged in (left.summary(), right.summary()):
        assert merged["histogram"] == whole["histogram"]
        for k in (*STATISTICS, "min", "max", "psnr", "candidate_sd", "reference_min"):
            assert merged[k] == pytest.approx(whole[k], rel=1e-12, abs=1e-9), k


def test_the_histogram_holds_every_cell_and_whole_metres_fall_inside_bins() -> None:
    e = np.rint(np.random.default_rng(4).normal(0, 8, 5000))
    h = summary(e, np.zeros_like(e))["histogram"]
    assert sum(h["counts"]) + h["below"] + h["above"] == 5000
    assert len(h["edges_m"]) == len(h["counts"]) + 1
    assert h["counts"][len(h["counts"]) // 2] == np.count_nonzero(e == 0)


def test_nothing_is_measured_on_no_cells() -> None:
    s = ErrorStats().summary()
    assert s["n"] == 0
    assert s["rmse"] is None
    assert Moments().sd is None
    assert ErrorStats().mse is None


@pytest.mark.parametrize(("wanted", "step"), [(0.9, 1.0), (1.0, 1.0), (1.2, 2.0), (3.0, 5.0), (70, 100), (0.013, 0.02)])
def test_a_nice_step_is_one_two_or_five(wanted: float, step: float) -> None:
    assert nice_step(wanted) == pytest.approx(step)
