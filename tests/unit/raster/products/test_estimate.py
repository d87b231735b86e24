"""A DEM of unknown origin: its spectrum shows noise that outweighs terrain, strong blur, or block means; or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.sensors import fractal, observed

from terrafine.raster.products import estimate_sensor, sample_windows
from terrafine.raster.products.estimate import Estimate
from terrafine.raster.read.array import ArraySource

K = 4
CELL = 30.0


@pytest.fixture(scope="module")
def ground():
    """Rough ground whose west is smooth, as plains beside hills are."""
    side = 400 * K
    z = fractal(side, beta=4.6, relief=250.0, seed=3)
    return 1000.0 + (z - z.mean()) * np.linspace(0.02, 1.0, side)[None, :]


def seen(values: np.ndarray) -> Estimate:
    source = ArraySource({"elevation": values}, np.full((2, values.shape[0]), CELL))
    return estimate_sensor(sample_windows(source), (CELL, CELL))


def test_block_means_are_exact(ground):
    found = seen(observed(ground, K, cell=CELL))
    assert found.verdict == "exact" and found.sensor.exact and found.sensor.noise_m(1.0) == 0.0


@pytest.mark.parametrize(("flat", "correlation"), [(1.5, 0.4), (3.0, 0.7)])
def test_noise_is_measured_where_it_outweighs_the_terrain(ground, flat, correlation):
    found = seen(observed(ground, K, cell=CELL, psf=0.6, flat=flat, correlation=correlation, rounding=0.5))
    assert found.verdict == "noisy" and not found.sensor.exact and found.step == 0.5
    assert found.sensor.noise_flat_m == pytest.approx(flat, rel=0.2)
    assert found.sensor.correlation_cells == pytest.approx(correlation, abs=0.2)


def test_strong_blur_is_seen(ground):
    found = seen(observed(ground, K, cell=CELL, psf=0.9))
    assert found.verdict == "blurred" and found.sensor.psf_cells == pytest.approx(0.9, abs=0.15)


def test_the_estimate_repeats(ground):
    values = observed(ground, K, cell=CELL, flat=1.5)
    assert seen(values) == seen(values.copy())


def test_whole_metres_are_never_taken_as_exact(ground):
    found = seen(observed(ground, K, cell=CELL, rounding=1.0))
    assert (found.step, found.sensor.exact) == (1.0, False)


@pytest.mark.parametrize("values", [np.full((20, 30), 5.0), np.full((300, 300), 7.0), np.full((300, 300), np.nan)])
def test_small_flat_and_empty_rasters_give_the_mild_default(values):
    found = seen(values)
    assert found.verdict == "unknown" and not found.sensor.exact
    assert found.sensor.noise_flat_m == pytest.approx(0.01 * CELL)


def test_windows_are_few_whole_and_always_the_same(ground):
    values = observed(ground, K, cell=CELL)
    values[100:110, 100:110] = np.nan
    source = ArraySource({"elevation": values}, np.full((2, values.shape[0]), CELL))
    first, again = sample_windows(source), sample_windows(source)
    assert 6 <= len(first) <= 30
    assert all(w.shape == (64, 64) and np.isfinite(w).all() for w in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
