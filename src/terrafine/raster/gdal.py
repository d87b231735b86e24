"""The one place that sets GDAL up: a bounded block cache, and raw rasters held against their size."""

from __future__ import annotations

import os
from typing import Any

# GDAL's own block cache is 5 % of memory, however large that is. It reads this once, at its first use; a user's own
# setting wins. Not through rasterio.Env, which would set it for the duration of the Env only.
os.environ.setdefault("GDAL_CACHEMAX", "64")  # MB

import rasterio

__all__ = ["environment"]


def environment(**more: Any) -> rasterio.Env:
    """A rasterio environment in which files are opened, copied and created.

    `RAW_CHECK_FILE_SIZE` refuses raw rasters (BIL, ENVI) that are shorter than their header says.
    https://gdal.org/en/stable/user/configoptions.html
    """
    options: dict[str, Any] = {"RAW_CHECK_FILE_SIZE": True}
    return rasterio.Env(**{**options, **more})
