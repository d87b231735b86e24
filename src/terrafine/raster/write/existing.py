"""Who wrote a raster that an output would replace."""

from __future__ import annotations

import os
import warnings

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from terrafine.raster import gdal

__all__ = ["is_foreign_raster"]

_LINEAGE, _SOFTWARE = "TERRAFINE", "Terrafine"


def is_foreign_raster(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a GeoTIFF that Terrafine did not write; False where it is no GeoTIFF.

    Parameters
    ----------
    path
        A file that exists.

    Returns
    -------
    bool
        True for a GeoTIFF without the tags that every output of Terrafine carries.
    """
    try:
        with warnings.catch_warnings(), gdal.environment():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver="GTiff") as file:
                return not file.tags(ns=_LINEAGE) and file.tags().get("TIFFTAG_SOFTWARE") != _SOFTWARE
    except RasterioError:
        return False
