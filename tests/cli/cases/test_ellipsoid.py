"""A CRS with three axes states that heights are above the ellipsoid, projected or not, in every verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
from pyproj import CRS
from tests.support.cases import assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster

import terrafine as library
from terrafine.errors import TerrafineError

DEGREES = {"cell": 1 / 3600, "origin": (9.0, 45.0)}
METRES = {"cell": 30.0, "origin": (500_000.0, 5_000_000.0)}
# Name: CRS with three axes, the same with a geoid datum, and where it lies.
CASES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "utm": (CRS(32633).to_3d(), "EPSG:32633+3855", METRES),
    "etrs": (CRS(25832).to_3d(), "EPSG:25832+3855", METRES),
    "lambert": (CRS(2154).to_3d(), "EPSG:2154+3855", {"cell": 30.0, "origin": (700_000.0, 6_600_000.0)}),
    "wgs84": (CRS(4979), "EPSG:4326+3855", DEGREES),
    "itrf2014": (CRS(7912), "EPSG:9000+3855", DEGREES),
    "etrs89": (CRS(4937), "EPSG:4258+3855", DEGREES),
    "polar": (CRS(3413).to_3d(), "EPSG:3413+3855", {"cell": 100.0, "origin": (0.0, -2_000_000.0)}),
}


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Heights above the ellipsoid, and above EGM2008 45 m lower."""
    above, geoid, where = CASES[name]
    z = ground().astype(np.float32)
    ellipsoid = write_raster(folder / "ellipsoid.tif", z, crs=above.to_wkt(), **where)
    return ellipsoid, write_raster(folder / "geoid.tif", z - 45, crs=geoid, **where)


@pytest.mark.parametrize("name", CASES)
def test_info_and_evaluate_know_the_ellipsoid(name: str, tmp_path: Path) -> None:
    ellipsoid, geoid = pair(tmp_path, name)
    shown = terrafine("info", ellipsoid)
    assert any("ellips" in x.lower() for x in shown.output.splitlines() if x.lower().startswith("vertical")), (
        shown.output
    )
    options = ("--no-hydrology", "--no-coregistration", "--quiet")
    assert_refused(terrafine("evaluate", ellipsoid, geoid, *options), code=6)
    assert_refused(terrafine("evaluate", geoid, ellipsoid, *options), code=6)
    assert_refused(terrafine("evaluate", ellipsoid, ellipsoid, "--vertical-datum", "EGM2008", *options), code=6)


@pytest.mark.parametrize("name", ["utm", "wgs84", "lambert"])
def test_a_mosaic_of_two_datums_is_refused(name: str, tmp_path: Path) -> None:
    _, geoid = pair(tmp_path, name)
    above, _, where = CASES[name]
    x, y = where["origin"]
    east, out = tmp_path / "east.tif", tmp_path / "o.tif"
    write_raster(
        east, ground().astype(np.float32), crs=above.to_wkt(), cell=where["cell"], origin=(x + 48 * where["cell"], y)
    )
    assert_refused(sharpen(geoid, east, out), output=out, code=6)


@pytest.mark.parametrize("name", CASES)
def test_the_output_states_the_ellipsoid_too(name: str, tmp_path: Path) -> None:
    ellipsoid, geoid = pair(tmp_path, name)
    out = tmp_path / "o.tif"
    result = sharpen(ellipsoid, out)
    assert result.exit_code == 0, result.output
    shown = terrafine("info", out)
    assert any("ellips" in x.lower() for x in shown.output.splitlines() if x.lower().startswith("vertical")), (
        shown.output
    )
    with rasterio.open(out) as file, rasterio.open(ellipsoid) as source:
        assert CRS(file.crs.to_wkt()).to_2d() == CRS(source.crs.to_wkt()).to_2d()
    assert_refused(sharpen(ellipsoid, tmp_path / "x.tif", "--vertical-datum", "EGM2008"), code=6)
    assert_refused(terrafine("evaluate", out, geoid, "--no-hydrology", "--quiet"), code=6)


def test_other_crs_and_formats_keep_it(tmp_path: Path) -> None:
    import rasterio.shutil

    ellipsoid, geoid = pair(tmp_path, "utm")
    rasterio.shutil.copy(ellipsoid, tmp_path / "v.vrt", driver="VRT")
    for source in (tmp_path / "v.vrt", ellipsoid):
        out = tmp_path / f"{source.stem}o.tif"
        result = sharpen(source, out, "--t-srs", "EPSG:25833")
        assert result.exit_code == 0, result.output
        assert_refused(terrafine("evaluate", out, geoid, "--no-hydrology", "--quiet"), code=6)


def test_an_array_keeps_it(tmp_path: Path) -> None:
    ellipsoid, _ = pair(tmp_path, "utm")
    array = rioxarray.open_rasterio(ellipsoid, masked=True).squeeze()
    fine = library.sharpen_dem(array, model="nearest", scale=2)
    assert len(CRS(fine.rio.crs.to_wkt()).axis_info) == 3 or "llips" in str(fine.attrs)
    with pytest.raises(TerrafineError):
        library.sharpen_dem(array, model="nearest", scale=2, vertical_datum="EGM2008")
