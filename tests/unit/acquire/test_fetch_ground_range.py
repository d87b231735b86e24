"""Sentinel-1 GRD from a STAC API: downloaded as Planetary Computer names its files, geocoded, with its lineage."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from tests.support.ground_range import CELL, NAME, Point, brightest_place, chosen, offer_product, plain, write_safe
from tests.support.rasters import read_bands
from tests.support.scenes import make_item, preset, write_asset
from tests.support.stac_server import Server, serve

import terrafine
from terrafine.acquire.ground_range import open_ground_range
from terrafine.acquire.options import FetchOptions
from terrafine.acquire.projection import Projection
from terrafine.errors import BandError, EmptyError, GridError, MissingExtraError, NetworkError, UsageError
from terrafine.workflows.fetch import fetch_requests
from terrafine.workflows.fetch_ground_range import Ground, _heights
from terrafine.workflows.geocode import geocode_products
from terrafine.workflows.options import ReadOptions

pytest.importorskip("sarsen")
pytest.importorskip("stac_fastapi.api")
ID = NAME.removesuffix(".SAFE")
SOON: dict[str, Any] = {"timeout_s": 120.0, "attempts": 3, "backoff_s": 0.0}
COLLECTIONS = """
[collections.sentinel-1-grd]
id = "sentinel-1-grd"
kind = "sentinel-1-grd"
layout = "safe"
licence = "free and open"
attribution = "Contains modified Copernicus Sentinel data"
assets = { vv = "vv", vh = "vh" }

[collections.sentinel-1]
id = "sentinel-1-rtc"
kind = "sentinel-1-rtc"
licence = "CC BY 4.0"
assets = { vv = "vv" }

[collections.copernicus-dem]
id = "cop-dem-glo-30"
kind = "dem"
product = "glo30"
datum = "EGM2008"
licence = "Copernicus DEM"
cell_m = 30.0
assets = { elevation = "data" }
"""


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_safe(tmp_path_factory.mktemp("sentinel1"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("stac")) as server:
        yield server


@pytest.fixture
def archive(own: Server) -> Server:
    own.clear()
    return own


def around(point: Point) -> tuple[float, float, float, float]:
    x, y = point["longitude"], point["latitude"]
    return x - 0.002, y - 0.0015, x + 0.002, y + 0.0015


def fetched(out: Path, point: Point, service: Path, **more: Any) -> tuple[Any, ...]:
    options = {**SOON, "orbit": "descending", "bands": ("vv",), **more}
    return terrafine.fetch("sentinel-1-grd", out, aoi=around(point), dates="2021-12", service=service, **options)


def test_a_product_is_downloaded_by_its_manifest_and_geocoded(archive: Server, safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[1]
    offer_product(archive, safe, point)
    archive.sign()
    archive.fault(f"{ID}/measurement/iw-vv.tiff", status=503, times=2)
    service = preset(
        archive, tmp_path, f'signing = "sas"\ntoken_url = "{archive.url}/token/{{collection}}"', COLLECTIONS
    )
    row, column = plain(tmp_path / "dem.tif", point, point["height"] - 48.0)
    (done,) = fetched(tmp_path / "s1", point, service, dem=tmp_path / "dem.tif", geoid_m=48.0)
    assert done.path.name == "sentinel-1-grd_20211201-20211231_descending.tif" and done.scenes == 1
    bands, tags = read_bands(done.path)
    assert set(bands) == {"vv", "incidence", "clear_count"} and (bands["clear_count"] == 1).all()
    assert (tags["ITEM_IDS"], tags["SOURCE_KIND"], tags["ORBIT"]) == (ID, "sentinel-1-grd", "descending")
    place = brightest_place(bands["vv"])
    assert math.hypot(place[0] - row, place[1] - column) * CELL < 5.0
    record = json.loads(done.lineage.read_text())
    (item,) = record["items"]
    image = next(name for name in item["files_sha256"] if name.startswith("measurement/"))
    assert item["files_sha256"][image] == hashlib.sha256((safe / image).read_bytes()).hexdigest()
    assert (record["dem"]["name"], record["dem"]["fetched"], record["dem"]["geoid_m"]) == ("dem.tif", False, 48.0)
    assert [p.name for p in done.path.parent.iterdir() if p.name.startswith(".")] == []


def test_an_interrupted_download_resumes_after_the_last_file(
    archive: Server, safe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = chosen(safe)[0]
    offer_product(archive, safe, point, short=False)
    (image,) = (safe / "measurement").glob("*.tiff")
    archive.fault(f"{ID}/annotation/calibration/calibration-{image.stem}.xml", status=500, times=3)
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    plain(tmp_path / "dem.tif", point, point["height"])
    given = {"dem": tmp_path / "dem.tif", "geoid_m": 0.0}
    with pytest.raises(NetworkError, match="resumes"):
        fetched(tmp_path / "s1.tif", point, service, **given)
    assert not (tmp_path / "s1.tif").exists()
    seen: list[Path] = []

    def geocode(products: list[Path], *_: Any, **__: Any) -> None:
        """Geocoding itself is tested above, and reading a product takes seconds."""
        seen.extend(products)
        raise EmptyError("stop here")

    monkeypatch.setattr("terrafine.workflows.geocode.geocode_products", geocode)
    with pytest.raises(EmptyError, match="stop here"):
        fetched(tmp_path / "s1.tif", point, service, **given)
    place = archive.places[ID]
    assert archive.requests(f"/files/{place}/manifest.safe") == 1
    assert archive.requests(f"/files/{place}/annotation/{image.stem}.xml") == 1
    assert (seen[0] / "measurement" / image.name).read_bytes() == image.read_bytes()


def test_the_dem_is_fetched_where_none_is_given(archive: Server, safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[2]
    offer_product(archive, safe, point)
    second = 1 / 3600
    corner = Affine(second, 0, point["longitude"] - 30 * second, 0, -second, point["latitude"] + 30 * second)
    folder = archive.place("dem")
    heights = np.full((60, 60), point["height"] - 48.0, np.float32)
    where = {"crs": CRS.from_epsg(4326), "transform": corner}
    write_asset(folder / "data.tif", heights, where, nodata=None)
    assets = {"data": {"href": f"{archive.url}/files/{folder.name}/data.tif"}}
    properties = {"eo:cloud_cover": None}
    archive.add(make_item("dem", "cop-dem-glo-30", "2021-04-22T00:00:00Z", (60, 60), where, assets, properties))
    lost = {"data": {"href": f"{archive.url}/files/{folder.name}/lost.tif"}}
    archive.add(make_item("gone", "cop-dem-glo-30", "2021-04-22T00:00:00Z", (60, 60), where, lost, properties))
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    (done,) = fetched(tmp_path / "s1.tif", point, service, geoid_m=48.0, cell_m=10.0)
    bands, tags = read_bands(done.path)
    with rasterio.open(done.path) as file:
        assert file.res == (10.0, 10.0)
        east, north = Transformer.from_crs(4326, file.crs, always_xy=True).transform(
            point["longitude"], point["latitude"]
        )
        column, row = ~file.transform @ (east, north)
    place = brightest_place(bands["vv"])
    assert math.hypot(place[0] - row, place[1] - column) * CELL < 6.0
    record = json.loads(done.lineage.read_text())
    assert tags["GEOID_M"] == "48" and record["dem"]["fetched"] is True
    assert [item["id"] for item in record["dem"]["items"]] == ["dem"] and record["dem"]["licence"] == "Copernicus DEM"
    assert any(note.startswith("DEM: left out: gone") for note in done.notes) and done.notes[0] in record["notes"]
    assert [left["id"] for left in record["dem"]["left_out"]] == ["gone"]


def test_what_cannot_be_geocoded_is_refused_before_a_request(
    archive: Server, safe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = chosen(safe)[0]
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    dem = tmp_path / "dem.tif"
    plain(dem, point, point["height"])
    plain(tmp_path / "far.tif", {**point, "longitude": point["longitude"] + 1}, 0.0)
    out = tmp_path / "s1"
    with pytest.raises(UsageError, match="above EGM2008"):
        fetched(out, point, service)
    with pytest.raises(UsageError, match="geoid_m"):
        fetched(out, point, service, dem=dem)
    for wrong in (500.0, math.nan):
        with pytest.raises(UsageError, match=r"expected (a number|-120 to 120 metres)"):
            fetched(out, point, service, geoid_m=wrong)
    text = service.read_text()
    service.write_text(text.replace('datum = "EGM2008"', 'datum = "WGS84 ellipsoid"'))
    with pytest.raises(UsageError, match="above the ellipsoid already"):
        fetched(out, point, service, geoid_m=48.0)
    request = fetch_requests("sentinel-1-grd", aoi=around(point), dates="2021", service=service)[0]
    Ground().check(request)
    service.write_text(text)
    with pytest.raises(UsageError, match="grid of the DEM"):
        fetched(out, point, service, dem=dem, geoid_m=0.0, cell_m=10.0)
    with pytest.raises(GridError, match="lies outside"):
        fetched(out, point, service, dem=tmp_path / "far.tif", geoid_m=0.0)
    with pytest.raises(UsageError, match=r"RTC: the brightness of slopes.*sentinel-1-grd"):
        terrafine.fetch("sentinel-1", out, aoi=around(point), dates="2021", service=service, dem=dem)
    monkeypatch.setitem(sys.modules, "sarsen", None)
    with pytest.raises(MissingExtraError, match=r"terrafine\[radar\]"):
        fetched(out, point, service, dem=dem, geoid_m=0.0)
    assert archive.requests("/") == 0 and not out.exists()


def test_a_product_without_a_manifest_is_left_out_and_named(archive: Server, safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[0]
    offer_product(archive, safe, point)
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    plain(tmp_path / "dem.tif", point, point["height"])
    (archive.folder / archive.places[ID] / "manifest.safe").unlink()
    with pytest.raises(EmptyError, match=r"manifest\.safe: is not there"):
        fetched(tmp_path / "s1.tif", point, service, dem=tmp_path / "dem.tif", geoid_m=0.0)
    with pytest.raises(EmptyError, match="ascending"):
        fetched(tmp_path / "s1.tif", point, service, dem=tmp_path / "dem.tif", geoid_m=0.0, orbit="ascending")


def test_a_product_without_a_band_that_is_wanted_is_left_out_and_named(
    archive: Server, safe: Path, tmp_path: Path
) -> None:
    point = chosen(safe)[0]
    offer_product(archive, safe, point)
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    plain(tmp_path / "dem.tif", point, point["height"])
    given = {"dem": tmp_path / "dem.tif", "geoid_m": 0.0, "bands": ("vv", "vh")}
    with pytest.raises(EmptyError, match=r"names no image of vh; it has vv. Leave vh out"):
        fetched(tmp_path / "s1.tif", point, service, **given)
    assert archive.requests("/files/") == 0


def test_geocoding_writes_the_polarisations_that_it_is_told(safe: Path, tmp_path: Path) -> None:
    point = chosen(safe)[0]
    plain(tmp_path / "dem.tif", point, point["height"])
    with pytest.raises(BandError, match=r"holds vv; expected vh as well"):
        geocode_products(
            [safe],
            tmp_path / "o.tif",
            dem=tmp_path / "dem.tif",
            geoid_m=0.0,
            reading=ReadOptions(),
            layout={},
            polarisations=("vv", "vh"),
        )
    assert open_ground_range(safe, ("vv",)).polarisations == ("vv",)


def test_what_is_announced_is_of_the_grid_of_the_dem_and_of_each_missing_file(
    archive: Server, safe: Path, tmp_path: Path
) -> None:
    point = chosen(safe)[0]
    offer_product(archive, safe, point)
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    plain(tmp_path / "dem.tif", point, point["height"])
    (tmp_path / ".s1.tif.products" / NAME / "measurement").mkdir(parents=True)
    (tmp_path / ".s1.tif.products").chmod(0o700)
    seen: list[Projection] = []

    def announce(projection: Projection) -> None:
        seen.append(projection)
        raise EmptyError("stop here")

    with pytest.raises(EmptyError, match="stop here"):
        fetched(tmp_path / "s1.tif", point, service, dem=tmp_path / "dem.tif", geoid_m=0.0, announce=announce)
    (image,) = (safe / "measurement").glob("*.tiff")
    assert (seen[0].rows, seen[0].cols, seen[0].download_bytes) == (48, 48, image.stat().st_size)


def test_restart_begins_the_dem_of_another_request_again(
    safe: Path, tmp_path: Path, archive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = chosen(safe)[0]
    service = preset(archive, tmp_path, collection=COLLECTIONS)
    request = fetch_requests(
        "sentinel-1-grd", aoi=around(point), dates="2021", service=service, options=FetchOptions(orbit="descending")
    )[0]
    seen: list[bool] = []

    def fetch_raster(*_: Any, restart: bool) -> None:
        seen.append(restart)
        raise EmptyError("stop here")

    monkeypatch.setattr("terrafine.acquire.fetch.fetch_raster", fetch_raster)
    for restart in (True, False):
        with pytest.raises(EmptyError, match="stop here"):
            _heights(request, Ground(None, 48.0), tmp_path, restart)
    assert seen == [True, False]
