"""The sensor keeps what it must: registration, the mean, and its modulation."""

from __future__ import annotations

import numpy as np
import pytest

from terrafine.errors import UsageError
from terrafine.physics.histogram import match_histogram, matching_curve
from terrafine.physics.sensor_model import Sensor, gaussian_rows, point_spread, psf_sigma, simulate

QUIET = Sensor(noise=0.0, step=0.0)
K = 10


def test_the_modulation_at_nyquist_is_the_one_asked_for() -> None:
    x = np.arange(40 * K)
    for mtf in (0.1, 0.2, 0.35):
        weights = gaussian_rows(40 * K, K, psf_sigma(K, mtf))
        wave = np.cos(np.pi * (x + 0.5 - K / 2) / K)  # half a wave to a cell, crests at the middles
        seen = (weights @ wave)[5:-5]
        assert np.abs(seen) == pytest.approx(mtf, rel=0.01)


def test_a_ramp_is_seen_at_the_middle_of_each_cell_and_a_constant_everywhere() -> None:
    ramp = np.broadcast_to(np.arange(30.0 * K), (1, 30 * K, 30 * K))
    seen = simulate(ramp, K, QUIET, np.random.default_rng(0))
    assert seen[0, 0, 4:-4] == pytest.approx((np.arange(30) * K + (K - 1) / 2)[4:-4], rel=1e-6)
    assert simulate(np.full((2, 60, 80), 0.3), K, QUIET, np.random.default_rng(0)) == pytest.approx(0.3)
    assert seen.shape == (1, 30, 30)


def test_noise_and_steps_are_those_stated() -> None:
    flat = np.full((1, 1000, 1000), 0.2)
    noisy = simulate(flat, K, Sensor(noise=0.01, step=0.0), np.random.default_rng(1))
    assert noisy.std() == pytest.approx(0.01, rel=0.05)
    stepped = simulate(flat + 0.00123, K, Sensor(noise=0.0, step=0.001), np.random.default_rng(1))
    assert np.unique(np.round(stepped, 6)).tolist() == [pytest.approx(0.201)]


def test_a_sensor_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        Sensor(mtf=1.0)
    with pytest.raises(UsageError, match="not consist of whole"):
        simulate(np.zeros((1, 15, 20)), K, QUIET, np.random.default_rng(0))


def test_tones_take_the_other_histogram_and_stay_in_order() -> None:
    rng = np.random.default_rng(0)
    mine, other = rng.normal(0.4, 0.1, 20_000), rng.gamma(4.0, 0.03, 20_000)
    curve = matching_curve(mine, other)
    found = match_histogram(mine, curve)
    assert np.quantile(found, [0.05, 0.5, 0.95]) == pytest.approx(np.quantile(other, [0.05, 0.5, 0.95]), rel=0.02)
    assert (np.diff(found[np.argsort(mine)]) >= 0).all()
    far = match_histogram(np.array([curve[0][-1] + 0.1, curve[0][0] - 0.1]), curve)
    assert far == pytest.approx([curve[1][-1] + 0.1, curve[1][0] - 0.1], rel=1e-5)
    assert match_histogram(mine, matching_curve(mine, mine)) == pytest.approx(mine, abs=1e-6)


@pytest.mark.parametrize("mtf", [0.1, 0.2, 0.35])
def test_samples_and_networks_take_their_weights_from_one_point_spread(mtf: float) -> None:
    taps = point_spread(K, mtf)
    row = gaussian_rows(21 * K, K, psf_sigma(K, mtf))[10]
    first = 10 * K - (len(taps) - K) // 2
    np.testing.assert_allclose(row[first : first + len(taps)], taps, rtol=1e-6)
    assert np.delete(row, np.s_[first : first + len(taps)]).max() == 0
    assert np.abs(point_spread(K, mtf + 0.02)[len(taps) // 2] - taps[len(taps) // 2]) > 1e-4
