"""Nodata at the limits of its type, scales and pixel sizes that cannot be meant, and ranges of valid cells alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from tests.support.rasters import heights, read_all, write_raster

from terrafine.errors import BandError, GridError, UsageError
from terrafine.raster.read.source import open_source

NAN, INF = float("nan"), float("inf")
LIMITS = [
    ("int8", -128),
    ("uint8", 255),
    ("uint8", 0),
    ("int16", -32768),
    ("int16", 32767),
    ("uint16", 65535),
    ("int32", -2147483648),
    ("int32", 2147483647),
    ("uint32", 4294967295),
    ("int64", -(2**63)),
    ("int64", 2**63 - 1),
    ("int64", 2**53 + 1),
    ("int64", -(2**53) - 1),
    ("uint64", 2**64 - 1),
    ("uint64", 2**53 + 1),
    ("float32", -3.4028234663852886e38),
    ("float32", 3.4028234663852886e38),
    ("float64", -1.7976931348623157e308),
    ("float64", 1e300),
    ("float64", 2.0**53 + 2),
]


def numbered(path: Path, dtype: str, nodata: float, *, declared: bool = True) -> Path:
    """Heights 10 to 100 in that type, the first row nodata, which GDAL itself writes as its tag."""
    values = np.arange(10, 110).reshape(10, 10).astype(dtype)
    values[0] = nodata
    write_raster(path, values, nodata=None)
    if declared:  # as GDAL writes it: exact, which rasterio's floats are not
        text = str(nodata) if isinstance(nodata, int) else repr(nodata)
        path.with_suffix(".vrt").write_text(
            f"<VRTDataset rasterXSize='10' rasterYSize='10'><SRS>EPSG:32633</SRS><GeoTransform>500000,30,0,5000000,0,"
            f"-30</GeoTransform><VRTRasterBand dataType='{GDAL[dtype]}' band='1'><NoDataValue>{text}</NoDataValue>"
            f"<SimpleSource><SourceFilename relativeToVRT='1'>{path.name}</SourceFilename><SourceBand>1</SourceBand>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    return path


GDAL = {
    **{"int8": "Int8", "uint8": "Byte", "int16": "Int16", "uint16": "UInt16", "int32": "Int32", "uint32": "UInt32"},
    **{"int64": "Int64", "uint64": "UInt64", "float32": "Float32", "float64": "Float64"},
}


@pytest.mark.parametrize(("dtype", "nodata"), LIMITS)
def test_nodata_at_the_limits_is_no_data(dtype: str, nodata: float, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tif", dtype, nodata)
    sources = [open_source(path.with_suffix(".vrt")), open_source(path, nodata=float(nodata))]
    try:
        with rasterio.open(path, "r+") as file:
            file.nodata = nodata
        sources.append(open_source(path))
    except (ValueError, OverflowError):
        pass  # rasterio does not write it
    for source in sources:
        with source:
            values, valid = read_all(source)
            assert valid.tolist() == [[False] * 10] + [[True] * 10] * 9
            assert values[1:].ravel().tolist() == list(range(20, 110)) if dtype != "int8" else True


@pytest.mark.parametrize(("dtype", "nodata"), [("int32", -2147483648), ("uint32", 4294967295), ("int64", 2**53 + 1)])
def test_undeclared_limits_are_refused_with_the_number(dtype: str, nodata: int, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tif", dtype, nodata, declared=False)
    with open_source(path) as source, pytest.raises(BandError, match=r"nodata=VALUE; .* elevation_unit=UNIT") as error:
        read_all(source)
    assert str(nodata)[:7].lstrip("-") in str(error.value).replace(".", "").replace(",", "")


ABSURD = [(1e300, 0.0), (1e-300, 0.0), (0.0, 0.0), (NAN, 0.0), (INF, 0.0), (1.0, 1e300), (1.0, NAN), (1.0, -INF)]


@pytest.mark.parametrize(("scale", "offset"), ABSURD)
def test_absurd_scales_and_offsets_are_blamed_on_the_file(scale: float, offset: float, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), nodata=None)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,), (offset,)
        kept = (repr(file.scales[0]), repr(file.offsets[0])) == (repr(scale), repr(offset))
    if not kept:
        pytest.skip("GDAL does not store it")
    with pytest.raises(BandError, match=r"a\.tif: band 1 states the scale .* and the offset"):
        open_source(path)


@pytest.mark.parametrize(("scale", "offset"), [(0.01, 0.0), (-1.0, 0.0), (10.0, -500.0), (1e-4, 100.0)])
def test_plausible_scales_are_applied(scale: float, offset: float, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), nodata=None, scale=scale, offset=offset)
    with open_source(path) as source:
        assert np.allclose(read_all(source)[0], heights() * scale + offset, rtol=1e-6)


def test_a_scale_that_leaves_the_range_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), nodata=None, scale=1000.0)
    with open_source(path) as source, pytest.raises(BandError, match="its scale 1000 and offset 0 applied"):
        read_all(source)


@pytest.mark.parametrize("cell", [1e-300, 1e-12, 1e-10, 1e9, 1e200])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", None])
def test_pixel_sizes_that_cannot_be_meant_are_blamed_on_the_georeference(
    cell: float, crs: str | None, tmp_path: Path
) -> None:
    corner = (0.0, 0.0) if crs is None else (10.0, 45.0)
    at = Affine(cell, 0, corner[0], 0, -cell, corner[1])
    path = write_raster(tmp_path / "a.tif", heights(), crs=crs, transform=at)
    if crs is not None:
        with pytest.raises(GridError, match=r"cells of|latitude|degrees wide"):
            open_source(path)
    plain = write_raster(tmp_path / "b.tif", heights(), crs=None)
    with pytest.raises(UsageError, match="positive"):
        open_source(plain, pixel_size_m=cell * 1e-6 if cell < 1 else cell)


@pytest.mark.parametrize("fill", [0, 65535])
def test_a_range_is_told_of_valid_cells_alone(fill: int, tmp_path: Path) -> None:
    values = np.full((20, 20), 31_374, np.uint16)
    values[3], values[:2] = 37_961, fill
    path = write_raster(tmp_path / "a.tif", values, nodata=fill)
    with open_source(path) as source, pytest.raises(BandError, match=r"from 31374 to 37961 m;.*elevation_unit=UNIT"):
        read_all(source)
    with open_source(path, elevation_unit="cm") as source:
        assert read_all(source)[0].max() == pytest.approx(379.61)


def test_a_range_is_told_in_the_unit_of_the_file(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights() * 100, unit="ft")
    with open_source(path) as source, pytest.raises(BandError, match=r"from \d{5}\.?\d* to \d{5}\.?\d* ft"):
        read_all(source)
    radar = write_raster(tmp_path / "b.tif", heights(), names=("vv",))
    with open_source(radar, want=("vv",)) as source, pytest.raises(BandError, match="dB") as error:
        source.read("vv", slice(0, 40), slice(0, 50))
    assert "elevation_unit" not in str(error.value)
