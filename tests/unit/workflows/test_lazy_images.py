"""Dask-backed images stay lazy, and compute to the numbers that the same images in memory give."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import terrafine
from terrafine.errors import BandError, EmptyError, GridError, SourceError, UsageError

pytest.importorskip("rioxarray")
xr = pytest.importorskip("xarray")
da = pytest.importorskip("dask.array")

from terrafine.raster.read.image_form import prepared  # noqa: E402
from terrafine.raster.read.images.lazy_image import LazyRaster  # noqa: E402

NAMES = ("red", "green", "blue", "nir")
HOW: dict[str, Any] = {"sensor": "sentinel2", "max_bright": 1.0, "threads": 1}
VERBS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "map": (terrafine.map_impervious, {"tile": 32}),
    "map, chances": (terrafine.map_impervious, {"tile": 32, "probability": True}),
    "image": (terrafine.sharpen_image, {"tile": 24, "scale": 4}),
    "height": (terrafine.estimate_height, {"tile": 32}),
}


def counts(height: int = 48, width: int = 32) -> np.ndarray:
    """Fields and roofs as Sentinel-2 counts, uint16 (band, y, x), with voids of 0."""
    rng = np.random.default_rng(5)
    field, roof = np.array([[500, 800, 450, 3200], [2600, 2300, 2100, 2800]])
    scene = np.broadcast_to(field[:, None, None], (4, height, width)).astype(np.float64).copy()
    scene[:, 6:30, 8:25] = roof[:, None, None]
    scene += rng.normal(0, 30, scene.shape)
    scene[:, 18:20, 2:4] = 0
    scene[:, 40:46, 24:] = 0
    return scene.round().astype(np.uint16)


def array(values: Any = None, crs: str = "EPSG:32633") -> Any:
    values = counts() if values is None else values
    coords = {
        "band": list(NAMES),
        "y": 5_000_000 - 10 * (np.arange(values.shape[1]) + 0.5),
        "x": 500_000 + 10 * (np.arange(values.shape[2]) + 0.5),
    }
    made = xr.DataArray(values, coords=coords, dims=("band", "y", "x"), name="city", attrs={"history": "made"})
    return made.rio.write_nodata(0).rio.write_crs(crs)


def blocks(source: Any, computed: list[tuple[int, ...]], **chunks: int) -> Any:
    """The array in blocks that are noted when they are computed."""
    lazy = source.chunk(**chunks)

    def noted(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            computed.append(tuple(block_info[0]["chunk-location"]))
        return block

    data = da.map_blocks(noted, lazy.data, dtype=lazy.dtype, meta=np.empty((0, 0, 0), lazy.dtype))
    return lazy.copy(data=data)


@pytest.mark.parametrize("verb", VERBS)
def test_it_computes_to_what_memory_gives(verb: str) -> None:
    work, options = VERBS[verb]
    lazy = work(array().chunk(band=1, y=23, x=17), **HOW, **options)
    assert lazy.chunks is not None
    xr.testing.assert_identical(lazy.compute(), work(array(), **HOW, **options))


@pytest.mark.parametrize("value", [-9999.0, np.nan, 70_000.0, 0.5])
def test_a_nodata_value_that_no_cell_can_have_is_none_as_in_a_file(value: float) -> None:
    impossible, none = array(), array()
    for made in (impossible, none):
        made.encoding.pop("_FillValue", None)
        made.attrs.pop("_FillValue", None)
    impossible.attrs["_FillValue"] = value
    assert prepared(impossible, located=False).nodata is None
    expected = terrafine.map_impervious(none, **HOW, tile=32)
    far = impossible.astype(np.int64).assign_attrs(_FillValue=2**40)
    for made in (impossible, impossible.chunk(20), far, far.chunk(20)):
        np.testing.assert_array_equal(terrafine.map_impervious(made, **HOW, tile=32).values, expected.values)


def test_directions_names_floats_and_datasets_give_the_same() -> None:
    plain = counts().astype(np.float64)
    plain[plain == 0] = np.nan
    turned = array(plain).isel(y=slice(None, None, -1)).rename(y="lat", x="lon").transpose("lon", "lat", "band")
    for made in (
        turned.rio.set_spatial_dims("lon", "lat"),
        array(counts().astype(np.int64)),
        array().to_dataset("band").rio.write_crs("EPSG:32633"),
    ):
        lazy = terrafine.map_impervious(made.chunk(20), **HOW, tile=32)
        assert lazy.chunks is not None
        xr.testing.assert_identical(lazy.compute(), terrafine.map_impervious(made, **HOW, tile=32))


def test_the_sensor_is_told_from_the_same_sample() -> None:
    reflectance = array(counts().astype(np.float32) / 10_000)
    made = {"threads": 1, "tile": 32, "max_bright": 1.0}
    for kind in ({}, {"sensor": "reflectance"}):
        try:
            there = terrafine.map_impervious(reflectance, **made, **kind)
        except BandError as refused:
            with pytest.raises(BandError, match="reflectance") as caught:
                terrafine.map_impervious(reflectance.chunk(20), **made, **kind)
            assert str(caught.value) == str(refused)
        else:
            here = terrafine.map_impervious(reflectance.chunk(20), **made, **kind)
            xr.testing.assert_identical(here.compute(), there)


def test_only_the_sample_is_computed_before_it_is_asked_for() -> None:
    computed: list[tuple[int, ...]] = []
    source = blocks(array(np.tile(counts(100, 100), (1, 16, 16))), computed, band=-1, y=50, x=50)
    lazy = terrafine.map_impervious(source, sensor="sentinel2", threads=1, tile=64)
    blocks_in_all = source.data.npartitions
    assert blocks_in_all == 1024
    sample = len(computed)
    assert sample == len(set(computed)) <= 16 * 5 * 5  # each block once, and none outside the 16 windows
    computed.clear()
    corner = lazy[:64, :64].compute()
    assert corner.shape == (64, 64)
    assert 0 < len(computed) < 60  # what one shard reads
    computed.clear()
    terrafine.map_impervious(source, sensor="sentinel2", threads=1, tile=64)
    assert len(computed) == sample


def test_of_many_bands_only_those_that_are_read_are_computed() -> None:
    computed: list[tuple[int, ...]] = []
    more = np.concatenate((counts(), *[counts()[:1]] * 20))
    wide = array()
    wide = xr.DataArray(
        more, dims=wide.dims, coords={"band": [*NAMES, *map(str, range(20))], "y": wide.y, "x": wide.x}, name="many"
    )
    source = blocks(wide.rio.write_nodata(0).rio.write_crs("EPSG:32633"), computed, band=1, y=48, x=32)
    lazy = terrafine.map_impervious(source, **HOW, tile=64)
    computed.clear()
    lazy.compute()
    assert {place[0] for place in computed} == {0, 1, 2, 3}


def test_impossible_numbers_are_masked_up_to_a_thousandth_as_in_memory() -> None:
    few = counts(130, 130)
    few[0, 100, 100] = 40_000  # a reflectance of 4
    lazy = terrafine.map_impervious(array(few).chunk(65), **HOW).compute()
    xr.testing.assert_identical(lazy, terrafine.map_impervious(array(few), **HOW))
    assert (lazy.values[1000:1010, 1000:1010] == 255).all()
    many = counts(130, 130)
    many[0, 100:108, 100:108] = 40_000
    late = terrafine.map_impervious(array(many).chunk(65), **HOW)
    with pytest.raises(BandError, match=r"the DataArray 'city'.*rows .* lazy image"):
        late.compute()
    with pytest.raises(BandError, match="the DataArray 'city'"):
        terrafine.map_impervious(array(many), **HOW)


def test_what_is_wrong_with_the_header_is_refused_at_once() -> None:
    lazy = array().chunk(20)
    for made, more, error, said in (
        (lazy.drop_vars("spatial_ref"), {}, GridError, "assume_crs="),
        (lazy.assign_coords(band=list("abcd")), {}, BandError, "the DataArray 'city'"),
        (lazy.astype("U8"), {}, BandError, "numbers"),
        (lazy, {"pixel_size_m": 10.0}, UsageError, "numpy"),
        (lazy, {"preview": "p.png"}, UsageError, "preview"),
        (lazy, {"creation_options": {"COMPRESS": "LZW"}}, UsageError, "creation_options"),
        (array((counts() // 40).astype(np.uint8)).chunk(20), {}, BandError, "8-bit"),
        (array(np.zeros_like(counts())).chunk(20), {}, EmptyError, "load it"),
    ):
        with pytest.raises(error, match=said) as caught:
            terrafine.map_impervious(made, **(HOW | more))
        assert "image.tif" not in str(caught.value)


def test_a_block_of_another_shape_or_type_is_named() -> None:
    def short(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        return block[:, :-1] if block_info and block_info[0]["chunk-location"] == (0, 1, 1) else block

    def other(block: np.ndarray) -> np.ndarray:
        return block.astype(np.float64)

    for wrong, said in ((short, r"'city': its block \(0, 1, 1\) has the shape \(4, 19, 12\)"), (other, "type float64")):
        lazy = array().chunk(20)
        kept = lazy.copy(data=da.map_blocks(wrong, lazy.data, dtype=np.uint16, meta=np.empty((0, 0, 0), np.uint16)))
        with pytest.raises(SourceError, match=said):
            terrafine.map_impervious(kept, **HOW).compute()


def test_blocks_of_unknown_size_are_refused() -> None:
    heights = da.from_array(np.full((40, 40), 500, np.float32), chunks=20)
    unknown = heights[(heights[:, 0] > 0)]
    with pytest.raises((GridError, ValueError)):
        terrafine.sharpen_dem(xr.DataArray(unknown, dims=("y", "x")).rio.write_crs("EPSG:32633"))


def test_heights_with_an_anchor_are_computed_at_once(tmp_path: Path) -> None:
    heights = np.full((48, 32), 300, np.float32)
    dem = xr.DataArray(heights, coords={"y": array().y, "x": array().x}, dims=("y", "x")).rio.write_crs("EPSG:32633")
    dem.coarsen(y=7, x=7, boundary="trim").mean().assign_attrs(units="m").rio.to_raster(tmp_path / "anchor.tif")
    options = {"anchor": tmp_path / "anchor.tif", "elevation_unit": "m", **HOW}
    made = terrafine.estimate_height(array().chunk(20), **options)
    assert made.chunks is None
    xr.testing.assert_identical(made, terrafine.estimate_height(array(), **options))


def test_a_worker_gets_no_array(tmp_path: Path) -> None:
    raster = LazyRaster(prepared(array(np.tile(counts(), (1, 8, 8))).chunk(20), False), tmp_path / "image.tif")
    raster.close()
    assert len(pickle.dumps(raster)) < 10_000


def test_notes_of_a_lazy_image_are_warnings_and_a_report_computes_it_as_a_whole() -> None:
    source = array().isel(band=slice(0, 3)).chunk(20)
    with pytest.warns(UserWarning, match="city.*no near infrared") as caught:
        lazy = terrafine.map_impervious(source, **HOW, tile=32)
    assert lazy.chunks is not None
    notes = [one for one in caught if one.category is UserWarning]
    assert all(str(one.message).startswith("the DataArray 'city'") and one.filename == __file__ for one in notes)
    reports: list[Any] = []
    whole = terrafine.map_impervious(source, **HOW, tile=32, report=reports.append)
    assert whole.chunks is None
    assert any("no near infrared" in note for note in reports[0].notes)
    assert terrafine.sharpen_image(array().chunk(20), **HOW, scale=4, report=reports.append).chunks is None
    assert len(reports) == 2
