"""A real Sentinel-1 GRD product without its image, which is made: dark ground around four bright points."""

from __future__ import annotations

import math
import shutil
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.windows import Window

from tests.support.paths import ROOT
from tests.support.scenes import make_item
from tests.support.stac_server import Server

__all__ = [
    "CELL",
    "DARK",
    "NAME",
    "SIDE",
    "Point",
    "brightest_place",
    "chosen",
    "offer_product",
    "plain",
    "unpack_safe",
    "write_safe",
]

NAME = "S1B_IW_GRDH_1SDV_20211223T051122_20211223T051147_030148_039993_5371.SAFE"
LINES, PIXELS, DARK, BRIGHT = 16705, 26102, 100, 5000
CELL, SIDE = 10.0, 48
Point = dict[str, float]


def grid_points(safe: Path) -> list[Point]:
    """The geolocation grid that the product states."""
    (path,) = (safe / "annotation").glob("*.xml")
    names = ("line", "pixel", "latitude", "longitude", "height", "incidenceAngle")
    found = ElementTree.parse(path).iter("geolocationGridPoint")
    return [{name: float(str(point.findtext(name))) for name in names} for point in found]


def unpack_safe(folder: Path) -> Path:
    """The product as it is kept, without an image."""
    with tarfile.open(ROOT / "tests" / "data" / "s1b_grd_rome.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / NAME


def write_safe(folder: Path) -> Path:
    """The product with an image of dark ground around four bright points."""
    made = unpack_safe(folder)
    (made / "measurement").mkdir()
    (annotation,) = (made / "annotation").glob("*.xml")
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "height": LINES, "width": PIXELS, "SPARSE_OK": True}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(made / "measurement" / f"{annotation.stem}.tiff", "w", **profile, **tiles) as file,
    ):
        for point in chosen(made):
            line, pixel = round(point["line"]), round(point["pixel"])
            image = np.full((240, 240), DARK, np.uint16)
            image[119:122, 119:122] = BRIGHT
            file.write(image, 1, window=Window(pixel - 120, line - 120, 240, 240))
    return made


def chosen(safe: Path) -> list[Point]:
    """Points of the grid inside the image, near and far, early and late."""
    inner = [p for p in grid_points(safe) if 200 < p["line"] < LINES - 200 and 200 < p["pixel"] < PIXELS - 200]
    return [inner[0], inner[len(inner) // 3], inner[2 * len(inner) // 3], inner[-1]]


def plain(path: Path, point: Point, height: float, *, crs: str = "EPSG:32633", size: int = SIDE) -> tuple[float, float]:
    """A flat DEM around a point; returns the row and the column of the point in it."""
    onto = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    east, north = onto.transform(point["longitude"], point["latitude"])
    left, top = math.floor(east) - CELL * size / 2, math.ceil(north) + CELL * size / 2
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "height": size, "width": size, "crs": crs}
    with rasterio.open(path, "w", transform=Affine(CELL, 0, left, 0, -CELL, top), nodata=-9999.0, **profile) as file:
        file.write(np.full((1, size, size), height, np.float32))
        file.set_band_description(1, "elevation")
        file.units = ["m"]
    return (top - north) / CELL, (east - left) / CELL


def offer_product(server: Server, safe: Path, point: Point, *, short: bool = True, **more: Any) -> None:
    """Add the product as an item of Planetary Computer, whose files have short names, or under ESA's names."""
    name = NAME.removesuffix(".SAFE")
    folder = server.place(name)
    (image,) = (safe / "measurement").glob("*.tiff")
    stem = "iw-vv" if short else image.stem
    names = {
        safe / "manifest.safe": "manifest.safe",
        safe / "annotation" / f"{image.stem}.xml": f"annotation/{stem}.xml",
        safe / "annotation" / "calibration" / f"calibration-{image.stem}.xml": (
            f"annotation/calibration/calibration-{stem}.xml"
        ),
        image: f"measurement/{stem}.tiff",
    }
    for source, to in names.items():
        target = folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    base = f"{server.url}/files/{folder.name}"
    assets = {
        "safe-manifest": {"href": f"{base}/manifest.safe", "type": "application/xml"},
        # The archive names the file of radio interference here, which is not the annotation.
        "schema-product-vv": {"href": f"{base}/annotation/rfi/rfi-{stem}.xml", "type": "application/xml"},
        "schema-calibration-vv": {"href": f"{base}/annotation/calibration/calibration-{stem}.xml"},
        "schema-noise-vv": {"href": f"{base}/annotation/calibration/noise-{stem}.xml"},
        "vv": {"href": f"{base}/measurement/{stem}.tiff", "type": "image/tiff; application=geotiff"},
        "thumbnail": {"href": f"{base}/preview/quick-look.png", "type": "image/png"},
    }
    where = {
        "crs": CRS.from_epsg(4326),
        "transform": Affine(0.01, 0, point["longitude"] - 1, 0, -0.01, point["latitude"] + 1),
    }
    properties = {
        "sat:orbit_state": "descending",
        "sat:relative_orbit": 95,
        "platform": "SENTINEL-1B",
        "eo:cloud_cover": None,
        **more,
    }
    item = make_item(name, "sentinel-1-grd", "2021-12-23T05:11:34Z", (200, 200), where, assets, properties)
    for field in ("proj:epsg", "proj:shape", "proj:transform"):
        del item["properties"][field]
    server.add(item)


def brightest_place(db: np.ndarray) -> tuple[float, float]:
    """Row and column of what is bright, weighted by power above the ground, from the corner of the grid."""
    power = 10 ** (db / 10)
    power = np.where(power > 20 * np.nanmedian(power), power, 0.0)
    y, x = np.mgrid[0 : db.shape[0], 0 : db.shape[1]] + 0.5
    return float((y * power).sum() / power.sum()), float((x * power).sum() / power.sum())
