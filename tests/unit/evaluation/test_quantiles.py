from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from terrafine.evaluation.quantiles import UNIT_M, Quantiles, key_of, value_of

values = arrays(np.float64, st.integers(1, 60), elements=st.floats(-9000, 9000, width=32))


def tolerance(x: float) -> float:
    return UNIT_M / 2 + 7.7e-6 * abs(x) + 1e-9


@settings(max_examples=60, deadline=None)
@given(values)
def test_a_bin_centre_is_within_half_a_bin_of_its_value(v: np.ndarray) -> None:
    away = np.abs(value_of(key_of(v)) - v)
    assert (away <= UNIT_M / 2 + 7.7e-6 * np.abs(v) + 1e-9).all()


def test_bins_sort_as_values_do_across_every_change_of_width() -> None:
    v = np.concatenate([s * np.geomspace(1e-5, 12_000, 20_000) for s in (-1, 1)])
    v.sort()
    assert (np.diff(key_of(v)) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(values, st.floats(0, 1))
def test_a_quantile_is_that_of_numpy_within_half_a_bin(v: np.ndarray, q: float) -> None:
    got, expected = Quantiles().add(v).quantile(q), float(np.quantile(v, q))
    assert got is not None
    assert abs(got - expected) <= tolerance(float(np.abs(v).max()))


@settings(max_examples=60, deadline=None)
@given(values)
def test_nmad_is_that_of_numpy_within_a_bin(v: np.ndarray) -> None:
    got, expected = Quantiles().add(v).nmad(), 1.4826 * np.median(np.abs(v - np.median(v)))
    assert got is not None
    assert abs(got - expected) <= 2 * 1.4826 * tolerance(float(np.abs(v).max()))


@settings(max_examples=60, deadline=None)
@given(values, values, values)
def test_merging_is_associative_and_equals_the_whole_exactly(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    qa, qb, qc = (Quantiles().add(x) for x in (a, b, c))
    left, right = qa.merge(qb).merge(qc), qa.merge(qb.merge(qc))
    whole = Quantiles().add(np.concatenate((c, a, b)))
    for q in (left, right):
        np.testing.assert_array_equal(q.keys, whole.keys)
        np.testing.assert_array_equal(q.counts, whole.counts)


def test_memory_is_bounded_by_the_bins_not_by_the_values() -> None:
    rng = np.random.default_rng(0)
    q = Quantiles()
    for _ in range(5):
        q = q.add(rng.normal(0, 3, 200_000))
    assert q.n == 1_000_000
    assert q.keys.size < 200_000


def test_whole_metres_stay_whole() -> None:
    q = Quantiles().add(np.array([-7.0, 0.0, 3.0, 100.0, 4096.0]))
    assert [q.quantile(p) for p in (0, 0.25, 0.5, 0.75, 1)] == [-7.0, 0.0, 3.0, 100.0, 4096.0]
    assert q.beyond(3.0) == pytest.approx(3 / 5)
    assert q.absolute().quantile(0) == 0.0


def test_a_histogram_counts_every_value_once() -> None:
    v = np.random.default_rng(1).normal(0, 5, 1000)
    counts, below, above = Quantiles().add(v).histogram(np.linspace(-6, 6, 13))
    assert sum(counts) + below + above == 1000
    np.testing.assert_allclose(counts, np.histogram(v, np.linspace(-6, 6, 13))[0], atol=1)


def test_an_empty_stream_has_no_quantile() -> None:
    q = Quantiles()
    assert (q.quantile(0.5), q.nmad(), q.beyond(1.0), q.n) == (None, None, None, 0)
