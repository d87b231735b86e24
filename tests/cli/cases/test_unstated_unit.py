"""Heights whose unit nobody states, under a CRS that is not in metres, are refused; a stated unit is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray
from tests.support.cases import FOOT, SURVEY_FOOT, assert_heights, assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster

import terrafine as library
from terrafine.errors import TerrafineError

FEET: dict[str, Any] = {"crs": "EPSG:2263", "cell": 10, "origin": (980_000, 200_000)}
# A CRS in US survey feet, international feet, kilometres, British feet (1865), Clarke's feet, and chains.
LENGTHS = {
    "us-ft": "EPSG:2263",
    "ft": "EPSG:2222",
    "km": "+proj=utm +zone=33 +datum=WGS84 +units=km",
    "custom-us-ft": "+proj=tmerc +lat_0=40 +lon_0=-100 +k=1 +x_0=0 +y_0=0 +datum=NAD83 +units=us-ft",
    "clarke-ft": "EPSG:2314",
    "chains": "+proj=tmerc +lat_0=40 +lon_0=-100 +k=1 +x_0=0 +y_0=0 +datum=NAD83 +units=ch",
    "nad83-2011": "EPSG:6539",
    "compound": "EPSG:2263+3855",
}
CELLS = {"km": 0.03, "chains": 1.0}
FORMATS = {"GTiff": ".tif", "HFA": ".img", "ENVI": ".bil", "AAIGrid": ".asc"}


def feet(path: Path, z: np.ndarray | None = None, **more: Any) -> Path:
    z = ground() if z is None else z
    return write_raster(path, (z / FOOT).astype(np.float32), **(FEET | more))


@pytest.mark.parametrize("name", [n for n in LENGTHS if n != "compound"])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_dem_refuses_a_crs_of_another_length(name: str, dtype: str, tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    heights = np.round(ground()).astype(dtype)
    where = {"crs": LENGTHS[name], "cell": CELLS.get(name, 100.0), "origin": (980.0, 2000.0), "nodata": -9999}
    path = write_raster(tmp_path / "a.tif", heights, **where)
    assert_refused(sharpen(path, out), "--elevation-unit", output=out)


@pytest.mark.parametrize("driver", ["HFA", "ENVI", "AAIGrid", "VRT"])
def test_dem_refuses_in_every_format(driver: str, tmp_path: Path) -> None:
    import rasterio.shutil

    plain, out = feet(tmp_path / "a.tif"), tmp_path / "o.tif"
    path = tmp_path / f"b{FORMATS.get(driver, '.vrt')}"
    rasterio.shutil.copy(plain, path, driver=driver)
    assert_refused(sharpen(path, out), "--elevation-unit", output=out)
    assert_heights(sharpen(path, out, "--elevation-unit", "ft"), out, ground())


@pytest.mark.parametrize(
    ("unit", "factor"), [("ft", FOOT), ("us-ft", SURVEY_FOOT), ("m", 1.0), ("cm", 0.01), ("dm", 0.1), ("km", 1000.0)]
)
def test_the_unit_that_is_given_is_converted(unit: str, factor: float, tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    path = write_raster(tmp_path / "a.tif", (ground() / factor).astype(np.float64), **FEET)
    assert_heights(sharpen(path, out, "--elevation-unit", unit), out, ground())


@pytest.mark.parametrize(("unit", "factor"), [("ft", FOOT), ("US survey foot", SURVEY_FOOT), ("metre", 1.0)])
def test_the_unit_of_the_band_serves(unit: str, factor: float, tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    path = write_raster(tmp_path / "a.tif", (ground() / factor).astype(np.float64), unit=unit, **FEET)
    assert_heights(sharpen(path, out), out, ground())


@pytest.mark.parametrize(("crs", "factor"), [("EPSG:2263+6360", SURVEY_FOOT), ("EPSG:2263+5703", 1.0)])
def test_the_unit_of_the_vertical_crs_serves(crs: str, factor: float, tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    path = write_raster(tmp_path / "a.tif", (ground() / factor).astype(np.float64), **(FEET | {"crs": crs}))
    assert_heights(sharpen(path, out), out, ground())


def test_metres_of_a_metric_and_a_geographic_crs_need_no_word(tmp_path: Path) -> None:
    for name, crs, cell, origin in (("u", "EPSG:32633", 30.0, (5e5, 5e6)), ("g", "EPSG:4326", 1 / 3600, (15.0, 45.0))):
        path = write_raster(tmp_path / f"{name}.tif", ground().astype(np.float32), crs=crs, cell=cell, origin=origin)
        assert_heights(sharpen(path, tmp_path / f"{name}o.tif"), tmp_path / f"{name}o.tif", ground())


@pytest.mark.parametrize("role", ["candidate", "reference", "coarse", "both"])
def test_evaluate_refuses(role: str, tmp_path: Path) -> None:
    plain = {"unit": "ft"}
    candidate = feet(tmp_path / "c.tif", **({} if role in ("candidate", "both") else plain))
    reference = feet(tmp_path / "r.tif", **({} if role in ("reference", "both") else plain))
    options: list[object] = ["--no-hydrology", "--quiet"]
    if role == "coarse":
        z = ground().reshape(24, 2, 24, 2).mean(axis=(1, 3))
        options += ["--coarse", feet(tmp_path / "l.tif", z, cell=20)]
    assert_refused(terrafine("evaluate", candidate, reference, *options), "--elevation-unit")


def test_a_mosaic_with_one_silent_tile_is_refused(tmp_path: Path) -> None:
    west, out = feet(tmp_path / "w.tif", unit="ft"), tmp_path / "o.tif"
    east = feet(tmp_path / "e.tif", origin=(980_480, 200_000))
    assert_refused(sharpen(west, east, out), "--elevation-unit", output=out)


def test_radar_refuses(tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    result = terrafine("radar", feet(tmp_path / "a.tif"), "--out", out, "--orbit", "ascending", "--quiet")
    assert_refused(result, "--elevation-unit", output=out)


def test_python_refuses_a_file_and_an_array(tmp_path: Path) -> None:
    path = feet(tmp_path / "a.tif")
    array = rioxarray.open_rasterio(path, masked=True).squeeze()
    for given in ((path, tmp_path / "o.tif"), (array,)):
        with pytest.raises(TerrafineError, match="elevation_unit=") as error:
            library.sharpen_dem(*given, model="nearest", scale=2)
        assert "--" not in str(error.value)
    fine = library.sharpen_dem(array, model="nearest", scale=2, elevation_unit="ft")
    assert abs(float(fine.mean()) - ground().mean()) < 0.05
