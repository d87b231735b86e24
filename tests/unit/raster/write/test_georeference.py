"""What is written lies where it was read, above the datum it was read with, or it is not published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.warp import transform
from tests.support.crs import GAUSS, ROTATED, SHIFT
from tests.support.rasters import heights, read_all, write_raster

from terrafine.errors import GridError, OutputError
from terrafine.raster import vertical
from terrafine.raster.grid import pixel_size_m
from terrafine.raster.read.source import open_source
from terrafine.raster.write import cog_writer, verify
from terrafine.raster.write.cog_writer import write_cog
from terrafine.raster.write.georeference import stored_crs
from terrafine.raster.write.small_image import write_patch

MERCATOR = f"+proj=merc +lon_0=0 +k=1 +x_0=0 +y_0=0 +ellps=bessel {SHIFT} +units=m +no_defs"
LONGLAT = f"+proj=longlat +ellps=bessel {SHIFT} +no_defs"
THREE = "+proj=tmerc +lon_0=15 +k=0.9999 +x_0=500000 +ellps=intl +towgs84=-87,-98,-121 +units=m +no_defs"
AMERSFOORT = (
    "+proj=sterea +lat_0=52.15616055555555 +lon_0=5.38763888888889 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel "
    "+towgs84=565.417,50.3319,465.552,-0.398957,0.343988,-1.8774,4.0725 +units=m +no_defs"
)
GRIDS = GAUSS.replace(SHIFT, "+nadgrids=BETA2007.gsb")
UNKNOWN = "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel +units=m +no_defs"
AT = {
    GAUSS: Affine(30, 0, 3_500_000, 0, -30, 5_500_000),
    MERCATOR: Affine(30, 0, 1_000_000, 0, -30, 6_500_000),
    LONGLAT: Affine(3e-4, 0, 9, 0, -3e-4, 50),
    THREE: Affine(30, 0, 450_000, 0, -30, 5_000_000),
    AMERSFOORT: Affine(30, 0, 150_000, 0, -30, 463_000),
    UNKNOWN: Affine(30, 0, 3_500_000, 0, -30, 5_500_000),
    "EPSG:31467": Affine(30, 0, 3_500_000, 0, -30, 5_500_000),
    "EPSG:28992": Affine(30, 0, 150_000, 0, -30, 463_000),
    "EPSG:27700": Affine(30, 0, 400_000, 0, -30, 300_000),
    "EPSG:2056": Affine(30, 0, 2_600_000, 0, -30, 1_200_000),
    "EPSG:3857": Affine(30, 0, 1_000_000, 0, -30, 6_500_000),
    "EPSG:4326": Affine(3e-4, 0, 9, 0, -3e-4, 50),
    "ESRI:54009": Affine(1000, 0, 0, 0, -1000, 5_000_000),
    "EPSG:3413": Affine(100, 0, 0, 0, -100, -1_000_000),
}


@pytest.mark.parametrize("datum", [None, "DHHN92", "EGM96", "WGS84 ellipsoid", "EPSG:5776", "EPSG:8228"])
@pytest.mark.parametrize("crs", AT)
def test_outputs_do_not_move_and_keep_their_datum(crs: str, datum: str | None, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), crs=crs, transform=AT[crs])
    with open_source(path, vertical_datum=datum) as source:
        write_cog(tmp_path / "b.tif", source.geobox, [heights()[None]], band_names=["elevation"], units=["m"],
                  vertical=source.vertical)  # fmt: skip
    assert not (tmp_path / "b.tif.aux.xml").exists()
    with rasterio.open(path) as a, rasterio.open(tmp_path / "b.tif") as b:
        x, y = (list(v) for v in zip(*(AT[crs] * p for p in ((0, 0), (50, 0), (25, 20), (50, 40))), strict=True))
        there = [np.asarray(transform(f.crs, "EPSG:4326", x, y)) for f in (a, b)]
        assert np.abs(there[0] - there[1]).max() * 111_000 < 0.01
    with open_source(tmp_path / "b.tif") as again, open_source(path, vertical_datum=datum) as source:
        vertical.same_or_raise(again.vertical, source.vertical)
        assert (again.vertical is None) == (datum is None)
        assert np.allclose(again.pixel_size_m(slice(0, 40)), source.pixel_size_m(slice(0, 40)), rtol=1e-12)


def test_an_unknown_ellipsoid_is_not_given_a_datum(tmp_path: Path) -> None:
    joined = vertical.compound(CRS.from_proj4(UNKNOWN), vertical.from_name("EGM96"))
    assert joined.sub_crs_list[0].to_epsg(min_confidence=100) is None


@pytest.mark.parametrize("crs", [GRIDS, ROTATED.to_wkt()])
def test_what_a_geotiff_cannot_keep_is_refused_before_anything_is_written(crs: str, tmp_path: Path) -> None:
    at = AT[GAUSS] if crs == GRIDS else Affine(0.01, 0, 1, 0, -0.01, 5)
    grid = GeoBox((40, 50), at, CRS.from_user_input(crs).to_wkt())
    with pytest.raises(GridError, match=r"cannot be stored in a GeoTIFF.*gdalwarp"):
        stored_crs("in.vrt", grid)
    with pytest.raises(GridError, match="cannot be stored"):
        write_cog(tmp_path / "b.tif", grid, [heights()[None]], band_names=["elevation"], units=["m"])
    with pytest.raises(GridError, match="cannot be stored"):
        write_patch(tmp_path / "c.tif", heights()[None], grid, ("elevation",))
    assert list(tmp_path.iterdir()) == []


def test_a_vertical_crs_in_feet_is_not_joined_to_metres(tmp_path: Path) -> None:
    datum = vertical.VerticalDatum("GCVD54", 6130, "test")
    assert not vertical.compound(CRS.from_epsg(32617), datum).is_compound


@pytest.mark.parametrize("shift", ["", SHIFT, "+towgs84=-87,-98,-121"])
@pytest.mark.parametrize("latitude", [0.0, 45.0, 60.0, -70.0])
def test_mercator_cells_of_a_bound_crs_shrink_with_latitude(shift: str, latitude: float) -> None:
    crs = CRS.from_proj4(f"+proj=merc +lon_0=0 +k=1 +ellps=bessel {shift} +units=m +no_defs")
    base = CRS.from_proj4("+proj=merc +lon_0=0 +k=1 +ellps=bessel +units=m +no_defs")
    y = Transformer.from_crs(base.geodetic_crs, base, always_xy=True).transform(9.0, latitude)[1]
    grid = GeoBox((2, 2), Affine(30, 0, 1_000_000, 0, -30, y + 30), crs.to_wkt())
    size = pixel_size_m(grid, slice(0, 2))
    assert np.allclose(size, 30 * np.cos(np.radians(latitude)), rtol=0.008)


@pytest.mark.parametrize("kind", ["equal area", "plate carree", "feet"])
def test_other_bound_cylindrical_cells_are_measured_like_unbound_ones(kind: str) -> None:
    text = {"equal area": "+proj=cea +lat_ts=30", "plate carree": "+proj=eqc +lat_ts=20", "feet": "+proj=merc"}[kind]
    unit = "+units=us-ft" if kind == "feet" else "+units=m"
    sizes = []
    for shift in ("", SHIFT):
        crs = CRS.from_proj4(f"{text} +lon_0=0 +ellps=bessel {shift} {unit} +no_defs")
        sizes.append(pixel_size_m(GeoBox((9, 9), Affine(30, 0, 1e6, 0, -30, 5e6), crs.to_wkt()), slice(0, 9)))
    assert np.allclose(*sizes, rtol=1e-12)


Change = dict[str, Any]
CHANGES: dict[str, Change] = {
    "CRS": {"crs": "EPSG:32634"},
    "geotransform": {"transform": Affine(30, 0, 500_000.5, 0, -30, 5_000_000)},
    "units": {"units": ("ft",)},
    "scale": {"scales": (0.1,)},
    "offset": {"offsets": (1.0,)},
    "band names": {"descriptions": ("height",)},
    "nodata": {"nodata": -32768.0},
}


@pytest.mark.parametrize("what", [*CHANGES, "tags", "vertical datum", "pixel meaning"])
def test_a_file_that_describes_its_pixels_wrongly_is_not_published(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_raster(tmp_path / "b.tif", heights())
    before = old.read_bytes()

    def altered(whole: str, *rest: Any) -> None:
        with rasterio.open(whole, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
            for name, value in CHANGES.get(what, {}).items():
                setattr(file, name, value)
            if what == "tags":
                file.update_tags(ns="TERRAFINE", MODEL="another")
            if what == "vertical datum":
                file.crs = "EPSG:32633+3855"
            if what == "pixel meaning":
                file.update_tags(AREA_OR_POINT="Point")
        verify.verify_description(whole, *rest)

    monkeypatch.setattr(cog_writer, "verify_description", altered)
    datum = None if what in ("scale", "offset") else "EGM96"  # GDAL does not update them under a compound CRS
    with open_source(old, vertical_datum=datum) as source, pytest.raises(OutputError, match="reads back as") as error:
        write_cog(old, source.geobox, [heights()[None]], band_names=["elevation"], units=["m"], tags={"MODEL": "one"},
                  vertical=source.vertical)  # fmt: skip
    assert "ot published" in str(error.value)
    assert old.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["b.tif"]


@pytest.mark.parametrize(
    "nodata", [-1.7976931348623157e308, 1e300, -3.4028234663852886e38, float("nan"), 2.0**64, -9.9]
)
def test_nodata_of_any_size_reads_back(nodata: float, tmp_path: Path) -> None:
    values = heights()
    values[:5] = np.nan
    grid = GeoBox((40, 50), Affine(30, 0, 500_000, 0, -30, 5_000_000), "EPSG:32633")
    write_cog(tmp_path / "a.tif", grid, [values[None]], band_names=["elevation"], units=["m"], nodata=nodata)
    with open_source(tmp_path / "a.tif") as source:
        read, valid = read_all(source)
        assert np.array_equal(valid, ~np.isnan(values)) and np.array_equal(read[valid], values[valid])
