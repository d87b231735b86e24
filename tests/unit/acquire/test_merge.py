"""Composites against numpy cell by cell."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from terrafine.acquire.merge import geomedian, mean_db, median, merge
from terrafine.errors import UsageError

DAYS = np.array([10, 20, 30, 40, 50])
ORDER = np.array([3, 1, 0, 2, 4])
CLEARNESS = np.broadcast_to(np.float32([0.6, 0.8, 0.5, 0.9, 0.1])[:, None, None], (5, 6, 7))


@pytest.fixture
def stack() -> np.ndarray:
    rng = np.random.default_rng(0)
    found = rng.uniform(0, 0.5, (5, 3, 6, 7)).astype(np.float32)
    hidden = rng.random((5, 6, 7)) < 0.4
    hidden[:, 0, 0] = True
    return np.where(hidden[:, None], np.float32(np.nan), found)


def test_the_median_is_numpys(stack: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(stack, axis=0)
    np.testing.assert_allclose(median(stack), expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["median", "geomedian", "best-clear"])
def test_count_and_date_state_what_was_clear(stack: np.ndarray, method: str) -> None:
    made = merge(method, stack, DAYS, CLEARNESS)
    clear = np.isfinite(stack[:, 0])
    np.testing.assert_array_equal(made[3], clear.sum(axis=0))
    assert np.isnan(made[[0, 1, 2, 4], 0, 0]).all()
    seen = made[3] > 0
    assert np.isin(made[4][seen] % 5, [0]).all()
    assert np.isfinite(made[:3, seen]).all()


def test_best_clear_takes_the_first_of_the_order_and_its_day(stack: np.ndarray) -> None:
    made = merge("best-clear", stack, DAYS, CLEARNESS)
    clear = np.isfinite(stack[:, 0])
    for y, x in np.ndindex(clear.shape[1:]):
        first = next((i for i in ORDER if clear[i, y, x]), None)
        if first is not None:
            np.testing.assert_array_equal(made[:3, y, x], stack[first, :, y, x])
            assert made[4, y, x] == DAYS[first]


def test_no_spectrum_has_a_smaller_sum_of_distances_than_the_geometric_median(stack: np.ndarray) -> None:
    made = geomedian(stack)

    def total(centre: np.ndarray) -> np.ndarray:
        return np.nansum(np.sqrt(((stack - centre) ** 2).sum(axis=1)), axis=0)

    best = total(made)
    seen = np.isfinite(made[0])
    for step in np.random.default_rng(1).normal(0, 0.01, (20, 3, 1, 1)):
        assert (total(made + step)[seen] >= best[seen] - 1e-4).all()


def test_the_geometric_median_of_a_cell_does_not_depend_on_its_neighbours(stack: np.ndarray) -> None:
    whole = geomedian(stack)
    for column in range(stack.shape[3]):
        np.testing.assert_array_equal(geomedian(stack[..., column : column + 1])[..., 0], whole[..., column])


def test_best_clear_may_rank_each_cell_for_itself(stack: np.ndarray) -> None:
    clearness = np.array(CLEARNESS)
    clearness[0, :, :3] = 1.0
    made = merge("best-clear", stack, DAYS, clearness)
    first = np.isfinite(stack[0, 0, :, :3])
    np.testing.assert_array_equal(made[4, :, :3][first], DAYS[0])
    np.testing.assert_array_equal(made[4, :, 3:], merge("best-clear", stack, DAYS, CLEARNESS)[4, :, 3:])


def test_backscatter_is_averaged_as_power() -> None:
    stack = np.array([-10.0, -20.0, np.nan], np.float32)[:, None]
    assert mean_db(stack)[0] == pytest.approx(10 * np.log10((0.1 + 0.01) / 2), abs=1e-4)
    assert np.isnan(mean_db(np.full((2, 1), np.nan, np.float32)))[0]


def test_an_unknown_composite_is_refused(stack: np.ndarray) -> None:
    with pytest.raises(UsageError, match="expected median"):
        merge("mean", stack, DAYS, CLEARNESS)
