"""A placeholder for a vertical datum states nothing, so an option fills it in; a real name stays a statement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.cases import assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster

PLACEHOLDERS = (
    "unknown", "unnamed", "Unknown", "UNKNOWN", "undefined", "not specified", "unknown vertical datum", "none", "n/a",
    "unspecified", "Unknown height", "user-defined", "local", "VerticalDatum", "Not known",
)  # fmt: skip


def compound(datum: str, crs: str = "EPSG:32633") -> str:
    """WKT of a compound CRS with that name as its vertical datum."""
    from pyproj import CRS

    horizontal = CRS(crs).to_wkt("WKT1_GDAL")
    return f'COMPD_CS["c",{horizontal},VERT_CS["{datum}",VERT_DATUM["{datum}",2005],UNIT["metre",1],AXIS["Up",UP]]]'


def dem(path: Path, datum: str, crs: str = "EPSG:32633") -> Path:
    where = {"cell": 1 / 3600, "origin": (9.0, 45.0)} if crs == "EPSG:4326" else {}
    return write_raster(path, ground().astype(np.float32), crs=compound(datum, crs), **where)


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3035"])
@pytest.mark.parametrize("name", [p for p in PLACEHOLDERS if p not in ("local", "VerticalDatum", "user-defined")])
def test_the_option_fills_a_placeholder_in(name: str, crs: str, tmp_path: Path) -> None:
    source, out = dem(tmp_path / "a.tif", name, crs), tmp_path / "o.tif"
    result = sharpen(source, out, "--vertical-datum", "EGM2008")
    assert result.exit_code == 0, result.output
    assert "EGM2008" in terrafine("info", out).output


@pytest.mark.parametrize("name", ["unknown", "unnamed", "undefined", "not specified"])
def test_info_and_evaluate_take_it_as_no_datum(name: str, tmp_path: Path) -> None:
    source = dem(tmp_path / "a.tif", name)
    known = write_raster(tmp_path / "b.tif", ground().astype(np.float32), crs="EPSG:32633+3855")
    shown = [x for x in terrafine("info", source).output.lower().splitlines() if x.startswith("vertical")]
    assert not any(name in x and "not" not in x for x in shown if name != "unknown"), shown
    options = ("--no-hydrology", "--no-coregistration", "--quiet")
    assert terrafine("evaluate", source, known, *options).exit_code == 0
    assert terrafine("evaluate", source, known, "--vertical-datum", "EGM2008", *options).exit_code == 0


@pytest.mark.parametrize("name", ["unknown", "unnamed", "undefined"])
def test_a_placeholder_in_the_tag_states_nothing(name: str, tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", ground().astype(np.float32), tags={"VERTICAL_DATUM": name})
    result = sharpen(source, tmp_path / "o.tif", "--vertical-datum", "EGM96")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["NAVD88 height", "EGM96 height", "Amsterdam Ordnance Datum", "My Lake Gauge 1912"])
def test_a_real_name_stays_a_statement(name: str, tmp_path: Path) -> None:
    source, out = dem(tmp_path / "a.tif", name), tmp_path / "o.tif"
    assert_refused(sharpen(source, out, "--vertical-datum", "EGM2008"), output=out, code=6)
