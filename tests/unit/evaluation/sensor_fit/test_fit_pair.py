"""The sensor model of a simulated pair is recovered: blur, noise by slope, correlation, rounding and the shift."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.rasters import write_surface
from tests.support.sensors import fractal, means, observed

from terrafine.errors import EmptyError, GridError, UsageError
from terrafine.evaluation.sensor_fit import fit_pair
from terrafine.raster.products import SensorModel
from terrafine.raster.read.source import open_source

K = 6  # fine cells per coarse cell
CELL = 30.0
SIDE = 104  # coarse cells


@pytest.fixture(scope="module")
def ground():
    return fractal(SIDE * K, relief=150.0)


def pair(tmp_path, coarse, reference, ratio, origin=(500_000.0, 4_000_000.0)):
    a = write_surface(tmp_path / "coarse.tif", coarse, cell=CELL, origin=origin)
    b = write_surface(tmp_path / "reference.tif", reference, cell=CELL / ratio)
    return open_source(a), open_source(b)


@pytest.mark.parametrize(
    ("psf", "flat", "slope", "correlation", "rounding"),
    [(0.5, 1.5, 4.0, 0.6, 1.0), (0.9, 0.6, 0.0, 1.2, 0.0), (0.0, 0.4, 1.0, 0.0, 0.25)],
)
def test_a_known_sensor_is_recovered_within_its_errors(tmp_path, ground, psf, flat, slope, correlation, rounding):
    made = {"psf": psf, "flat": flat, "slope": slope, "correlation": correlation, "rounding": rounding}
    coarse, reference = pair(tmp_path, observed(ground, K, cell=CELL, **made), means(ground, 2), 3)
    found = fit_pair(coarse, reference, draws=40)
    sensor, error = found.sensor, found.uncertainty
    assert sensor.psf_cells == pytest.approx(psf, abs=max(0.05, 2.5 * error.psf_cells))
    assert sensor.noise_m(0.2) == pytest.approx(flat + 0.2 * slope, rel=0.08)
    assert sensor.noise_slope_m == pytest.approx(slope, abs=max(0.5, 3 * error.noise_slope_m))
    assert sensor.correlation_cells == pytest.approx(correlation, abs=0.15)
    assert (sensor.rounding_m, sensor.exact) == (rounding, False)
    assert abs(found.shift.rows) < 0.03 and abs(found.shift.cols) < 0.03


def test_block_means_are_exact(tmp_path, ground):
    coarse, reference = pair(tmp_path, means(ground, K), means(ground, 2), 3)
    sensor = fit_pair(coarse, reference, draws=20).sensor
    assert sensor.exact and sensor.psf_cells < 0.1 and sensor.noise_m(0.2) < 0.05


def test_a_shift_is_found_and_does_not_blur(tmp_path, ground):
    moved = np.roll(ground, (2, -3), axis=(0, 1))  # a third of a cell south, half a cell west
    made = observed(moved, K, cell=CELL, psf=0.4, flat=0.5)
    found = fit_pair(*pair(tmp_path, made, means(ground, 2), 3), draws=20)
    assert (found.shift.rows, found.shift.cols) == (pytest.approx(-2 / K, abs=0.03), pytest.approx(0.5, abs=0.03))
    assert found.sensor.psf_cells == pytest.approx(0.4, abs=0.07)


def test_a_reference_at_the_same_posting_gives_upper_bounds_or_a_split(tmp_path, ground):
    made = observed(ground, K, cell=CELL, psf=0.3, flat=3.0, correlation=0.8)
    other = observed(ground, K, cell=CELL, flat=1.5, correlation=0.4, seed=5)
    coarse, reference = pair(tmp_path, made, other, 1)
    bound = fit_pair(coarse, reference, draws=20)
    assert bound.sensor.noise_flat_m == pytest.approx(np.hypot(3.0, 1.5), rel=0.1)
    assert any("upper bound" in note for note in bound.notes)
    known = SensorModel(0.0, 1.5, 0.0, 0.4, 0.0, exact=False)
    split = fit_pair(coarse, reference, reference_sensor=known, draws=20)
    assert split.sensor.noise_flat_m == pytest.approx(3.0, rel=0.08)
    assert split.sensor.correlation_cells == pytest.approx(0.8, abs=0.15)
    assert not any("upper bound" in note for note in split.notes)
    with pytest.raises(UsageError, match=r"states \d+ % of the variance .* another reference_product="):
        fit_pair(coarse, reference, reference_sensor=SensorModel(0.0, 3.5, 0.0, 0.4, 0.0, exact=False), draws=20)


def test_a_barely_finer_reference_has_a_wider_error_of_the_point_spread(tmp_path, ground):
    made = observed(ground, K, cell=CELL, psf=0.5, flat=1.0)
    near = fit_pair(*pair(tmp_path, made, means(ground, 3), 2), draws=20)
    far = fit_pair(*pair(tmp_path, made, means(ground, 1), 6), draws=20)
    assert near.uncertainty.psf_cells > 2 * far.uncertainty.psf_cells


def test_other_ground_no_overlap_and_a_coarser_reference_are_refused(tmp_path, ground):
    coarse, reference = pair(tmp_path, means(ground, K), fractal(SIDE * 2, relief=150.0, seed=9), 2)
    with pytest.raises(GridError, match="not identifiable"):
        fit_pair(coarse, reference, draws=20)
    away = (900_000.0, 4_000_000.0)
    with pytest.raises(GridError, match="does not overlap"):
        fit_pair(*pair(tmp_path, means(ground, K), means(ground, 2), 3, origin=away), draws=20)
    with pytest.raises(GridError, match="expected a finer reference"):
        fit_pair(*pair(tmp_path, means(ground, K), means(ground, 2 * K), 0.5), draws=20)
    corner = (500_000.0 + 90 * CELL, 4_000_000.0)
    with pytest.raises(EmptyError, match="share no window"):
        fit_pair(*pair(tmp_path, means(ground, K), means(ground, 2), 3, origin=corner), draws=20)
