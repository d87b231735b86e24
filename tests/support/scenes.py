"""Items for the loopback STAC API from real Sentinel-2 crops: a COG per band, classes, added clouds and offset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.windows import Window
from shapely.geometry import box, mapping

from tests.support.paths import DATA
from tests.support.stac_server import Server

__all__ = ["PISA", "TRUTH", "add_scene", "preset", "real_numbers", "write_asset"]

TRUTH = DATA / "s2_truth"
PISA = (120, 250, 200, 160)  # column, row, width and height of a crop of the city
NAMES = ("red", "green", "blue", "nir")


def real_numbers(city: str, date: int, crop: tuple[int, int, int, int]) -> tuple[np.ndarray, dict[str, Any]]:
    """Numbers of a real crop, (band, y, x) of red, green, blue and nir, and its CRS and transform."""
    if not TRUTH.is_dir():
        pytest.skip("the Sentinel-2 scenes are not there: set TERRAFINE_DATA")
    with rasterio.open(TRUTH / f"{city}_s2_l1c_{date}.tif") as file:
        window = Window(*crop)
        return file.read(window=window), {"crs": file.crs, "transform": file.window_transform(window)}


def write_asset(path: Path, values: np.ndarray, georeference: dict[str, Any], nodata: float | None = 0) -> None:
    """Write one band as a tiled GeoTIFF with overviews."""
    profile = {"driver": "GTiff", "count": 1, "height": values.shape[0], "width": values.shape[1], "nodata": nodata}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(path, "w", dtype=str(values.dtype), **profile, **tiles, **georeference) as file:
        file.write(values, 1)
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)


def add_scene(
    server: Server,
    name: str,
    numbers: np.ndarray,
    georeference: dict[str, Any],
    when: str,
    *,
    offset: int = 0,
    cloud: tuple[slice, slice] | None = None,
    properties: dict[str, Any] | None = None,
    declared: float | None = None,
    collection: str = "sentinel-2-l2a",
) -> dict[str, Any]:
    """Write the bands and the classes of a scene, and add its item to the server.

    `offset` is added to the numbers, as ESA's products of baseline 04.00 have it; `cloud` is a part whose numbers are
    bright and whose class is cloud; the other classes are vegetation and ground by the vegetation index.
    """
    stored = np.where(numbers > 0, numbers.astype(np.int32) + offset, 0)
    red, nir = numbers[0].astype(np.float32), numbers[3].astype(np.float32)
    classes = np.where((nir - red) > 0.3 * (nir + red), 4, 5).astype(np.uint8)
    classes[numbers.min(axis=0) == 0] = 0
    if cloud is not None:
        stored[:, cloud[0], cloud[1]] = 7000 + offset
        classes[cloud] = 9
    folder = server.place(name)
    assets: dict[str, Any] = {}
    for i, band in enumerate(NAMES):
        write_asset(folder / f"{band}.tif", stored[i].astype(np.uint16), georeference)
        assets[band] = {
            "href": f"{server.url}/files/{folder.name}/{band}.tif",
            "type": "image/tiff; application=geotiff",
        }
        if declared is not None:
            assets[band]["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": declared}]
    write_asset(folder / "scl.tif", classes, georeference)
    assets["scl"] = {"href": f"{server.url}/files/{folder.name}/scl.tif", "type": "image/tiff; application=geotiff"}
    item = make_item(name, collection, when, numbers.shape[1:], georeference, assets, properties or {})
    server.add(item)
    return item


def make_item(
    name: str,
    collection: str,
    when: str,
    shape: tuple[int, ...],
    georeference: dict[str, Any],
    assets: dict[str, Any],
    properties: dict[str, Any],
) -> dict[str, Any]:
    """A STAC item of that footprint."""
    left, bottom, right, top = rasterio.transform.array_bounds(shape[0], shape[1], georeference["transform"])
    code = georeference["crs"].to_epsg()
    into = Transformer.from_crs(georeference["crs"], "OGC:CRS84", always_xy=True)
    bounds = into.transform_bounds(left, bottom, right, top)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "id": name,
        "collection": collection,
        "geometry": mapping(box(*bounds)),
        "bbox": list(bounds),
        "properties": {
            "datetime": when,
            "platform": "sentinel-2a",
            "eo:cloud_cover": 5.0,
            "proj:epsg": code,
            "proj:shape": list(shape),
            "proj:transform": list(georeference["transform"])[:6],
            **properties,
        },
        "assets": assets,
        "links": [],
    }


def preset(server: Server, folder: Path, more: str = "", collection: str = "") -> Path:
    """The file of a service that is the loopback server, with the assets of `add_scene`."""
    path = folder / "local.toml"
    path.write_text(f"""
key = "local"
name = "a server for tests"
url = "{server.url}"
{more}

[collections.sentinel-2]
id = "sentinel-2-l2a"
kind = "sentinel-2-l2a"
licence = "Copernicus Sentinel data, free and open"
attribution = "Contains modified Copernicus Sentinel data"
mask = "scl"
assets = {{ red = "red", green = "green", blue = "blue", nir = "nir" }}
{collection}
""")
    return path
