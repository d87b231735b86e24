from __future__ import annotations

import numpy as np
import pytest

from terrafine.evaluation.elevation.consistency import ConsistencyStats


def test_a_kept_observation_departs_by_nothing() -> None:
    z = np.random.default_rng(0).normal(500, 90, (40, 40))
    s = ConsistencyStats().add(z, z).summary()
    assert (s["n"], s["bias"], s["rmse"], s["max_abs"], s["within"]) == (1600, 0.0, 0.0, 0.0, 1.0)


def test_a_departure_is_measured_where_it_is() -> None:
    z = np.zeros((10, 10))
    moved = z.copy()
    moved[3, 4] = -0.5
    s = ConsistencyStats().add(moved, z).summary()
    assert s["max_abs"] == 0.5
    assert s["bias"] == pytest.approx(-0.005)
    assert s["rmse"] == pytest.approx(0.05)
    assert s["within"] == pytest.approx(0.99)


def test_voids_are_left_out_and_splits_merge() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 50))
    a[7] = np.nan
    whole = ConsistencyStats().add(a, b).summary()
    split = ConsistencyStats().add(a[:20], b[:20]).merge(ConsistencyStats().add(a[20:], b[20:])).summary()
    assert whole["n"] == 49
    assert split == pytest.approx(whole)
    assert ConsistencyStats().summary()["rmse"] is None
