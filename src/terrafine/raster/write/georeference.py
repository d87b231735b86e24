"""Which CRS a GeoTIFF keeps: with the vertical datum where both survive, else the horizontal one alone, else none."""

from __future__ import annotations

import functools
import os

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from terrafine.errors import GridError
from terrafine.raster import gdal, vertical
from terrafine.raster.crs import horizontal, same_place, vertical_unit
from terrafine.raster.vertical import VerticalDatum

__all__ = ["kept", "stored_crs"]


def stored_crs(path: str | os.PathLike[str], geobox: GeoBox, datum: VerticalDatum | None = None) -> CRS | None:
    """The CRS to write a grid with; the caller states a datum that is not in it as a tag.

    Each candidate is written to a GeoTIFF in memory and read back: a datum shift, say, is dropped beside a vertical
    CRS, and the same numbers would lie elsewhere.

    Parameters
    ----------
    path
        The file that is read or written, for messages.
    geobox
        The grid; without CRS the answer is None.
    datum
        The vertical datum to join, where a GeoTIFF keeps both.

    Raises
    ------
    GridError
        Where a GeoTIFF does not even keep the horizontal CRS.
    """
    if geobox.crs is None:
        return None
    flat = horizontal(CRS.from_user_input(geobox.crs.to_wkt()))
    joined = vertical.compound(flat, datum)
    for crs in (joined, flat) if joined is not flat else (flat,):
        read = _through_geotiff(crs.to_wkt())
        if read is not None and kept(crs, read, geobox):
            return crs
    raise GridError(
        f"{path}: its CRS {flat.name!r} cannot be stored in a GeoTIFF: read back, the grid would lie elsewhere. "
        "Bring it to a CRS with an EPSG code first: gdalwarp -t_srs EPSG:xxxx"
    )


def kept(crs: CRS, read: CRS, geobox: GeoBox) -> bool:
    """Whether the CRS read back means what was written: the same place, vertical datum and unit of height."""
    one, two = vertical.from_crs(crs), vertical.from_crs(read)
    datums = (one is None) == (two is None) and (one is None or two is None or one.same(two))
    return datums and vertical_unit(crs) == vertical_unit(read) and same_place(crs, read, geobox)


@functools.lru_cache(maxsize=64)
def _through_geotiff(wkt: str) -> CRS | None:
    """The CRS as a GeoTIFF keeps it, without a sidecar file; None where it keeps none."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": 1, "width": 1}
    try:
        with gdal.environment(GDAL_PAM_ENABLED=False), MemoryFile() as memory:
            with memory.open(crs=rasterio.crs.CRS.from_wkt(wkt), transform=Affine.translation(1, 1), **profile) as file:
                file.write(np.zeros((1, 1, 1), np.uint8))
            with memory.open() as file:
                return CRS.from_wkt(file.crs.to_wkt()) if file.crs else None
    except (RasterioError, CRSError):
        return None
