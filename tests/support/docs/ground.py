"""Made ground: elevation models, images, radar and polygons of one place of 1.08 km."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from terrafine.physics.backscatter import simulate_db
from terrafine.physics.radar import look_azimuth
from terrafine.physics.shading import shade_db
from tests.support.rasters import write_raster
from tests.support.sensors import fractal, means, observed

__all__ = [
    "EAST",
    "NORTH",
    "SIDE_M",
    "dem",
    "heights",
    "image",
    "incidence",
    "landsat",
    "pair",
    "polygons",
    "radar",
    "radar_dates",
    "radar_stack",
    "reflectance",
    "scene",
    "shaded",
]

EAST, NORTH = 500_000.0, 5_200_000.0
SIDE_M = 1080.0
RED_GREEN_BLUE_NIR = ("red", "green", "blue", "nir")
FIELD, ROOF = np.array([[500, 800, 450, 3200], [1500, 1450, 1400, 1900]])


def heights(rows: int, columns: int, cell: float, lift: float = 0.0) -> np.ndarray:
    """Rolling ground, (y, x) in metres."""
    y, x = np.mgrid[:rows, :columns] * cell
    ground = 600 + 90 * np.sin(x / 310) * np.cos(y / 270) + 20 * np.sin((x + 2 * y) / 90) + 0.05 * x - 0.08 * y
    return np.asarray(ground + lift, np.float32)


def dem(path: Path, cell: float, *, east: float = 0.0, lift: float = 0.0, side_m: float = SIDE_M) -> Path:
    """The place as an elevation model of square cells."""
    side = round(side_m / cell)
    where = {"cell": cell, "origin": (EAST + east, NORTH), "unit": "m", "names": ("elevation",)}
    return write_raster(path, heights(side, side, cell, lift), **where)


def pair(coarse: Path, fine: Path, k: int, cell: float, noise_m: float = 2.0) -> None:
    """Rough ground in 160 × 160 cells of a sensor with blur and noise, and in k times finer cells without."""
    ground = fractal(160 * k, relief=100.0)
    seen = observed(ground, k, cell=cell, psf=0.5, flat=noise_m, correlation=0.5, rounding=1.0)
    for path, values, size in ((coarse, seen, cell), (fine, means(ground, 1), cell / k)):
        write_raster(path, values.astype(np.float32), cell=size, origin=(EAST, NORTH), names=("elevation",), unit="m")


def scene(side: int, grown: float = 0.0, seed: int = 3, width: int = 0) -> np.ndarray:
    """A field with a built square, (red, green, blue, nir; y, x), reflectance × 10,000 as uint16."""
    rng = np.random.default_rng(seed)
    found = np.broadcast_to(FIELD[:, None, None], (4, side, width or side)).astype(np.float64).copy()
    last = round(side * (0.5 + grown))
    found[:, side // 4 : last, side // 4 : last] = ROOF[:, None, None]
    return np.asarray((found + rng.normal(0, 30, found.shape)).round().clip(1), np.uint16)


def reflectance(path: Path, side: int = 108, *, cell: float = 10.0, names: bool = True, **more: Any) -> Path:
    """A Sentinel-2 scene of the place."""
    named = RED_GREEN_BLUE_NIR if names else ()
    return write_raster(path, scene(side, **more), cell=cell, origin=(EAST, NORTH), nodata=0, names=named)


def image(path: Path, *, cell: float = 2.0, side: int = 540, bands: int = 3, **more: Any) -> Path:
    """A fine image in bytes."""
    values = (scene(side)[:bands] / 4000 * 255).astype(np.uint8)
    named = RED_GREEN_BLUE_NIR[:bands] if more.pop("names", True) else ()
    where = {"cell": cell, "origin": (EAST, NORTH), "nodata": None} | more
    return write_raster(path, values, names=named, **where)


def landsat(path: Path) -> Path:
    """The place as Landsat's level 2 stores it."""
    stored = ((scene(36) * 1e-4 + 0.2) / 2.75e-5).round().astype(np.uint16)
    return write_raster(path, stored, cell=30.0, origin=(EAST, NORTH), nodata=0, names=RED_GREEN_BLUE_NIR)


def radar(path: Path, band: str, orbit: str = "descending", side_m: float = SIDE_M) -> Path:
    """What a pass of Sentinel-1 receives from the place, in dB."""
    side = round(side_m / 7.5)
    ground = torch.from_numpy(heights(side, side, 7.5).astype(np.float64))
    values = simulate_db(ground, 7.5, 38.5, look_azimuth(orbit, 46.9)).numpy().astype(np.float32)
    return write_raster(path, values, cell=7.5, origin=(EAST, NORTH), names=(band,))


def incidence(path: Path) -> Path:
    """The angle of that pass on the ellipsoid, in degrees."""
    return write_raster(
        path, np.full((144, 144), 38.5, np.float32), cell=7.5, origin=(EAST, NORTH), names=("incidence",)
    )


def radar_stack(path: Path) -> Path:
    """Both polarisations in one file."""
    ground = torch.from_numpy(heights(144, 144, 7.5).astype(np.float64))
    values = simulate_db(ground, 7.5, 38.5, look_azimuth("descending", 46.9)).numpy().astype(np.float32)
    return write_raster(path, np.stack([values, values - 6]), cell=7.5, origin=(EAST, NORTH), names=("vv", "vh"))


def radar_dates(folder: Path) -> None:
    """A date of each polarisation in a new folder."""
    folder.mkdir()
    for band in ("vv", "vh"):
        radar(folder / f"2023_{band}.tif", band)


def shaded(path: Path) -> Path:
    """A Sentinel-2 scene of eight bands under a sun at 152°, bare ground."""
    ground = torch.from_numpy(heights(144, 144, 7.5).astype(np.float64))
    light = 10 ** (shade_db(ground, 7.5, 152.0, 40.0).numpy() / 10)
    return write_raster(path, np.stack([2000 * light] * 8).astype(np.float32), cell=7.5, origin=(EAST, NORTH))


def polygons(
    path: Path,
    boxes: dict[str, tuple[float, float, float, float]],
    crs: int = 32633,
    origin: tuple[float, float] = (EAST, NORTH),
    **more: str,
) -> Path:
    """Rectangles as GeoJSON: name -> west, south, east and north as shares of the place."""
    features = []
    for name, (west, south, east, north) in boxes.items():
        ring = [
            (origin[0] + x * SIDE_M, origin[1] - (1 - y) * SIDE_M)
            for x, y in ((west, south), (east, south), (east, north), (west, north), (west, south))
        ]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": name, **more}, "geometry": geometry})
    named = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs}"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": named, "features": features}), encoding="utf-8")
    return path
