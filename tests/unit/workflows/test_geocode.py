"""Sentinel-1 GRD on a map grid: points of the geolocation grid that ESA wrote into a real product land where it says.

Annotation, orbit and calibration are those of a real product over Rome; its image is made here, with bright points at
lines and pixels of the geolocation grid, whose longitude, latitude, height and incidence the product states.
"""

from __future__ import annotations

import copy
import datetime
import functools
import math
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine
from tests.support.cli import terrafine as run_cli
from tests.support.ground_range import (
    CELL,
    DARK,
    SIDE,
    brightest_place,
    chosen,
    plain,
    write_safe,
)
from tests.support.rasters import read_bands

import terrafine
from terrafine.acquire.ground_range import GroundRange, open_ground_range
from terrafine.errors import EmptyError, MissingExtraError, SourceError, TerrafineError, UsageError
from terrafine.raster.geocentric import geocentric

pytest.importorskip("sarsen")
OPENED = functools.cache(open_ground_range)


@pytest.fixture(autouse=True)
def opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are parsed once for all tests here: their XML takes seconds."""
    monkeypatch.setattr("terrafine.acquire.ground_range.open_ground_range", OPENED)


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product with an image of dark ground around four bright points."""
    made = write_safe(tmp_path_factory.mktemp("sentinel1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OPENED(made)  # here, so that its open file belongs to the module
    return made


@pytest.mark.parametrize("number", range(4))
def test_a_point_lands_where_the_product_says_with_its_incidence(number: int, safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[number]
    row, column = plain(tmp_path / "dem.tif", point, point["height"])
    done = terrafine.geocode_radar(safe, tmp_path / "out.tif", dem=tmp_path / "dem.tif", vertical_datum="ellipsoid")
    bands, tags = read_bands(tmp_path / "out.tif")
    assert set(bands) == {"vv", "incidence", "clear_count"}
    found = brightest_place(bands["vv"])
    assert math.hypot(found[0] - row, found[1] - column) * CELL < 5.0
    angle = bands["incidence"][int(row), int(column)]
    assert angle == pytest.approx(point["incidenceAngle"], abs=0.03)
    assert (bands["clear_count"] == 1).all()
    assert (tags["ORBIT"], tags["SOURCE_KIND"], tags["DATES"]) == (
        "descending",
        "sentinel-1-grd",
        "2021-12-23/2021-12-23",
    )
    assert (done.orbit, done.dates, done.empty_share) == ("descending", 1, 0.0)


def test_numbers_become_sigma0_by_the_calibration_of_the_product(safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[1]
    plain(tmp_path / "dem.tif", point, point["height"])
    terrafine.geocode_radar(safe, tmp_path / "out.tif", dem=tmp_path / "dem.tif", vertical_datum="ellipsoid")
    (path,) = (safe / "annotation" / "calibration").glob("*.xml")
    vectors = list(ElementTree.parse(path).iter("calibrationVector"))
    nearest = min(vectors, key=lambda v: abs(float(str(v.findtext("line"))) - point["line"]))
    pixels, sigma = ([float(v) for v in str(nearest.findtext(n)).split()] for n in ("pixel", "sigmaNought"))
    expected = 20 * math.log10(DARK / np.interp(point["pixel"], pixels, sigma))
    assert np.median(read_bands(tmp_path / "out.tif")[0]["vv"]) == pytest.approx(expected, abs=0.05)


def test_ground_that_is_taken_too_high_moves_away_from_the_sensor_by_height_over_the_tangent(
    safe: Path, tmp_path: Path
) -> None:
    """And heights above a geoid are heights above the ellipsoid after `geoid_m` is added."""
    point = chosen(safe)[2]
    row, column = plain(tmp_path / "high.tif", point, point["height"] + 60.0)
    terrafine.geocode_radar(safe, tmp_path / "a.tif", dem=tmp_path / "high.tif", vertical_datum="ellipsoid")
    high = brightest_place(read_bands(tmp_path / "a.tif")[0]["vv"])
    moved = CELL * math.hypot(high[0] - row, high[1] - column)
    assert moved == pytest.approx(60.0 / math.tan(math.radians(point["incidenceAngle"])), rel=0.06)
    assert high[1] < column  # the sensor of a descending pass is in the east
    terrafine.geocode_radar(
        safe, tmp_path / "b.tif", dem=tmp_path / "high.tif", vertical_datum="EGM2008", geoid_m=-60.0
    )
    right = brightest_place(read_bands(tmp_path / "b.tif")[0]["vv"])
    assert CELL * math.hypot(right[0] - row, right[1] - column) < 5.0


class Brighter(GroundRange):
    """A later pass that sees three times the amplitude."""

    def observe(self, places: np.ndarray, polarisations: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        power, incidence = super().observe(places, polarisations)
        return 9 * power, incidence


def of_kind(safe: Path, kind: type[GroundRange], **changed: Any) -> GroundRange:
    """The product with what is changed."""
    made = copy.copy(OPENED(safe))
    made.__class__ = kind
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def test_dates_are_averaged_as_power_and_blocks_join(
    safe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = of_kind(safe, Brighter, name="later", day=datetime.date(2022, 1, 4))
    monkeypatch.setattr(
        "terrafine.acquire.ground_range.open_ground_range", lambda p: later if p.name == "later" else OPENED(p)
    )
    point = chosen(safe)[0]
    plain(tmp_path / "dem.tif", point, point["height"])
    given: dict[str, Any] = {"dem": tmp_path / "dem.tif", "vertical_datum": "ellipsoid"}
    terrafine.geocode_radar(safe, tmp_path / "one.tif", **given)
    terrafine.geocode_radar(["later", safe], tmp_path / "two.tif", **given)
    (one, _), (two, tags) = (read_bands(tmp_path / f"{n}.tif") for n in ("one", "two"))
    assert np.median(two["vv"] - one["vv"]) == pytest.approx(10 * math.log10(5), abs=0.01)  # (1 + 9) / 2
    assert (two["clear_count"] == 2).all() and tags["DATES"] == "2021-12-23/2022-01-04"
    monkeypatch.setattr("terrafine.workflows.geocode._BLOCK", 29)
    terrafine.geocode_radar(["later", safe], tmp_path / "blocks.tif", **given)
    np.testing.assert_allclose(read_bands(tmp_path / "blocks.tif")[0]["vv"], two["vv"], atol=1e-4)


def test_two_tracks_are_noted(safe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = of_kind(safe, GroundRange, name="other", relative_orbit=7)
    monkeypatch.setattr(
        "terrafine.acquire.ground_range.open_ground_range", lambda p: other if p.name == "other" else OPENED(p)
    )
    point = chosen(safe)[0]
    plain(tmp_path / "dem.tif", point, point["height"], size=8)
    done = terrafine.geocode_radar(
        ["other", safe], tmp_path / "o.tif", dem=tmp_path / "dem.tif", vertical_datum="ellipsoid"
    )
    assert "take one track" in done.notes[0]
    assert read_bands(tmp_path / "o.tif")[1]["SOURCE_KIND"] == "sentinel-1-grd"


def test_cells_without_heights_or_beyond_the_image_are_nodata(safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[0]
    plain(tmp_path / "dem.tif", point, point["height"])
    with rasterio.open(tmp_path / "dem.tif", "r+") as file:
        heights = file.read()
        heights[:, 3, 4] = -9999.0
        file.write(heights)
    given: dict[str, Any] = {"vertical_datum": "ellipsoid"}
    done = terrafine.geocode_radar(safe, tmp_path / "a.tif", dem=tmp_path / "dem.tif", **given)
    bands, _ = read_bands(tmp_path / "a.tif")
    assert np.isnan(bands["vv"]).sum() == 1 and np.isnan(bands["vv"][3, 4])
    assert done.empty_share == pytest.approx(1 / SIDE**2) and "have no backscatter" in done.notes[0]
    away = {**point, "longitude": point["longitude"] + 20.0}
    plain(tmp_path / "away.tif", away, 0.0, crs="EPSG:32636")
    with pytest.raises(EmptyError, match="none of 1 products shows the ground"):
        terrafine.geocode_radar(safe, tmp_path / "b.tif", dem=tmp_path / "away.tif", **given)
    assert not (tmp_path / "b.tif").exists()


def test_what_cannot_serve_is_refused_with_what_to_do(
    safe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = chosen(safe)[0]
    plain(tmp_path / "dem.tif", point, point["height"])
    ascending = tmp_path / "A.SAFE"
    risen = of_kind(safe, GroundRange, path=ascending, name="A", orbit="ascending")
    monkeypatch.setattr(
        "terrafine.acquire.ground_range.open_ground_range", lambda p: risen if p == ascending else OPENED(p)
    )
    broken = tmp_path / "B.SAFE"
    shutil.copytree(safe, broken)
    (annotation,) = (broken / "annotation").glob("*.xml")
    annotation.write_text(annotation.read_text()[:5000])
    out, datum = tmp_path / "o.tif", {"vertical_datum": "ellipsoid"}
    cases: list[tuple[Any, dict[str, Any], type[TerrafineError], str]] = [
        (safe, {}, UsageError, "State how high the geoid is above the ellipsoid there, in metres: geoid_m=N"),
        (safe, {"vertical_datum": "EGM2008"}, UsageError, "its heights are above EGM2008"),
        (safe, {**datum, "geoid_m": 48.0}, UsageError, "above the ellipsoid already; leave geoid_m out"),
        (safe, {"geoid_m": 4800.0}, UsageError, "expected -120 to 120 metres"),
        ([safe, ascending], datum, UsageError, "expected one direction"),
        ([safe, safe], datum, UsageError, "is given twice"),
        ([], datum, UsageError, "expected at least one"),
        (tmp_path, datum, SourceError, "has no manifest.safe; expected the SAFE folder of a Sentinel-1 GRD product"),
        (broken, datum, SourceError, "cannot be read as a Sentinel-1 product"),
    ]
    for products, given, kind, message in cases:
        with pytest.raises(kind, match=message):
            terrafine.geocode_radar(products, out, dem=tmp_path / "dem.tif", **given)
    monkeypatch.setitem(sys.modules, "sarsen", None)
    monkeypatch.setattr("terrafine.acquire.ground_range.open_ground_range", open_ground_range)
    with pytest.raises(MissingExtraError, match=r"pip install 'terrafine\[radar\]'"):
        terrafine.geocode_radar(safe, out, dem=tmp_path / "dem.tif", **datum)
    assert not out.exists()


def test_the_command_line_geocodes_and_names_its_own_options(safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[3]
    plain(tmp_path / "dem.tif", point, point["height"])
    command = ("geocode", safe, "-o", tmp_path / "o.tif", "--dem", tmp_path / "dem.tif")
    refused = run_cli(*command)
    assert refused.exit_code == 2 and "--geoid N" in refused.output
    done = run_cli(*command, "--geoid", "0", "-co", "COMPRESS=LZW")
    assert done.exit_code == 0 and "1 dates, descending, incidence" in done.output
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.compression.value == "LZW"


def test_geocentric_coordinates_are_those_of_the_ellipsoid() -> None:
    from odc.geo.geobox import GeoBox

    box = GeoBox((1, 1), Affine(2.0, 0, -1.0, 0, -2.0, 1.0), "EPSG:4326")  # the centre is 0° N, 0° E
    np.testing.assert_allclose(geocentric(box, np.array([[100.0]]))[:, 0, 0], [6378137.0 + 100.0, 0, 0], atol=1e-6)
    north = GeoBox((1, 1), Affine(1.0, 0, -0.5, 0, -1.0, 90.5), "EPSG:4326")
    np.testing.assert_allclose(geocentric(north, np.zeros((1, 1)))[2], 6356752.314245, atol=1e-3)
