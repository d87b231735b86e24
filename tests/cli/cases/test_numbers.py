"""Numbers at the limits: nodata of integer types, absurd scales and cell sizes, ranges without nodata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from tests.support.cases import assert_heights, assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("int16", -32768), ("int16", 32767), ("uint16", 65535), ("uint16", 0), ("int32", -(2**31)), ("int32", 2**31 - 1),
     ("uint32", 2**32 - 1), ("uint32", 0), ("float64", -1.7976931348623157e308), ("float32", float(np.finfo("f4").min)),
     ("float32", float(np.finfo("f4").max)), ("float64", -9999.0)],
)  # fmt: skip
def test_nodata_at_the_limit_of_its_type_is_nodata(dtype: str, nodata: float, tmp_path: Path) -> None:
    truth = np.round(ground())
    values = truth.astype(dtype)
    truth[5:9, 7:12] = np.nan
    values[5:9, 7:12] = nodata
    out = tmp_path / "o.tif"
    assert_heights(sharpen(write_raster(tmp_path / "a.tif", values, nodata=nodata), out), out, truth)
    bare = write_raster(tmp_path / "b.tif", values, nodata=None)
    result = sharpen(bare, tmp_path / "p.tif", "--nodata", repr(nodata))
    assert_heights(result, tmp_path / "p.tif", truth)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("int16", -32768), ("uint16", 65535), ("int32", -(2**31)), ("float32", -3.4028234663852886e38)],
)
def test_undeclared_nodata_is_refused_with_its_option(dtype: str, nodata: float, tmp_path: Path) -> None:
    values = np.round(ground()).astype(dtype)
    values[5:9, 7:12] = nodata
    result = sharpen(write_raster(tmp_path / "a.tif", values, nodata=None), tmp_path / "o.tif")
    assert_refused(result, "--nodata", output=tmp_path / "o.tif")


@pytest.mark.parametrize("scale", [1e300, 1e30, 0.0, float("nan"), float("inf")])
def test_an_absurd_scale_of_the_file_is_named(scale: float, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", ground().astype(np.float32), scale=scale)
    result = sharpen(path, tmp_path / "o.tif")
    assert_refused(result, output=tmp_path / "o.tif")
    assert "weights" not in result.output, result.output


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300, 1e-9])
def test_an_absurd_cell_size_is_named(size: float, tmp_path: Path) -> None:
    place = Affine(size, 0, 500_000, 0, -size, 5_000_000)
    path = write_raster(tmp_path / "a.tif", ground().astype(np.float32), transform=place)
    result = sharpen(path, tmp_path / "o.tif")
    assert_refused(result, output=tmp_path / "o.tif")
    assert "weights" not in result.output, result.output
    bare = write_raster(tmp_path / "b.tif", ground().astype(np.float32), crs=None)
    result = sharpen(bare, tmp_path / "o.tif", "--pixel-size", size)
    assert_refused(result, output=tmp_path / "o.tif")
    assert "weights" not in result.output, result.output


UNITS = [
    ("cm", 100.0, "uint16", 0),
    ("cm", 100.0, "int32", -32768),
    ("mm", 1000.0, "int32", 0),
    ("dm", 10.0, "uint32", 0),
    ("cm", 100.0, "float32", 0),
]


@pytest.mark.parametrize(("unit", "factor", "dtype", "nodata"), UNITS)
def test_heights_in_small_units_are_refused_with_their_range_and_the_option(
    unit: str, factor: float, dtype: str, nodata: float, tmp_path: Path
) -> None:
    base = 1500.0 if unit == "dm" else 300.0
    stored = np.round(ground(base=base, relief=6) * factor)
    truth = stored / factor
    truth[:9] = np.nan
    stored[:9] = nodata
    path = write_raster(tmp_path / "a.tif", stored.astype(dtype), nodata=nodata)
    out = tmp_path / "o.tif"
    result = sharpen(path, out)
    assert_refused(result, "--elevation-unit", output=out)
    low, high = int(stored[9:].min()), int(stored[9:].max())
    said = result.output.replace(",", "").replace("\u2009", "").replace("\u202f", "")
    assert str(low) in said and str(high) in said, result.output
    assert " 0 to" not in said
    assert_heights(sharpen(path, out, "--elevation-unit", unit), out, truth)
    other = terrafine("evaluate", path, path, "--no-hydrology", "--quiet")
    assert_refused(other)
