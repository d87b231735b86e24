"""Several files as one source: exact joins, or a refusal that names the file."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from tests.support.rasters import heights, read_all, write_raster

from terrafine.errors import DatumError, GridError
from terrafine.raster.read.source import open_source


def piece(path: Path, z: np.ndarray, rows: slice, cols: slice, cell: float = 30.0, **more: object) -> Path:
    there = Affine(cell, 0, 500_000 + cell * cols.start, 0, -cell, 5_000_000 - cell * rows.start)
    return write_raster(path, z[rows, cols].copy(), transform=there, **more)  # type: ignore[arg-type]


def test_pieces_join_to_the_whole_with_their_own_nodata_and_row_order(tmp_path: Path) -> None:
    z = heights((30, 40))
    a = piece(tmp_path / "a.tif", z, slice(0, 12), slice(0, 25))
    b = piece(tmp_path / "b.tif", z, slice(10, 30), slice(0, 25), nodata=-32768.0)
    up = Affine(30, 0, 500_000 + 30 * 25, 0, 30, 5_000_000 - 30 * 30)
    c = write_raster(tmp_path / "c.tif", z[::-1, 25:].copy(), transform=up)
    with open_source([c, a, b]) as source:
        assert source.shape == (30, 40) and source.geobox.affine.f == 5_000_000
        values, valid = read_all(pickle.loads(pickle.dumps(source)))
    assert valid.all()
    np.testing.assert_array_equal(values, z)


def test_where_files_overlap_the_first_valid_counts_and_gaps_are_missing(tmp_path: Path) -> None:
    z = heights((20, 20))
    holed = z.copy()
    holed[3, 3] = -9999
    a = piece(tmp_path / "a.tif", holed, slice(0, 10), slice(0, 10))
    b = piece(tmp_path / "b.tif", z + 1, slice(0, 20), slice(0, 8))
    values, valid = read_all(open_source([a, b]))
    assert values[3, 3] == z[3, 3] + 1 and values[0, 0] == z[0, 0]
    assert not valid[15, 9] and values[15, 9] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crs": "EPSG:32634"}, r"b\.tif: its CRS"),
        ({"cell": 31.0}, r"b\.tif: its cells are 31"),
        ({"tags": {"AREA_OR_POINT": "Point"}}, r"b\.tif: its pixels are points"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    z = heights((30, 40))
    a = piece(tmp_path / "a.tif", z, slice(0, 10), slice(0, 20))
    b = piece(tmp_path / "b.tif", z, slice(0, 10), slice(20, 40), **change)  # type: ignore[arg-type]
    with pytest.raises(GridError, match=message):
        open_source([a, b])


def test_a_file_half_a_cell_off_is_refused(tmp_path: Path) -> None:
    z = heights((10, 10))
    a = write_raster(tmp_path / "a.tif", z)
    b = write_raster(tmp_path / "b.tif", z, transform=Affine(30, 0, 500_315, 0, -30, 5_000_000))
    with pytest.raises(GridError, match=r"b\.tif: lies 10\.500 columns and 0\.000 rows"):
        open_source([a, b])


def test_tiles_on_both_sides_of_the_antimeridian_are_contiguous(tmp_path: Path) -> None:
    z = heights((10, 20))
    west = write_raster(
        tmp_path / "w.tif", z[:, :10].copy(), crs="EPSG:4326", transform=Affine(0.1, 0, 179, 0, -0.1, -16)
    )
    east = write_raster(
        tmp_path / "e.tif", z[:, 10:].copy(), crs="EPSG:4326", transform=Affine(0.1, 0, -180, 0, -0.1, -16)
    )
    for order in ([west, east], [east, west]):
        source = open_source(order)
        assert source.shape == (10, 20)
        assert source.geobox.boundingbox.left == pytest.approx(179)
        assert source.geobox.boundingbox.right == pytest.approx(181)
        np.testing.assert_array_equal(read_all(source)[0], z)


def test_files_above_different_datums_are_refused(tmp_path: Path) -> None:
    z = heights((10, 20))
    a = piece(tmp_path / "a.tif", z, slice(0, 10), slice(0, 10), crs="EPSG:32633+5773")
    b = piece(tmp_path / "b.tif", z, slice(0, 10), slice(10, 20), crs="EPSG:32633+3855")
    with pytest.raises(DatumError, match=r"EGM96.*EGM2008.*gdalwarp"):
        open_source([a, b])
    c = piece(tmp_path / "c.tif", z, slice(0, 10), slice(10, 20), crs="EPSG:32633+5773")
    joined = open_source([a, c])
    assert joined.vertical is not None and joined.vertical.epsg == 5773
