"""Small rasters that are written whole: the samples of a dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from terrafine.atomic import written
from terrafine.errors import DataError, OutputError
from terrafine.raster import gdal
from terrafine.raster.read.opened import open_quietly
from terrafine.raster.write.georeference import stored_crs
from terrafine.raster.write.verify import verify_georeference

__all__ = ["read_patch", "write_patch"]


def write_patch(
    path: str | os.PathLike[str],
    values: NDArray[Any],
    geobox: GeoBox,
    names: Sequence[str],
    nodata: float | None = None,
) -> None:
    """Write a GeoTIFF in the array's own type; under its final name it is whole.

    Parameters
    ----------
    path
        The file.
    values
        Values (band, y, x).
    geobox
        The grid.
    names
        Names of the bands.
    nodata
        Value of cells without data, or None.

    Raises
    ------
    OutputError
        If the file cannot be written, or reads back different.
    GridError
        If a GeoTIFF cannot store the CRS.
    """
    target = Path(path)
    crs = stored_crs(target, geobox)
    profile = {
        "driver": "GTiff",
        "compress": "deflate",
        "predictor": 2 if values.dtype.kind in "ui" else 3,
        "nodata": nodata,
        "crs": None if crs is None else rasterio.crs.CRS.from_wkt(crs.to_wkt()),
        "transform": geobox.affine,
        "count": values.shape[0],
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": str(values.dtype),
    }
    quiet = warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning)
    try:
        with quiet, gdal.environment(), written(target) as part:
            with rasterio.open(part, "w", **profile) as file:
                file.write(values)
                for i, name in enumerate(names, start=1):
                    file.set_band_description(i, name)
            with open_quietly(str(part)) as file:
                verify_georeference(file, geobox, crs, target)
                same = np.array_equal(file.read(), values)
            if not same:
                raise OutputError(f"{target}: reads back different from what was written; check the disk and run again")
    except (RasterioError, OSError) as error:
        raise OutputError(f"{target}: cannot be written ({error}); free space or choose another folder") from error


def read_patch(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read all of a small raster as it is stored.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    ndarray, (band, y, x)
        In the type of the file.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            open_quietly(str(path)) as file,
        ):
            values: NDArray[Any] = file.read()
            return values
    except (RasterioError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a sample of `terrafine dataset`") from error
