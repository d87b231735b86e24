"""A relief's gain is what least squares says of the shapes that an anchor sees too, drawn to one where it sees few."""

from __future__ import annotations

import numpy as np
import pytest

from terrafine.raster.warp.relief_gain import ReliefGain, local_anomaly

RNG = np.random.default_rng(0)


def fitted(relief: np.ndarray, anchor: np.ndarray, known: np.ndarray | None = None, rows: int = 1000) -> ReliefGain:
    known = np.ones(relief.shape, bool) if known is None else known
    gain = ReliefGain(relief.shape)
    for top in range(0, len(relief), rows):
        at = slice(top, top + rows)
        gain.add(top, local_anomaly(relief, known)[at], local_anomaly(anchor, known)[at], known[at])
    return gain


def test_departures_take_planes_away_and_leave_voids_out() -> None:
    y, x = np.indices((12, 9)).astype(float)
    known = np.ones((12, 9), bool)
    np.testing.assert_allclose(local_anomaly(3 * y - 2 * x, known)[1:-1, 1:-1], 0, atol=1e-9)
    known[4, 4] = False
    bump = RNG.normal(size=(12, 9))
    wild = np.where(known, bump, 1e9)
    np.testing.assert_array_equal(local_anomaly(wild, known), local_anomaly(bump, known))
    assert local_anomaly(wild, known)[4, 4] == 0


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 1.8])
def test_the_factor_between_two_surfaces_is_found(factor: float) -> None:
    z = RNG.normal(size=(96, 96))
    lattice = fitted(z, factor * z).lattice()
    np.testing.assert_allclose(lattice, factor, atol=0.1)
    assert np.abs(lattice - 1).max() > 0.02 or factor == 1.0


def test_little_evidence_leaves_the_relief_as_it_is_and_none_gives_one() -> None:
    z = RNG.normal(size=(3, 3))
    assert 0.8 < fitted(z, 0 * z).lattice()[0, 0] < 1
    assert fitted(z, z, np.zeros((3, 3), bool)).lattice()[0, 0] == 1


def test_opposite_relief_is_silenced_and_none_is_more_than_doubled() -> None:
    z = RNG.normal(size=(64, 64))
    assert fitted(z, -z).lattice().max() == 0
    assert fitted(z, 9 * z).lattice().max() == 2


def test_the_gain_follows_the_place_and_the_strips_do_not_matter() -> None:
    z = RNG.normal(size=(32, 320))
    anchor = z * np.where(np.arange(320) < 160, 0.1, 1.5)
    whole, strips = fitted(z, anchor), fitted(z, anchor, rows=7)
    np.testing.assert_allclose(whole.lattice(), strips.lattice(), rtol=1e-12)
    fine = whole.rows(slice(0, 32), 2)
    assert fine.shape == (64, 640)
    assert fine[:, :200].max() < 0.4 and fine[:, -200:].min() > 1.2
    np.testing.assert_array_equal(fine[20:30], whole.rows(slice(10, 15), 2))
    assert np.abs(np.diff(fine, axis=1)).max() < 0.06


def test_what_is_told_of_the_gain_is_that_of_the_ground_that_is_known() -> None:
    relief = np.random.default_rng(5).normal(size=(160, 64))
    known = np.zeros(relief.shape, bool)
    known[:32] = True
    gain = ReliefGain(relief.shape)
    gain.add(0, relief, 0.3 * relief, known)
    assert float(str(gain).split()[0]) == pytest.approx(0.3, abs=0.06)
    assert float(str(gain).split()[-1].rstrip(")")) < 0.5
    assert str(ReliefGain((5, 5))).startswith("1.00")
