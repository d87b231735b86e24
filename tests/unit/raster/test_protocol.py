"""Every source offers the whole protocol, closes what it opened, and cannot be changed from outside."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.paths import open_files
from tests.support.rasters import heights, write_raster

from terrafine.errors import BandError
from terrafine.raster.grid import subdivided
from terrafine.raster.protocol import RasterSource
from terrafine.raster.read.aligned import align_to
from terrafine.raster.read.array import ArraySource
from terrafine.raster.read.guides import open_guides
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.read.source import open_source


def dem(folder: Path) -> RasterSource:
    return open_source(write_raster(folder / "dem.tif", heights((40, 40)), tags={"AUTHOR": "x"}))


def mosaic(folder: Path) -> RasterSource:
    from affine import Affine

    one = write_raster(folder / "a.tif", heights((40, 40)))
    two = write_raster(folder / "b.tif", heights((40, 40), 1), transform=Affine(30, 0, 501_200, 0, -30, 5_000_000))
    return open_source([one, two])


def aligned(folder: Path) -> RasterSource:
    source = dem(folder)
    return align_to(source, subdivided(source.geobox, 2))


def image(folder: Path) -> RasterSource:
    values = np.random.default_rng(0).uniform(300, 3000, (3, 40, 40)).astype(np.uint16)
    path = write_raster(folder / "image.tif", values, nodata=0, names=("red", "green", "blue"))
    return open_image(path, sensor="sentinel2")


def guided(folder: Path) -> RasterSource:
    source = open_source(write_raster(folder / "dem.tif", heights((40, 40)), tags={"AUTHOR": "x"}))
    speckle = np.random.default_rng(0).normal(-12, 2, (40, 40)).astype(np.float32)
    vv = write_raster(folder / "vv.tif", speckle, names=("vv",))
    return open_guides(source, 2, {"vv": [vv]}, azimuth=100.0, incidence=38.5).stating({"A": "b"}, "a note")


def array(folder: Path) -> RasterSource:
    return ArraySource({"elevation": heights((40, 40))}, np.full((2, 40), 30.0))


SOURCES = (dem, mosaic, aligned, image, guided, array)


@pytest.mark.parametrize("opened", SOURCES)
def test_every_source_offers_the_protocol(opened: Callable[[Path], RasterSource], tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        assert isinstance(source, RasterSource)
        band = next(iter(source.bands))
        for one in (source, pickle.loads(pickle.dumps(source))):
            values, valid = one.read(band, slice(0, 4), slice(0, 4))
            assert values.shape == valid.shape == (4, 4)
            assert one.pixel_size_m(slice(-1, 5)).shape == (2, 6)
            assert tuple(one.geobox.shape) == one.shape and one.paths and one.identity()
            assert dict(one.tags) == dict(source.tags) and one.notes == source.notes
            for name in one.guides:
                assert one.read_guide(name, slice(0, 4), slice(0, 4))[0].shape == (4, 4)
            with pytest.raises(BandError, match="no guide"):
                one.read_guide("hh", slice(0, 4), slice(0, 4))
            one.close()


@pytest.mark.parametrize("opened", SOURCES)
def test_leaving_the_block_gives_every_handle_back(opened: Callable[[Path], RasterSource], tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        source.read(next(iter(source.bands)), slice(0, 4), slice(0, 4))
        for name in source.guides:
            source.read_guide(name, slice(0, 4), slice(0, 4))
        assert bool(open_files(tmp_path)) == (opened is not array)
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("opened", SOURCES)
def test_tags_cannot_be_changed(opened: Callable[[Path], RasterSource], tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        for held in (source.tags, source.lineage):
            with pytest.raises(TypeError):
                held["A"] = "changed"  # type: ignore[index]


def test_a_guided_source_has_its_dems_tags_and_a_change_makes_another_source(tmp_path: Path) -> None:
    with guided(tmp_path) as source:
        assert source.tags["AUTHOR"] == "x" and dict(source.lineage) == {"A": "b"} and source.notes == ("a note",)
        moved = source.displaced(1, 0).with_sun(90.0).stating({"C": "d"})  # type: ignore[attr-defined]
        assert dict(source.lineage) == {"A": "b"} and source.sun is None  # type: ignore[attr-defined]
        assert dict(moved.lineage) == {"A": "b", "C": "d"} and moved.sun == 90.0
        here, there = (s.read_guide("vv", slice(10, 14), slice(10, 14))[0] for s in (source, moved))
        assert not np.array_equal(here, there)


def test_other_bands_of_open_files_are_read_without_opening_them_again(tmp_path: Path) -> None:
    stack = np.stack([heights((40, 40)), np.full((40, 40), 2.0, np.float32)])
    path = write_raster(tmp_path / "two.tif", stack, names=("elevation", "elevation_sigma"))
    with open_source(path) as source:
        before = open_files(tmp_path)
        with source.with_bands(("elevation", "elevation_sigma")) as both:
            assert len(open_files(tmp_path)) == len(before) == 1
            assert both.read("elevation_sigma", slice(0, 2), slice(0, 2))[0].tolist() == [[2, 2], [2, 2]]
            assert both.shape == source.shape and both.geobox == source.geobox
        assert open_files(tmp_path) == []
        assert source.read("elevation", slice(0, 2), slice(0, 2))[1].all()
        with pytest.raises(BandError, match="vv"):
            source.with_bands(("elevation", "vv"))
    assert open_files(tmp_path) == []


def test_a_source_that_is_refused_is_closed(tmp_path: Path) -> None:
    from affine import Affine

    from terrafine.errors import GridError, TerrafineError

    source = dem(tmp_path)
    far = write_raster(tmp_path / "far.tif", heights((40, 40)), transform=Affine(30, 0, 9e5, 0, -30, 6e6))
    with pytest.raises(GridError, match="overlap"):
        align_to(open_source(far), source.geobox)
    bright = write_raster(tmp_path / "i.tif", np.full((3, 40, 40), 2e9, np.float32), names=("red", "green", "blue"))
    with pytest.raises(TerrafineError):
        open_image(bright)
    with pytest.raises(BandError):
        open_guides(
            source, 2, {"vv": [write_raster(tmp_path / "vv.tif", heights((40, 40)))]}, azimuth=1.0, incidence=38.5
        )
    source.close()
    assert open_files(tmp_path) == []
