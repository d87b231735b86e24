"""Small images that are refused, each for one reason that an option or an argument mends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from tests.support.rasters import write_raster

__all__ = ["IMAGES", "scaled"]

NAMES = ("red", "green", "blue", "nir")
SIDE = 24


def _reflectance(low: float = 0.02, high: float = 0.3) -> NDArray[np.float64]:
    return np.random.default_rng(4).uniform(low, high, (4, SIDE, SIDE))


def _image(path: Path, numbers: NDArray[Any], dtype: str = "uint16", **more: Any) -> Path:
    return write_raster(path, numbers.astype(dtype), **({"cell": 10, "names": NAMES, "nodata": None} | more))


def of_no_sensor(path: Path) -> Path:
    """Reflectance times a million."""
    return _image(path, _reflectance() * 1e6, "float32")


def offset_removed_or_not(path: Path) -> Path:
    """Numbers of which nothing states whether 1,000 is still in them."""
    return _image(path, (_reflectance() + 0.1) * 1e4)


def of_landsat(path: Path) -> Path:
    """Numbers of Landsat level 1, at cells of 30 m."""
    return _image(path, (_reflectance() + 0.1) / 2e-5, cell=30)


def without_names(path: Path) -> Path:
    """Four bands without description."""
    return _image(path, _reflectance() * 1e4, names=("", "", "", ""))


def without_crs(path: Path) -> Path:
    """No CRS."""
    return _image(path, _reflectance() * 1e4, crs=None)


def clouded(path: Path) -> Path:
    """A third of the ground is white."""
    values = _reflectance()
    values[:, : SIDE // 2] = 0.7
    return _image(path, values * 1e4)


def odd_fill(path: Path) -> Path:
    """A tenth of the cells hold 40,000, which means nothing there, and is not declared."""
    values = _reflectance() * 1e4
    values[:, :3] = 40_000
    return _image(path, values)


IMAGES: tuple[Callable[[Path], Path], ...] = (
    of_no_sensor,
    offset_removed_or_not,
    of_landsat,
    without_names,
    without_crs,
    clouded,
    odd_fill,
)


def scaled(path: Path, scale: float) -> Path:
    """Do what `gdal_edit -scale` does."""
    with rasterio.open(path, "r+") as file:
        file.scales = (scale,) * file.count
    return path
