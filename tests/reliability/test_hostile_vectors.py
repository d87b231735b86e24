"""No vector file makes Terrafine read what nobody asked for, wait for ever, or take the memory of the machine."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from tests.support.asked_host import Host

from terrafine.errors import GridError, SourceError, TerrafineError
from terrafine.raster.area import AreaOfInterest
from terrafine.raster.read.vectors.rasterize import read_features
from terrafine.raster.read.vectors.region import read_area
from terrafine.raster.utm_tiles import UtmTiles

raw = pytest.importorskip("pyogrio.raw")

OGR_VRT = (
    '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/{url}/a.gpkg</SrcDataSource></OGRVRTLayer>'
    "</OGRVRTDataSource>"
)
WFS = "<OGRWFSDataSource><URL>{url}/wfs</URL></OGRWFSDataSource>"
GML = (
    '<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://a {url}/a.xsd"><gml:featureMember/></gml:FeatureCollection>'
)
KML = (
    '<kml xmlns="http://www.opengis.net/kml/2.2"><NetworkLink><Link><href>{url}/a.kml</href></Link></NetworkLink></kml>'
)
CSV = "WKT,name\n/etc/passwd,{url}\n"
TEXTS = {"OGR VRT": OGR_VRT, "WFS": WFS, "GML": GML, "KML": KML, "CSV": CSV}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


def write_gpkg(path: Path) -> Path:
    """One square of a tenth of a degree."""
    square = shapely.to_wkb(shapely.box(10.0, 43.0, 10.1, 43.1))
    raw.write(
        path,
        np.array([square], dtype=object),
        [np.array(["a"], dtype=object)],
        np.array(["name"]),
        driver="GPKG",
        geometry_type="Polygon",
        crs="EPSG:4326",
        layer="area",
    )
    return path


@pytest.mark.parametrize("read", [read_features, read_area, AreaOfInterest.from_file])
def test_a_geopackage_of_a_table_is_read(read: Callable[[str], object], tmp_path: Path) -> None:
    read(str(write_gpkg(tmp_path / "a.gpkg")))


@pytest.mark.parametrize("name", ["a.vrt", "a.xml", "a.gpkg", "a.shp", "a.fgb", "a.gml", "a.kml", "a.csv", "a"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_description_is_refused_whatever_it_is_called(text: str, name: str, tmp_path: Path, host: Host) -> None:
    (tmp_path / name).write_text(TEXTS[text].replace("{url}", host.url))
    for read in (read_features, AreaOfInterest.from_file):
        with pytest.raises(SourceError, match=r"expected GeoJSON, GeoPackage"):
            read(str(tmp_path / name))
    assert host.asked == []


def test_a_view_is_refused_because_it_runs_functions(tmp_path: Path) -> None:
    path = write_gpkg(tmp_path / "a.gpkg")
    with sqlite3.connect(path) as base:
        base.execute("pragma writable_schema = on")
        base.execute("create view looks as select fid, geom, 'x' as name from area")
        base.execute("update gpkg_contents set table_name = 'looks'")
    base.close()
    with pytest.raises(SourceError, match="its layer 'looks' is no table"):
        read_features(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names there")
@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson", "a.dbf", "a.prj", "a.gpkg-wal"])
def test_a_pipe_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix not in (".shp", ".geojson"):
        path = write_gpkg(tmp_path / "a.gpkg") if name != "a.gpkg" else path
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match=r"pipe|no plain file"):
        read_features(str(path))


def polygon(ring: list[Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def write(path: Path, *features: Any, **more: Any) -> str:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return str(path)


@pytest.mark.parametrize("far", [1e5, 1e12, 1e300])
def test_an_outline_longer_than_the_earth_is_refused_before_it_is_divided(far: float, tmp_path: Path) -> None:
    for crs in ("OGC:CRS84", "EPSG:32632"):
        ring = [[0, 0], [far, 0], [far, far * 1e6 if crs == "EPSG:32632" else far], [0, 0]]
        named = {"crs": {"type": "name", "properties": {"name": crs}}}
        with pytest.raises((GridError, SourceError)):
            read_area(write(tmp_path / "a.geojson", polygon(ring), **named))


def test_a_ball_of_wool_is_refused_before_it_is_mended(tmp_path: Path) -> None:
    turns = np.arange(30_000) * 2.39996
    radius = 1 + 0.2 * np.sin(np.arange(30_000))
    ring = np.stack([10 + radius * np.cos(turns), 43 + radius * np.sin(turns)], axis=1).tolist()
    path = write(tmp_path / "a.geojson", polygon([*ring, ring[0]]))
    with pytest.raises(SourceError, match="30,001 vertices and lines that cross"):
        read_features(path)


@pytest.mark.parametrize("value", ["1" * 5_000, "1e999", "NaN", "-Infinity", "[" * 10_000, '{"a":' * 10_000, "null"])
def test_numbers_that_are_none_are_refused(value: str, tmp_path: Path) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": [polygon([[0, 0], [1, 0], [1, 1], [0, 0]])]})
    (tmp_path / "a.geojson").write_text(text.replace("[1, 1]", f"[1, {value}]"))
    for read in (read_features, AreaOfInterest.from_file):
        with pytest.raises(TerrafineError):
            read(str(tmp_path / "a.geojson"))


@pytest.mark.parametrize("name", ["{url}/crs", "/etc/passwd", "file:///etc/passwd", "<gml/>", "WKT"])
def test_a_crs_is_neither_fetched_nor_read_from_a_file(name: str, tmp_path: Path, host: Host) -> None:
    stated = {"crs": {"type": "name", "properties": {"name": name.replace("{url}", host.url)}}}
    with pytest.raises(TerrafineError):
        read_features(write(tmp_path / "a.geojson", polygon([[0, 0], [1, 0], [1, 1], [0, 0]]), **stated))
    assert host.asked == []


def test_tiles_without_end_are_not_listed() -> None:
    with pytest.raises(GridError, match="spans more than 5,000,000 tiles of 100 m"):
        UtmTiles(1.0, 100, 0).covering(shapely.box(-170, -70, 170, 80))
    assert math.isclose(len(UtmTiles(10.0, 1000, 0).covering(shapely.box(11, 45, 11.1, 45.1))), 4, abs_tol=3)
