"""A dask-backed DataArray stays lazy, and computes to the numbers that the same heights in memory give."""

from __future__ import annotations

import importlib
import pickle
from typing import Any

import numpy as np
import pytest

import terrafine
from terrafine.errors import BandError, GridError, NoModelError, SourceError, UsageError

pytest.importorskip("rioxarray")
xr = pytest.importorskip("xarray")
da = pytest.importorskip("dask.array")

from terrafine.inference.progress import NoProgress  # noqa: E402
from terrafine.raster.read.lazy import LazyHeights  # noqa: E402

Y, X = np.mgrid[0:52, 0:43]
HEIGHTS = (500 + 40 * np.sin(Y / 6) * np.cos(X / 5) + np.random.default_rng(2).normal(0, 0.7, Y.shape)).astype(
    np.float32
)


def heights() -> np.ndarray:
    """With a void of its own, and one at the border."""
    z = HEIGHTS.copy()
    z[20:26, 14:19] = np.nan
    z[:3, 30:] = np.nan
    return z


def array(values: np.ndarray | None = None, chunks: Any = None, crs: str = "EPSG:32633", step: float = 30.0) -> Any:
    values = heights() if values is None else values
    y0, x0 = (5_200_000.0, 500_000.0) if step > 1 else (47.0, 11.0)
    coords = {"y": y0 - step * np.arange(len(values)), "x": x0 + step * np.arange(values.shape[1])}
    made = xr.DataArray(values, coords=coords, dims=("y", "x"), name="z", attrs={"history": "made"})
    made = made.rio.write_crs(crs)
    return made if chunks is None else made.chunk(chunks)


def finer(source: Any, **options: Any) -> Any:
    return terrafine.sharpen_dem(source, **({"model": "ridgeline", "scale": 2, "threads": 1, "tile": 16} | options))


@pytest.fixture(scope="module")
def in_memory() -> Any:
    return finer(array())


@pytest.mark.parametrize(
    "chunks", [{"y": 16, "x": 16}, {"y": 7, "x": 43}, {"y": 52, "x": 11}, {"y": 52, "x": 43}], ids=str
)
def test_it_computes_to_what_memory_gives_for_any_chunks(chunks: Any, in_memory: Any) -> None:
    lazy = finer(array(chunks=chunks))
    assert lazy.chunks is not None
    xr.testing.assert_identical(lazy.compute(), in_memory)


@pytest.mark.parametrize(
    "options",
    [
        {"uncertainty": True},
        {"model": "bicubic", "scale": 3},
        {"model": "ridgeline2", "product": "srtm1", "scale": 4},
        {"model": None, "scale": None},
        {"consistency": "none"},
    ],
    ids=str,
)
def test_every_option_gives_the_same(options: dict[str, Any]) -> None:
    xr.testing.assert_identical(finer(array(chunks={"y": 20, "x": 20}), **options).compute(), finer(array(), **options))


def test_directions_degrees_and_packed_numbers_give_the_same() -> None:
    packed = array(np.where(np.isnan(heights()), -32768, heights() * 10 - 1000).astype(np.int16))
    packed.attrs.update(scale_factor=0.1, add_offset=100.0, _FillValue=-32768)
    for made in (
        array().isel(y=slice(None, None, -1)),
        array().isel(x=slice(None, None, -1)).rename(y="northing", x="easting"),
        array(crs="EPSG:4326", step=1 / 3600),
        packed,
    ):
        xr.testing.assert_identical(finer(made.chunk(24)).compute(), finer(made))


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    computed: list[tuple[int, ...]] = []

    def watched(block: np.ndarray) -> np.ndarray:
        computed.append(block.shape)
        return block

    source = array(chunks={"y": 13, "x": 11})
    source = source.copy(data=da.map_blocks(watched, source.data, dtype=np.float32, meta=np.empty((0, 0), np.float32)))
    lazy = finer(source, model="bicubic", product="glo30")
    assert computed == []
    corner = lazy[:8, :8].compute()
    assert 0 < len(computed) < source.data.npartitions
    np.testing.assert_array_equal(corner.values, finer(array(), model="bicubic", product="glo30").values[:8, :8])


def test_the_accessor_is_lazy_too(in_memory: Any) -> None:

    importlib.import_module("terrafine.xarray")
    made = array(chunks=20).terrafine.sharpen_dem(model="ridgeline", scale=2, threads=1, tile=16)
    assert made.chunks is not None
    xr.testing.assert_identical(made.compute(), in_memory)


def test_a_worker_gets_no_array() -> None:
    source = LazyHeights(array(chunks=20))
    small = pickle.dumps(source)
    assert len(small) < 5_000
    block = pickle.loads(small).block(heights(), 0, 0)
    np.testing.assert_array_equal(block.read("elevation", slice(0, 52), slice(0, 43))[0], heights())


def test_a_block_gives_no_cell_that_it_does_not_hold() -> None:
    block = LazyHeights(array(chunks=20)).block(heights()[10:30, 10:30], 10, 10)
    block.read("elevation", slice(10, 30), slice(10, 30))
    with pytest.raises(IndexError):
        block.read("elevation", slice(5, 30), slice(10, 30))


def test_bad_heights_are_refused_when_they_are_computed() -> None:
    bad = HEIGHTS.copy()
    bad[40, 40] = 12_000
    lazy = finer(array(bad, chunks=20), model="bicubic")
    lazy[:8, :8].compute()
    with pytest.raises(BandError, match="the DataArray 'z'"):
        lazy.compute()


def test_what_is_not_lazy_is_computed_as_before() -> None:
    feet = array(chunks=20)
    feet.attrs["units"] = "ft"
    warped = finer(array(chunks=20), target_resolution=(20.0, 20.0))
    for made in (finer(feet), warped, finer(array(chunks=20), vertical_datum="EGM2008")):
        assert made.chunks is None
    in_feet = array()
    in_feet.attrs["units"] = "ft"
    xr.testing.assert_identical(finer(feet), finer(in_feet))


def test_wrong_arguments_are_refused_at_once() -> None:
    with pytest.raises(NoModelError):
        finer(array(chunks=20), scale=9)
    with pytest.raises(GridError, match="evenly spaced"):
        finer(array(chunks=20).isel(x=[0, 1, 3, 9]))
    with pytest.raises(UsageError, match="destination"):
        terrafine.sharpen_dem(array(chunks=20), "out.tif", scale=2)


@pytest.mark.parametrize("unit", ["m", "ft"])
def test_a_block_of_another_shape_is_named_whether_the_run_is_lazy_or_not(unit: str) -> None:
    source = array(chunks={"y": 13, "x": 11})
    source.attrs["units"] = unit
    short = da.map_blocks(lambda block: block[:-1], source.data, chunks=source.data.chunks, dtype=np.float32)
    with pytest.raises(SourceError, match=r"'z': its block \(\d, \d\) has the shape \(12, 1\d\)"):
        finer(source.copy(data=short), model="bicubic").compute()


def test_parts_that_overlap_join_to_the_whole() -> None:
    from terrafine.inference.in_memory import joined_tiles
    from terrafine.inference.plan import Plan

    plan = Plan((20, 20), 1, (8, 8), 4, 2, 0, 1, 2, 1, 1, 0)
    whole = np.random.default_rng(0).random((1, 20, 20), np.float32)
    parts = [[whole[(slice(None), *tile.part)] for tile in plan.tiles(i)] for i in range(plan.shards)]
    for index in range(plan.shards):
        near = plan.neighbours(index)
        own = joined_tiles(plan, index, near, [parts[i] for i in near], 1)
        np.testing.assert_allclose(own, whole[(slice(None), *plan.inner(index))], rtol=1e-6)
        assert index in near


def test_notes_of_lazy_heights_are_warnings_and_a_report_or_progress_computes_them_as_a_whole() -> None:
    source = array(chunks=16, step=200.0)
    with pytest.warns(UserWarning, match="^the DataArray 'z': .*was resampled") as caught:
        lazy = finer(source, product="srtm1")
    assert lazy.chunks is not None
    assert [one.filename for one in caught if one.category is UserWarning] == [__file__]
    reports: list[Any] = []
    assert finer(source, product="srtm1", report=reports.append).chunks is None
    assert reports[0].notes

    assert finer(source, product="srtm1", progress=NoProgress()).chunks is None
