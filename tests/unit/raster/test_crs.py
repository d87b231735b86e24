"""Parts of a CRS: bound, compound and 3D ones of any kind; placeholders; and units of height that nobody states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS
from pyproj.crs import BoundCRS, CompoundCRS
from tests.support.crs import GAUSS, ROTATED
from tests.support.rasters import heights, read_all, utm_grid, write_raster

from terrafine.errors import DatumError, GridError
from terrafine.raster import vertical
from terrafine.raster.crs import horizontal, is_placeholder, length_unit, same_place, unbound, vertical_unit
from terrafine.raster.read.source import open_source
from terrafine.raster.units import unit_factor

FEET = {
    "EPSG:2263": "US survey foot",
    "EPSG:2225": "US survey foot",
    "EPSG:2222": "foot",
    "EPSG:2276": "US survey foot",
    "+proj=lcc +lat_1=40 +lat_2=41 +lat_0=40 +lon_0=-74 +datum=NAD83 +units=ft": "foot",
    "+proj=utm +zone=33 +datum=WGS84 +units=km": "kilometre",
    "EPSG:3140": "link",
    "EPSG:27291": "British yard",
    "EPSG:2136": "Gold Coast foot",
    "EPSG:29371": "metre",
}


PLACEHOLDERS = """unknown|Unknown|unnamed|undefined|Undefined_Height|none|None|n/a|N/A|not specified|Not_Specified|
unspecified||?|-|vertical|Vertical datum|height|Heights|geoid|local|Local Vertical Datum|user-defined|unknown height|
custom vertical|Null|TBD|no datum|missing|orthometric height|Unknown_VCS|unretrievable - using WGS84|
Unknown based on WGS 84 ellipsoid""".replace("\n", "").split("|")
SPELLINGS = {
    **{
        "cm": 0.01,
        "mm": 0.001,
        "dm": 0.1,
        "km": 1000.0,
        "ft": 0.3048,
        "us-ft": 1200 / 3937,
        "Metre": 1.0,
        "METERS": 1.0,
    },
    **{"US survey foot": 1200 / 3937, "U.S. Survey Feet": 1200 / 3937, "foot (US survey)": 1200 / 3937},
    **{"us_ft": 1200 / 3937, "Foot_US": 1200 / 3937, "ft (intl)": 0.3048, "International Feet": 0.3048},
}


def compound(name: str, flat: str = "EPSG:32632", unit: str = 'UNIT["metre",1]', datum: str | None = None) -> str:
    wkt = CRS.from_user_input(flat).to_wkt("WKT1_GDAL")
    return f'COMPD_CS["{name}",{wkt},VERT_CS["{name}",VERT_DATUM["{datum or name}",2005],{unit},AXIS["Up",UP]]]'


@pytest.mark.parametrize(
    ("crs", "datum"),
    [
        (CRS.from_epsg(4979), "WGS84 ellipsoid"),
        (CRS.from_epsg(32632).to_3d(), "WGS84 ellipsoid"),
        (CRS.from_epsg(3857).to_3d(), "WGS84 ellipsoid"),
        (CRS.from_epsg(25832).to_3d(), "ellipsoid of ETRS89"),
        (CRS.from_epsg(6318).to_3d(), "ellipsoid of NAD83(2011)"),
        (CRS.from_epsg(2263).to_3d(), "ellipsoid of NAD83"),
        (ROTATED.to_3d(), "WGS84 ellipsoid"),
        (CRS.from_proj4(GAUSS + " +vunits=m"), "ellipsoid of Bessel 1841"),
        (BoundCRS(CRS.from_epsg(31467).to_3d(), CRS.from_epsg(4979), CRS.from_proj4(GAUSS).coordinate_operation), ""),
    ],
)
def test_a_crs_of_three_axes_states_its_ellipsoid(crs: CRS, datum: str) -> None:
    found = vertical.from_crs(crs)
    assert found is not None and found.name == (datum or "ellipsoid of DHDN")
    assert len(horizontal(crs).axis_info) == 2 and vertical.from_crs(horizontal(crs)) is None
    assert horizontal(crs).is_bound == crs.is_bound
    assert vertical.from_name(found.name).same(found)  # as the tag of an output states it
    with pytest.raises(DatumError):
        vertical.same_or_raise(found, vertical.from_name("EGM2008"))


@pytest.mark.parametrize("code", [4978, 4326, 32632, 2263])
def test_a_crs_without_a_height_axis_states_no_datum(code: int) -> None:
    assert vertical.from_crs(CRS.from_epsg(code)) is None


def test_a_bound_vertical_crs_is_read_like_the_crs_itself() -> None:
    grids = CRS.from_proj4("+proj=utm +zone=32 +datum=WGS84 +geoidgrids=egm96_15.gtx +units=m +vunits=m")
    assert vertical.from_crs(grids) is None and vertical_unit(grids) == 1.0
    bound = CompoundCRS("x", [CRS.from_proj4(GAUSS), CRS.from_epsg(5783)])
    found = vertical.from_crs(bound)
    assert found is not None and found.name == "DHHN92" and horizontal(bound).is_bound
    assert not unbound(horizontal(bound)).is_bound


@pytest.mark.parametrize("name", PLACEHOLDERS)
@pytest.mark.parametrize("driver", ["GTiff", "VRT"])
def test_placeholders_are_no_datum_and_the_option_fills_them_in(name: str, driver: str, tmp_path: Path) -> None:
    assert is_placeholder(name)
    path = write_raster(tmp_path / "a.tif", heights(), crs=compound(name) if driver == "GTiff" else "EPSG:32632")
    if driver == "VRT":
        path = tmp_path / "a.vrt"
        path.write_text(
            f"<VRTDataset rasterXSize='50' rasterYSize='40'><SRS>{compound(name)}</SRS>"
            "<GeoTransform>500000,30,0,5000000,0,-30</GeoTransform><VRTRasterBand dataType='Float32' band='1'>"
            "<SimpleSource><SourceFilename relativeToVRT='1'>a.tif</SourceFilename><SourceBand>1</SourceBand>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    with open_source(path) as source:
        assert source.vertical is None
    with open_source(path, vertical_datum="EGM2008") as source:
        assert source.vertical is not None and source.vertical.name == "EGM2008"
    tagged = write_raster(tmp_path / "b.tif", heights(), tags={"VERTICAL_DATUM": name})
    with open_source(tagged, vertical_datum="EGM96") as source:
        assert source.vertical is not None and source.vertical.name == "EGM96"


@pytest.mark.parametrize("name", ["EGM96", "NAVD88 height", "my lake gauge 1950", "Baltic 1977", "MSL", "NN54"])
def test_names_are_no_placeholders(name: str, tmp_path: Path) -> None:
    assert not is_placeholder(name)
    with open_source(write_raster(tmp_path / "a.tif", heights(), crs=compound(name))) as source:
        assert source.vertical is not None
    with pytest.raises(DatumError, match="its heights are above"):
        open_source(tmp_path / "a.tif", vertical_datum="CGVD2013")
    tagged = write_raster(tmp_path / "b.tif", heights(), tags={"VERTICAL_DATUM": name})
    with open_source(tagged) as source:
        assert source.vertical is not None


def test_an_unknown_vertical_crs_may_name_its_datum() -> None:
    found = vertical.from_crs(CRS.from_wkt(compound("unknown", datum="EGM96 geoid")))
    assert found is not None and found.name == "EGM96"


@pytest.mark.parametrize(("crs", "unit"), FEET.items())
def test_heights_of_unstated_unit_are_refused_where_the_crs_is_not_in_metres(
    crs: str, unit: str, tmp_path: Path
) -> None:
    at = Affine(100, 0, 500_000, 0, -100, 5_000_000) if "km" not in crs else Affine(0.03, 0, 500, 0, -0.03, 5000)
    path = write_raster(tmp_path / "a.tif", heights(), crs=crs, transform=at)
    if unit == "metre":
        open_source(path).close()
        return
    with pytest.raises(GridError, match=rf"CRS measures {unit}.*elevation_unit=UNIT"):
        open_source(path)
    with open_source(path, elevation_unit="us-ft") as source:
        assert np.allclose(read_all(source)[0], heights() * 1200 / 3937, atol=1e-3)
    with open_source(write_raster(tmp_path / "b.tif", heights(), crs=crs, transform=at, unit="cm")) as source:
        assert np.allclose(read_all(source)[0], heights() / 100, atol=1e-3)
    for placeholder in ("unknown", "none", "n/a", "?", "not specified"):
        named = write_raster(tmp_path / "c.tif", heights(), crs=crs, transform=at, unit=placeholder)
        with pytest.raises(GridError, match="elevation_unit=UNIT"):
            open_source(named)
    radar = write_raster(tmp_path / "d.tif", np.full((2, 9, 9), -12.0, np.float32), crs=crs, names=("vv", "vh"))
    with open_source(radar, want=("vv",)) as source:
        assert source.read("vv", slice(0, 2), slice(0, 2))[1].all()  # not a height


def test_the_vertical_axis_states_the_unit_under_a_crs_in_feet(tmp_path: Path) -> None:
    for crs, metres in (("EPSG:2263+6360", 1200 / 3937), ("EPSG:2263+5703", 1.0), (CRS(2263).to_3d().to_wkt(), 1.0)):
        path = write_raster(tmp_path / "a.tif", heights(), crs=crs)
        with open_source(path) as source:
            assert np.allclose(read_all(source)[0], heights() * metres, atol=1e-3)


def test_an_engineering_crs_in_feet_is_asked_for_the_unit_too(tmp_path: Path) -> None:
    crs = 'LOCAL_CS["site",UNIT["foot",0.3048]]'
    path = write_raster(tmp_path / "a.tif", heights(), crs=crs)
    with pytest.raises(GridError, match="elevation_unit=UNIT"):
        open_source(path, pixel_size_m=3.0)
    open_source(path, pixel_size_m=3.0, elevation_unit="ft").close()


def test_a_mosaic_whose_one_file_states_no_unit_is_refused(tmp_path: Path) -> None:
    one = write_raster(tmp_path / "a.tif", heights(), crs="EPSG:2263", unit="ft")
    two = write_raster(tmp_path / "b.tif", heights(), crs="EPSG:2263")
    with pytest.raises(GridError, match=r"b\.tif: nothing states the unit"):
        open_source([one, two])


@pytest.mark.parametrize("unit", ["unknown", "none", "N/A", "unspecified", "not specified", "?", "-", " "])
def test_placeholders_are_no_unit(unit: str, tmp_path: Path) -> None:
    with open_source(write_raster(tmp_path / "a.tif", heights(), unit=unit)) as source:
        assert np.array_equal(read_all(source)[0], heights())


def test_depths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="measures depth"):
        open_source(write_raster(tmp_path / "a.tif", heights(), crs="EPSG:32632+5715"))


@pytest.mark.parametrize(("text", "metres"), SPELLINGS.items())
def test_units_in_their_usual_spellings(text: str, metres: float) -> None:
    assert unit_factor(text, "a.tif") == pytest.approx(metres, rel=1e-12)


def test_length_units() -> None:
    assert length_unit(CRS.from_epsg(4326)) is None and length_unit(CRS.from_epsg(4979)) is None
    assert length_unit(CRS.from_proj4(GAUSS)) == ("metre", 1.0)
    name, metres = length_unit(CRS.from_user_input("EPSG:2263+5703")) or ("", 0.0)
    assert name == "US survey foot" and metres == pytest.approx(1200 / 3937)


def test_the_same_place_is_told_from_one_some_metres_away() -> None:
    grid = utm_grid(40, 50)
    utm = CRS.from_epsg(32633)
    assert same_place(utm, CRS.from_proj4("+proj=utm +zone=33 +datum=WGS84"), grid)
    assert same_place(utm, CRS.from_user_input("EPSG:32633+5773"), grid)
    assert same_place(utm, utm.to_3d(), grid)
    assert not same_place(utm, CRS.from_epsg(32634), grid)
    assert not same_place(utm, CRS.from_epsg(23033), grid)  # ED50: another ellipsoid
    shifted = CRS.from_proj4(GAUSS)
    assert same_place(shifted, CRS.from_wkt(shifted.to_wkt("WKT1_GDAL")), grid)
    assert not same_place(shifted, unbound(shifted), grid)
    assert not same_place(shifted, CRS.from_proj4(GAUSS.replace("598.1", "598.11")), grid)
    assert same_place(ROTATED, ROTATED.to_3d(), grid) and not same_place(ROTATED, CRS.from_epsg(4326), grid)


@pytest.mark.parametrize("unit", ["%", "ft²", "m2", "m^2", "m³", "m/s", "°", "ft-1 2", "m*m", "‰"])
def test_a_power_a_ratio_and_a_percentage_are_no_length_and_no_placeholder(unit: str, tmp_path: Path) -> None:
    with pytest.raises(GridError, match="an unknown unit; expected one of m, km"):
        open_source(write_raster(tmp_path / "a.tif", heights(), unit=unit))


@pytest.mark.parametrize(("unit", "metres"), [("[m]", 1.0), ("(ft)", 0.3048), ("US_survey.foot", 1200 / 3937)])
def test_what_only_joins_letters_does_not_change_a_unit(unit: str, metres: float) -> None:
    assert unit_factor(unit, "a.tif") == pytest.approx(metres, rel=1e-12)
