"""Small DEMs for the tests of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin


def hills(rows: int = 24, columns: int = 32) -> np.ndarray:
    """Heights of 300 to 700 m without any symmetry."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return (500 + 120 * np.sin(x / 5) * np.cos(y / 4) + 3 * x - 2 * y).astype(np.float32)


def write_dem(path: Path, heights: np.ndarray | None = None, *, unit: str = "", **profile: Any) -> Path:
    """A one-band GeoTIFF of `hills`, 30 m UTM 33N unless told otherwise."""
    heights = hills() if heights is None else heights
    settings = {
        "driver": "GTiff",
        "width": heights.shape[1],
        "height": heights.shape[0],
        "count": 1,
        "dtype": heights.dtype,
        "crs": "EPSG:32633",
        "transform": from_origin(500_000, 5_200_000, 30, 30),
        "nodata": -32768,
        **profile,
    }
    with rasterio.open(path, "w", **settings) as dataset:
        dataset.write(heights, 1)
        if unit:
            dataset.units = [unit]
    return path
