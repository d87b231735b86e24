"""Small rasters made on the spot for tests of reading and writing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

UTM = "EPSG:32633"


def heights(shape: tuple[int, int] = (40, 50), seed: int = 0) -> np.ndarray:
    """Rolling terrain of some hundred metres, float32 (y, x)."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 3, shape)
    return (500 + np.cumsum(np.cumsum(steps, 0), 1) / 10).astype(np.float32)


def make(
    path: Path,
    values: np.ndarray,
    *,
    crs: Any = UTM,
    transform: Affine | None = None,
    nodata: float | None = -9999.0,
    unit: str = "",
    tags: dict[str, str] | None = None,
    names: tuple[str, ...] = (),
    scale: float = 1.0,
    offset: float = 0.0,
    **profile: Any,
) -> Path:
    """Write (y, x) or (band, y, x) as a raster of 30 m cells whose corner is at 500,000 E 5,000,000 N."""
    stack = values[None] if values.ndim == 2 else values
    transform = Affine(30, 0, 500_000, 0, -30, 5_000_000) if transform is None else transform
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver=profile.pop("driver", "GTiff"),
            count=stack.shape[0],
            height=stack.shape[1],
            width=stack.shape[2],
            dtype=str(stack.dtype),
            crs=crs,
            transform=transform,
            nodata=nodata,
            **profile,
        ) as out:
            out.update_tags(**(tags or {}))
            out.write(stack)
            for i, name in enumerate(names, start=1):
                out.set_band_description(i, name)
            if unit:
                out.units = [unit] * stack.shape[0]
            if scale != 1.0 or offset != 0.0:
                out.scales, out.offsets = [scale] * stack.shape[0], [offset] * stack.shape[0]
    return path


def utm_grid(height: int, width: int, cell: float = 30.0) -> GeoBox:
    """A north-up grid in UTM 33 N."""
    return GeoBox((height, width), Affine(cell, 0, 500_000, 0, -cell, 5_000_000), UTM)


def everything(source: Any, band: str = "elevation") -> tuple[np.ndarray, np.ndarray]:
    """The whole of a small source."""
    return source.read(band, slice(0, source.shape[0]), slice(0, source.shape[1]))
