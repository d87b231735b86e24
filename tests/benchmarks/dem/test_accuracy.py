"""The benchmarks measure with code of their own; here it is held against the package's and against known answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.support.surfaces import cells, terrain

from benchmarks import common
from terrafine.evaluation.elevation.terrain import slope_degrees
from terrafine.raster.warp import resample


@pytest.mark.parametrize("k", [2, 3, 4])
def test_interpolation_is_in_register_a_ramp_stays_a_ramp(k: int) -> None:
    y, x = np.mgrid[0 : 60 * k, 0 : 60 * k].astype(float)
    ramp = 3 * x - 2 * y
    inner = np.s_[24 * k : -24 * k, 24 * k : -24 * k]
    for name, predict in common.interpolations(k).items():
        fine, sigma = predict(common.block_mean(ramp, k), cells(60))
        assert sigma is None
        # Only Keys' third-order kernel returns a ramp exactly; half a fine cell of slip would be 2.5 m.
        exact = "bicubic" in name and "a=" not in name
        np.testing.assert_allclose(fine[inner], ramp[inner], atol=1e-9 if exact else 1.2, err_msg=name)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_both_implementations_of_interpolation_agree(k: int) -> None:
    z = terrain(32)
    inner = np.s_[12 * k : -12 * k, 12 * k : -12 * k]
    np.testing.assert_allclose(common.bicubic(z, k)[inner], resample.upsample(z, k)[inner], atol=1e-9)
    theirs = resample.back_project(resample.upsample(z, k), z, k, rounds=10)
    np.testing.assert_allclose(common.back_projected(z, k)[inner], theirs[inner], atol=1e-3)
    lanczos = common.upsample(z, common.lanczos_taps(k))
    np.testing.assert_allclose(lanczos[inner], resample.upsample(z, k, "lanczos")[inner], atol=1e-9)


def test_both_implementations_of_slope_agree() -> None:
    z, size = terrain(48), np.stack([np.linspace(28, 31, 48), np.linspace(20, 22, 48)])
    np.testing.assert_allclose(common.horn_slope(z, size), slope_degrees(z, size), atol=1e-10)


def test_back_projection_returns_the_coarse_cells() -> None:
    z = terrain(40)
    departure = np.abs(common.block_mean(common.back_projected(z, 4), 4) - z)
    plain = np.abs(common.block_mean(common.bicubic(z, 4), 4) - z)
    assert departure.max() < 1e-3 * plain.max()


def dem(z: np.ndarray, valid: np.ndarray | None = None) -> object:
    return common.Dem("test", z, np.ones(z.shape, bool) if valid is None else valid, cells(len(z)))


def test_metrics_are_those_of_the_perturbation() -> None:
    z = terrain(64)
    scored = common.scored_cells(np.ones(z.shape, bool))
    assert scored.sum() == (64 - 16) ** 2
    assert all(v == 0 for v in common.metrics(z, dem(z), scored).values())
    raised = common.metrics(z + 2, dem(z), scored)
    assert (raised["rmse"], raised["mae"], raised["bias"]) == pytest.approx((2, 2, 2))
    assert raised["nmad"] == pytest.approx(0, abs=1e-9)
    noisy = common.metrics(z + np.random.default_rng(0).normal(0, 1, z.shape), dem(z), scored)
    assert all(noisy[k] > 0.5 for k in ("rmse", "mae", "nmad", "slope_rmse"))


def test_cells_near_a_void_are_not_scored() -> None:
    valid = np.ones((64, 64), bool)
    valid[30, 30] = False
    scored = common.scored_cells(valid)
    assert not scored[22:39, 22:39].any()
    assert scored[21, 30]
    assert scored[39, 30]


def test_coverage_counts_what_the_intervals_hold() -> None:
    z = terrain(128)
    scored = np.ones(z.shape, bool)
    fine = z + np.random.default_rng(1).normal(0, 2, z.shape)
    told = common.coverage(fine, np.full(z.shape, 2.0), dem(z), scored)
    assert told["coverage_68"] == pytest.approx(0.683, abs=0.01)
    assert told["coverage_90"] == pytest.approx(0.90, abs=0.01)

    spec = SimpleNamespace(calibration={"0.68": 0.5, "0.90": 4.0})
    calibrated = common.coverage(fine, np.full(z.shape, 2.0), dem(z), scored, spec)
    assert calibrated["coverage_68"] == pytest.approx(0.383, abs=0.01)
    assert calibrated["coverage_90"] > 0.99


def test_voids_weigh_nothing_in_the_coarse_cells() -> None:
    z, valid = np.full((8, 8), 5.0), np.ones((8, 8), bool)
    z[0, 0], valid[0, 0] = 9999.0, False
    valid[4:, 4:] = False
    coarse, size = common.coarse_of(dem(z, valid), 4)
    assert coarse.dtype == np.float32
    np.testing.assert_array_equal(coarse, 5.0)
    assert size.shape == (2, 2)
    assert size[0, 0] == 120.0


@pytest.mark.parametrize(("crs", "pitch", "top", "expected"), [
    ("EPSG:32633", 30.0, 4_000_000.0, (30.0, 30.0)),
    ("EPSG:4326", 1 / 3600, 60.0, (30.945, 15.514)),
    ("EPSG:3857", 30.0, 8_399_737.9, (15.0, 15.0)),
])  # fmt: skip
def test_ground_pixels_are_metres_on_the_ground(
    tmp_path: Path, crs: str, pitch: float, top: float, expected: tuple[float, float]
) -> None:
    path = tmp_path / "z.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 16, "width": 16, "crs": crs}
    with rasterio.open(path, "w", **profile, transform=from_origin(10.0, top, pitch, pitch)) as dst:
        dst.write(np.zeros((1, 16, 16), np.float32))
    size = common.read_dem(path).pixel_size_m
    assert size.shape == (2, 16)
    np.testing.assert_allclose(size[:, 0], expected, rtol=2e-3)


def test_a_padded_method_returns_what_the_bare_one_does_inside() -> None:
    z = terrain(64).astype(np.float32)
    bare = common.interpolations(4)["bicubic"]
    fine, _ = common.padded(bare, 4, multiple=7)(z, cells(64))
    assert fine.shape == (256, 256)
    np.testing.assert_allclose(fine[16:-16, 16:-16], bare(z, cells(64))[0][16:-16, 16:-16])


def test_ratios_are_geometric_means_over_files() -> None:
    own, base = {"a": {"rmse": 2.0}, "b": {"rmse": 1.0}}, {"a": {"rmse": 1.0}, "b": {"rmse": 8.0}}
    assert common.geometric_ratio(own, base, "rmse") == pytest.approx(0.5)
