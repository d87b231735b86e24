"""The one place that sets GDAL up: a bounded block cache, and raw rasters held against their size."""

from __future__ import annotations

from typing import Any

import rasterio

__all__ = ["environment"]


def environment(**more: Any) -> rasterio.Env:
    """A rasterio environment with a block cache of 64 MB (GDAL's own is 5 % of memory, however large that is).

    `RAW_CHECK_FILE_SIZE` refuses raw rasters (BIL, ENVI) that are shorter than their header says.
    https://gdal.org/en/stable/user/configoptions.html
    """
    options: dict[str, Any] = {
        "GDAL_CACHEMAX": 64,
        "RAW_CHECK_FILE_SIZE": True,
        "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
    }
    return rasterio.Env(**{**options, **more})
