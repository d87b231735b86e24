"""A part of a file is the file's cells; beyond the file it is an error, or nodata where that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from terrafine.errors import GridError
from terrafine.raster.write.cog_writer import write_cog
from terrafine.raster.write.crop import crop_cog

VALUES = np.arange(12 * 16, dtype=np.float32).reshape(1, 12, 16)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    grid = GeoBox((12, 16), Affine(5, 0, 500_000, 0, -5, 4_000_000), "EPSG:32632")
    path = tmp_path / "whole.tif"
    write_cog(path, grid, [VALUES], band_names=("image",), units=("",), tags={"NOTE": "kept"})
    return path


def part(left: float, top: float) -> GeoBox:
    """Four by four cells of 10 m."""
    return GeoBox((4, 4), Affine(10, 0, left, 0, -10, top), "EPSG:32632")


def test_a_part_inside_is_the_cells_of_the_file(source: Path, tmp_path: Path) -> None:
    made = crop_cog(source, part(500_020, 3_999_990), tmp_path / "a.tif", tags={"TILE": "x"})
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.read(), VALUES[:, 2:10, 4:12])
        assert file.transform == Affine(5, 0, 500_020, 0, -5, 3_999_990)
        assert (file.tags(ns="TERRAFINE")["NOTE"], file.tags(ns="TERRAFINE")["TILE"]) == ("kept", "x")
    assert made.valid == 1.0


@pytest.mark.parametrize(("left", "top"), [(499_980, 4_000_010), (500_060, 3_999_960)])
def test_a_part_beyond_the_file_is_an_error_or_nodata(source: Path, tmp_path: Path, left: float, top: float) -> None:
    with pytest.raises(GridError, match="do not hold the part"):
        crop_cog(source, part(left, top), tmp_path / "b.tif")
    made = crop_cog(source, part(left, top), tmp_path / "b.tif", fill=True)
    padded = np.full((1, 40, 40), np.nan, np.float32)
    padded[:, 10:22, 10:26] = VALUES
    row, col = round((4_000_000 - top) / 5) + 10, round((left - 500_000) / 5) + 10
    meant = padded[:, row : row + 8, col : col + 8]
    with rasterio.open(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.read(masked=True).filled(np.nan), meant)
    assert made.valid == pytest.approx(np.isfinite(meant).mean())
    assert 0 < made.valid < 1


def test_a_part_elsewhere_is_all_nodata_and_one_of_broken_cells_an_error(source: Path, tmp_path: Path) -> None:
    assert crop_cog(source, part(600_000, 4_000_000), tmp_path / "c.tif", fill=True).valid == 0
    for fill in (False, True):
        with pytest.raises(GridError, match="do not hold the part"):
            crop_cog(source, part(500_002, 4_000_000), tmp_path / "d.tif", fill=fill)
