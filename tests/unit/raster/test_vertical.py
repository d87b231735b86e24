"""Vertical datums: read from CRS, tags, names and options; written back; never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
from pyproj import CRS
from tests.support.rasters import heights, utm_grid, write_raster

from terrafine.errors import DatumError
from terrafine.raster import products, vertical
from terrafine.raster.crs import horizontal
from terrafine.raster.read.source import open_source
from terrafine.raster.write.cog_writer import write_cog

GEOGRAPHIC = rasterio.Affine(1e-3, 0, 11, 0, -1e-3, 46)


@pytest.mark.parametrize(("name", "epsg"), sorted((n, e) for n, e in vertical.DATUMS.items() if e))
def test_every_code_in_the_table_is_a_metric_height(name: str, epsg: int) -> None:
    crs = CRS.from_epsg(epsg)
    assert crs.axis_info[-1].unit_conversion_factor == 1.0 and crs.axis_info[-1].direction == "up"
    assert vertical.from_name(name).epsg == vertical.from_name(f"EPSG:{epsg}").epsg == epsg


@pytest.mark.parametrize(("code", "name"), sorted(vertical._SAME_CODE.items()))
def test_codes_in_feet_belong_to_their_metric_datum(code: int, name: str) -> None:
    crs = CRS.from_epsg(code)
    assert crs.is_vertical and crs.axis_info[0].direction == "up" and crs.axis_info[0].unit_conversion_factor < 0.31
    stem = CRS.from_epsg(vertical.DATUMS[name]).name.split(" ")[0]
    assert crs.name.startswith(stem)


@pytest.mark.parametrize(
    ("file", "product", "datum", "surface"),
    [
        ("Copernicus_DSM_COG_10_N46_00_E011_00_DEM.tif", "Copernicus GLO-30", "EGM2008", "DSM"),
        ("Copernicus_DSM_COG_30_N46_00_E011_00_DEM.tif", "Copernicus GLO-90", "EGM2008", "DSM"),
        ("N49E011.hgt", "SRTM", "EGM96", "DSM"),
        ("S29W072.SRTMGL1.hgt.zip", "SRTM", "EGM96", "DSM"),
        ("n46_e011_1arc_v3.tif", "SRTM", "EGM96", "DSM"),
        ("NASADEM_HGT_n46e011.hgt", "NASADEM", "EGM96", "DSM"),
        ("ALPSMLC30_N046E011_DSM.tif", "AW3D30", "EGM96", "DSM"),
        ("ASTGTMV003_N46E011_dem.tif", "ASTER GDEM", "EGM96", "DSM"),
        ("TDM1_DEM__30_N46E011_DEM.tif", "TanDEM-X", "WGS84 ellipsoid", "DSM"),
        ("USGS_13_n47w120_20230101.tif", "3DEP", "NAVD88", "DTM"),
        ("N46E011_FABDEM_V1-2.tif", "FABDEM", "EGM2008", "DTM"),
    ],
)
def test_products_are_known_by_their_file_names(file: str, product: str, datum: str, surface: str) -> None:
    found = products.identify_product(file)
    assert found is not None
    assert (found.name, found.datum, found.surface) == (product, datum, surface)
    assert found.url.startswith("https://") and found.url in products.product_datum(found).known


@pytest.mark.parametrize("file", ["dem.tif", "myanmar_s1.tif", "N49E011.tif.aux.xml", "big_butte_30m.tif"])
def test_other_names_tell_nothing(file: str) -> None:
    assert products.identify_product(file) is None


def test_a_compound_crs_is_read_and_written_back(tmp_path: Path) -> None:
    source = open_source(write_raster(tmp_path / "a.tif", heights(), crs="EPSG:9518", transform=GEOGRAPHIC))
    assert source.vertical is not None and (source.vertical.name, source.vertical.epsg) == ("EGM2008", 3855)
    assert CRS.from_user_input(source.geobox.crs.to_wkt()).to_epsg() == 4326  # the grid itself is flat
    done = write_cog(
        tmp_path / "b.tif", source.geobox, [heights()[None]], band_names=["elevation"], units=["m"],
        vertical=source.vertical,
    )  # fmt: skip
    with rasterio.open(done.path) as file:
        assert CRS.from_wkt(file.crs.to_wkt()).to_epsg() == 9518
    again = open_source(done.path)
    vertical.same_or_raise(again.vertical, source.vertical)
    assert again.geobox == source.geobox


def test_a_projected_compound_and_an_ellipsoid_survive(tmp_path: Path) -> None:
    for name in ("EGM96", "WGS84 ellipsoid", "NAVD88"):
        datum = vertical.from_name(name)
        path = write_cog(
            tmp_path / "a.tif", utm_grid(40, 50), [heights()[None]], band_names=["elevation"], units=["m"],
            vertical=datum,
        ).path  # fmt: skip
        found = open_source(path).vertical
        assert found is not None and found.same(datum) and found.epsg == datum.epsg


def test_a_three_dimensional_crs_stands_on_its_ellipsoid(tmp_path: Path) -> None:
    found = vertical.from_crs(CRS.from_epsg(4979))
    assert found is not None and found.name == "WGS84 ellipsoid"
    assert horizontal(CRS.from_epsg(4979)).to_epsg() == 4326
    other = vertical.from_crs(CRS.from_epsg(4937))
    assert other is not None and not other.same(found)
    assert vertical.from_crs(CRS.from_epsg(4326)) is None


def test_the_option_fills_in_overrules_guesses_and_never_statements(tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "a.tif", heights())
    assert open_source(plain).vertical is None
    given = open_source(plain, vertical_datum="egm2008").vertical
    assert given is not None and given.name == "EGM2008"
    guessed = write_raster(tmp_path / "NASADEM_x.tif", heights())
    found = open_source(guessed).vertical
    assert found is not None and found.name == "EGM96"
    over = open_source(guessed, vertical_datum="NAVD88").vertical
    assert over is not None and over.name == "NAVD88"
    stated = write_raster(tmp_path / "b.tif", heights(), crs="EPSG:32633+3855")
    with pytest.raises(DatumError, match=r"EGM2008.*states EGM96"):
        open_source(stated, vertical_datum="EGM96")
    tagged = write_raster(tmp_path / "c.tif", heights(), tags={"VERTICAL_DATUM": "EGM96"})
    found = open_source(tagged).vertical
    assert found is not None and found.name == "EGM96"


def test_unlike_datums_are_refused_and_like_ones_pass() -> None:
    a, b = vertical.from_name("EGM96"), vertical.from_name("EGM2008")
    vertical.same_or_raise(a, vertical.from_name("5773", "elsewhere"))
    vertical.same_or_raise(a, None)
    vertical.same_or_raise(None, b)
    with pytest.raises(DatumError, match=r"EGM96 .*EGM2008 .*gdalwarp"):
        vertical.same_or_raise(a, b, "dem.tif", "truth.tif")


@pytest.mark.parametrize("text", ["sea level of my village", "EPSG:4326", "EPSG:99999", ""])
def test_names_that_are_no_datum_are_refused(text: str) -> None:
    with pytest.raises(DatumError, match="is not a known vertical datum"):
        vertical.from_name(text)


def test_other_vertical_crs_are_taken_by_code() -> None:
    found = vertical.from_name("EPSG:5776")  # NN54 height
    assert found.epsg == 5776
    inside = vertical.from_name("EPSG:9518")
    assert inside.name == "EGM2008"
