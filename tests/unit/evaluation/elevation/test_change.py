"""Elevation change: volumes are right, and their intervals hold the truth where errors are correlated (simulated)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from scipy.ndimage import gaussian_filter
from tests.support.campaigns import write_region
from tests.support.cli import terrafine as run_cli
from tests.support.rasters import write_surface

import terrafine
from terrafine.errors import EmptyError, GridError, UsageError
from terrafine.evaluation.elevation.change import (
    Correlation,
    fit_correlation,
    fit_spread,
    mean_covariance,
    nmad,
    volume_of,
)
from terrafine.evaluation.elevation.epochs import ZoneCells

PIXEL = (10.0, 10.0)


def _true_width() -> float:
    """Width of the 95 % interval of the pit's volume where the correlation of the simulated noise is known."""
    rows, cols = (v.ravel() for v in np.mgrid[0:20, 0:20])
    squared = (rows[:, None] - rows[None]) ** 2 + (cols[:, None] - cols[None]) ** 2
    pit = np.exp(-squared / (4 * 4.0**2)).mean()  # white noise under a Gaussian of 4 cells
    level = 4 * np.pi * 4.0**2 / (90 * 90 - 20 * 20)
    return float(2 * 1.96 * 0.3 * np.sqrt(2 * (pit + level)) * 200 * 200)


WIDTH_M3 = _true_width()


def field(rng: np.random.Generator, side: int = 90, reach: float = 4.0) -> np.ndarray:
    """Correlated noise of standard deviation 1."""
    noise = gaussian_filter(rng.normal(size=(side + 40, side + 40)), reach)[20:-20, 20:-20]
    return np.asarray(noise / noise.std())


def test_the_mean_covariance_is_that_of_all_pairs_and_sampling_agrees() -> None:
    correlation = Correlation((0.5, 0.3), (60.0, 200.0))
    rows, cols = (v.ravel() for v in np.mgrid[0:50, 0:50])
    error, weight = np.full(rows.size, 2.0), np.ones(rows.size)
    sampled = mean_covariance(rows, cols, weight, error, PIXEL, correlation)
    distance = np.hypot((rows[:, None] - rows[None]) * 10.0, (cols[:, None] - cols[None]) * 10.0)
    exact = float(4.0 * correlation.at(distance).mean())
    assert sampled == pytest.approx(exact, rel=0.03)
    few = slice(0, 400)
    small = mean_covariance(rows[few], cols[few], weight[few], error[few], PIXEL, correlation)
    assert small == pytest.approx(float(4.0 * correlation.at(distance[few, few]).mean()), rel=1e-9)
    none = mean_covariance(rows, cols, weight, error, PIXEL, Correlation((0.0, 0.0), (1.0, 1.0)))
    assert none == pytest.approx(4.0 / rows.size, rel=1e-6)


@pytest.mark.long
def test_intervals_hold_the_truth_with_correlated_errors_and_would_not_without() -> None:
    """Simulated noise: the standard error is the spread of means; one that takes cells as independent is not."""
    zone = np.zeros((90, 90), bool)
    zone[30:50, 30:50] = True
    held = naive = 0
    means, errors = [], []
    for seed in range(40):
        dz = 3.0 * field(np.random.default_rng(seed))
        sigma = np.full_like(dz, nmad(dz[~zone]))
        correlation = fit_correlation(dz / sigma, ~zone, PIXEL, seed)
        volume = volume_of(dz, sigma, zone, np.full(90, 100.0), PIXEL, correlation, 0.0, seed)
        assert volume is not None
        low, high = volume.interval_m3
        held += low <= 0 <= high
        naive += abs(volume.mean_m) <= 1.96 * sigma[0, 0] / 20
        means.append(volume.mean_m)
        errors.append(volume.mean_error_m)
    assert held >= 34
    assert naive <= 20
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.25)


def test_the_spread_follows_the_slope() -> None:
    rng = np.random.default_rng(1)
    slope = np.tile(np.linspace(0, 40, 100), (100, 1))
    spread = fit_spread(rng.normal(size=(100, 100)) * (1 + slope / 10), slope, np.ones((100, 100), bool))
    assert spread.at(np.array([35.0]))[0] > 2.5 * spread.at(np.array([2.0]))[0]
    assert np.isfinite(spread.at(np.array([np.nan, 80.0]))).all()


def _pair(folder: Path, noise: float) -> tuple[Path, Path, Path]:
    """Two epochs of hills with correlated noise in metres; a pit of 20 × 20 cells, 5 m deep, in the later one."""
    y, x = np.mgrid[0:90, 0:90]
    ground = 500 + 30 * np.sin(x / 9) * np.cos(y / 11)
    after = ground + 0.7 + noise * field(np.random.default_rng(2))
    after[30:50, 30:50] -= 5.0
    first = write_surface(folder / "a.tif", ground + noise * field(np.random.default_rng(3)), unit="m")
    second = write_surface(folder / "b.tif", after, unit="m")
    with rasterio.open(first) as file:
        crs, left, top = file.crs, file.bounds.left, file.bounds.top
    onto = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    west, south, east, north = onto.transform_bounds(left + 300, top - 500, left + 500, top - 300)
    return first, second, write_region(folder / "pit.geojson", (west, south, east, north), "pit")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, Path]:
    return _pair(tmp_path, 0.3)


def test_a_pit_has_its_volume_within_the_interval(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    first, second, zone = pair
    out = tmp_path / "change.tif"
    found = terrafine.measure_change(first, second, out, zones=zone, zone_field="name", coregister=False)
    pit = found.zones["pit"]
    low, high = pit.interval_m3
    assert low < -5.0 * 200 * 200 < high
    assert 0.75 * WIDTH_M3 < high - low < 1.5 * WIDTH_M3
    assert pit.effective < 200  # of some 400 cells
    with rasterio.open(out) as file:
        assert file.descriptions == ("elevation_change", "elevation_change_sigma")
        change, tags = file.read(1), file.tags(ns="TERRAFINE")
    assert np.median(change[:25]) == pytest.approx(0.0, abs=0.15)
    assert np.median(change[32:48, 32:48]) == pytest.approx(-5.0, abs=0.3)
    assert (tags["BEFORE"], tags["COREGISTERED"]) == ("a.tif", "no")
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["zones"]["pit"]["volume_m3"] == pytest.approx(pit.volume_m3)
    assert "pit" in (tmp_path / "change_zones.csv").read_text()


def test_a_zone_takes_memory_for_its_own_cells_and_has_the_volume_of_its_mask() -> None:
    rng = np.random.default_rng(5)
    change, sigma = rng.normal(size=(300, 200)), np.full((300, 200), 0.5)
    mask, size = np.zeros((300, 200), bool), np.linspace(90.0, 110.0, 300)
    mask[40:70, 20:50] = rng.random((30, 30)) < 0.7
    zone = ZoneCells.of(mask)
    assert zone.mask.nbytes <= 900 and zone.mask.base is None
    again = np.zeros_like(mask)
    again[zone.window] = zone.mask
    np.testing.assert_array_equal(again, mask)
    none = Correlation((0.0, 0.0), (1.0, 1.0))
    rows = zone.window[0]
    part = volume_of(change[zone.window], sigma[zone.window], zone.mask, size[rows], PIXEL, none, 0.1)
    assert part == volume_of(change, sigma, mask, size, PIXEL, none, 0.1)
    assert ZoneCells.of(np.zeros((3, 4), bool)).mask.size == 0


def test_a_shift_is_taken_off_before_the_difference(tmp_path: Path) -> None:
    """The noise is 0.05 m, for at 0.3 m the shift itself scatters by some 0.3 m to the east and 0.45 m to the north."""
    pytest.importorskip("xdem")
    first, second, zone = _pair(tmp_path, 0.05)
    with rasterio.open(second) as file:
        values = file.read(1)
    moved = write_surface(tmp_path / "moved.tif", values, unit="m", origin=(500_006, 4_000_004))
    found = terrafine.measure_change(first, moved, tmp_path / "c.tif", zones=zone)
    assert found.shift_m is not None
    assert found.shift_m[:2] == (pytest.approx(-6.0, abs=0.3), pytest.approx(-4.0, abs=0.3))
    assert found.zones["all"].volume_m3 == pytest.approx(-200_000, rel=0.1)


def test_no_change_without_zones_is_stated_against_the_median(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    found = terrafine.measure_change(pair[0], pair[1], tmp_path / "c.tif", coregister=False)
    assert any("median of all ground" in note for note in found.notes)


def test_another_level_is_noted(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    first, second, zone = pair
    with rasterio.open(second) as file:
        higher = write_surface(tmp_path / "higher.tif", file.read(1) + 40.0, unit="m")
    near = terrafine.measure_change(first, second, tmp_path / "near.tif", zones=zone, coregister=False)
    far = terrafine.measure_change(first, higher, tmp_path / "far.tif", zones=zone, coregister=False)
    assert not any("differs by" in note for note in near.notes)
    assert any("differs by +40." in note for note in far.notes)
    assert far.zones["all"].volume_m3 == pytest.approx(near.zones["all"].volume_m3, rel=1e-3)


def test_what_cannot_serve_is_refused_before_anything_is_written(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    first, second, _ = pair
    out = tmp_path / "c.tif"
    far = write_surface(tmp_path / "far.tif", np.ones((90, 90)), unit="m", origin=(900_000, 4_000_000))
    with pytest.raises(GridError, match="overlap"):
        terrafine.measure_change(first, far, out)
    with pytest.raises(UsageError, match="zone_field"):
        terrafine.measure_change(first, second, out, zone_field="name")
    everything = write_region(tmp_path / "all.geojson", (0.0, 30.0, 20.0, 50.0))
    with pytest.raises(EmptyError, match="stable ground"):
        terrafine.measure_change(first, second, out, zones=everything, coregister=False)
    assert not out.exists()


def test_the_command_line_prints_volume_and_interval(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    first, second, zone = pair
    done = run_cli("change", first, second, tmp_path / "c.tif", "--zones", zone, "--no-coregistration")
    assert done.exit_code == 0, done.output
    assert "all: -0.2" in done.output and "95 %" in done.output
