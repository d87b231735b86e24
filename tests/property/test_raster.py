"""Laws of reading, resampling and writing that hold for every raster, window and mask."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.support.rasters import heights, read_all, utm_grid, write_raster

from terrafine.raster.read.checks.integrity import read_directories
from terrafine.raster.read.source import open_source
from terrafine.raster.warp.resample import back_project, block_mean, fill_voids, repeat_mask, upsample
from terrafine.raster.write.cog_writer import write_cog
from terrafine.raster.write.overviews import halved

LAW = settings(max_examples=40, deadline=None)
FILES = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCALES = st.integers(1, 5)
METHODS = st.sampled_from(["nearest", "bilinear", "cubic", "lanczos"])
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
SLOPES = st.floats(-50, 50)


@st.composite
def masked(draw: st.DrawFn, factor: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A surface and a mask with at least one valid cell."""
    shape = tuple(n * factor for n in draw(SHAPES))
    z = draw(hnp.arrays(np.float64, shape, elements=st.floats(-400, 8000, width=32)))
    valid = draw(hnp.arrays(np.bool_, shape))
    valid[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = True
    return z, valid


@LAW
@given(SHAPES, SCALES, METHODS, SLOPES, SLOPES)
def test_block_means_of_an_upsampled_ramp_equal_the_ramp(
    shape: tuple[int, int], k: int, method: str, down: float, across: float
) -> None:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    ramp = 100 + down * y + across * x
    mean, valid = block_mean(upsample(ramp, k, method), None, k)  # type: ignore[arg-type]
    np.testing.assert_allclose(mean, ramp, atol=1e-8)
    assert valid.all()


@LAW
@given(st.tuples(st.integers(2, 9), st.integers(2, 9)), SCALES, st.sampled_from(["bilinear", "cubic"]), SLOPES, SLOPES)
def test_registration_is_exact_for_odd_and_even_scales(
    shape: tuple[int, int], k: int, method: str, down: float, across: float
) -> None:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    fy, fx = (np.mgrid[0 : shape[0] * k, 0 : shape[1] * k] + 0.5) / k - 0.5
    fine = upsample(100 + down * y + across * x, k, method)  # type: ignore[arg-type]
    np.testing.assert_allclose(fine, 100 + down * fy + across * fx, atol=1e-8)


@LAW
@given(masked(), SCALES, METHODS)
def test_values_under_the_mask_never_matter(case: tuple[np.ndarray, np.ndarray], k: int, method: str) -> None:
    z, valid = case
    other = np.where(valid, z, 1e9)
    np.testing.assert_array_equal(upsample(z, k, method, valid=valid), upsample(other, k, method, valid=valid))  # type: ignore[arg-type]
    np.testing.assert_array_equal(fill_voids(z, valid), fill_voids(other, valid))
    np.testing.assert_array_equal(fill_voids(z, valid)[valid], z[valid])


@LAW
@given(st.integers(1, 4).flatmap(lambda k: st.tuples(st.just(k), masked(k))))
def test_block_means_weigh_valid_cells_alone(case: tuple[int, tuple[np.ndarray, np.ndarray]]) -> None:
    k, (z, valid) = case
    mean, known = block_mean(z, valid, k)
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            block = np.s_[y * k : y * k + k, x * k : x * k + k]
            inside = z[block][valid[block]]
            assert known[y, x] == bool(inside.size)
            np.testing.assert_allclose(mean[y, x], inside.mean() if inside.size else 0, atol=1e-9, rtol=1e-12)
    assert repeat_mask(known, k)[valid].all()


@LAW
@given(masked(), st.integers(1, 4), st.floats(-2000, 2000))
def test_adding_a_height_adds_it_to_every_result(case: tuple[np.ndarray, np.ndarray], k: int, lift: float) -> None:
    z, valid = case
    np.testing.assert_allclose(upsample(z + lift, k, valid=valid), upsample(z, k, valid=valid) + lift, atol=1e-6)
    fine = upsample(z, k)
    np.testing.assert_allclose(back_project(fine + lift, z + lift, k), back_project(fine, z, k) + lift, atol=1e-6)


@LAW
@given(masked(), st.integers(1, 4), st.integers(0, 3))
def test_turning_the_input_turns_the_output(case: tuple[np.ndarray, np.ndarray], k: int, turns: int) -> None:
    z, _ = case
    np.testing.assert_allclose(upsample(np.rot90(z, turns), k), np.rot90(upsample(z, k), turns), atol=1e-8)


@LAW
@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.one_of(
    st.floats(-400, 8000, width=32), st.just(float("nan"))
)))  # fmt: skip
def test_an_overview_is_the_mean_of_the_cells_that_exist(z: np.ndarray) -> None:
    out = halved(z)
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            quad = z[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(z.shape[0], -1).astype(np.float64)
            for band in range(z.shape[0]):
                known = quad[band][~np.isnan(quad[band])]
                if known.size:
                    np.testing.assert_allclose(out[band, y, x], known.mean(), rtol=1e-5, atol=1e-3)
                else:
                    assert np.isnan(out[band, y, x])


@FILES
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(-10, 45), st.integers(0, 50), st.integers(-10, 45), st.integers(0, 50), st.booleans(),
)  # fmt: skip
def test_a_window_is_the_padded_whole_cut(
    shape: tuple[int, int], top: int, tall: int, left: int, wide: int, south_up: bool
) -> None:
    z = heights(shape)
    z[::3, ::4] = -9999
    with tempfile.TemporaryDirectory() as folder:
        there = utm_grid(*shape).affine
        if south_up:
            there = type(there)(there.a, 0, there.c, 0, -there.e, there.f + there.e * shape[0])
        path = write_raster(Path(folder) / "a.tif", z[::-1].copy() if south_up else z, transform=there)
        with open_source(path) as source:
            values, valid = source.read("elevation", slice(top, top + tall), slice(left, left + wide))
            whole, known = read_all(source)
    np.testing.assert_array_equal(whole[known], z[z != -9999])
    pad = 110
    cut = np.s_[top + pad : top + tall + pad, left + pad : left + wide + pad]
    np.testing.assert_array_equal(values, np.pad(whole, pad)[cut])
    np.testing.assert_array_equal(valid, np.pad(known, pad)[cut])


@FILES
@given(st.integers(1, 2), st.integers(1, 600), st.integers(1, 600), st.integers(1, 700), st.integers(0, 9))
def test_what_is_published_reads_back_and_is_laid_out_in_order(
    bands: int, height: int, width: int, step: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(100, 30, (bands, height, width)).astype(np.float32)
    z[1:] = np.abs(z[1:])  # standard errors
    z[:, rng.random((height, width)) < 0.2] = np.nan
    names = ("elevation", "elevation_sigma")[:bands]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "o.tif"
        rows = (z[:, top : top + step] for top in range(0, height, step))
        write_cog(path, utm_grid(height, width), rows, band_names=names, units=["m"] * bands, threads=1)
        with open_source(path, want=names, check_range=False) as source:
            for band, name in zip(z, names, strict=True):
                values, valid = read_all(source, name)
                np.testing.assert_array_equal(valid, ~np.isnan(band))
                np.testing.assert_array_equal(values[valid], band[valid])
        found = read_directories(str(path))
    assert found is not None
    at = np.concatenate([d.offsets.astype(np.int64) for d in reversed(found)])
    assert (np.diff(at) > 0).all()
