"""Choose the CRS that a GeoTIFF can store: with the vertical datum if both survive, else the horizontal one alone."""

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
    """Return the CRS to write a grid with; the caller writes a datum that is not part of it as a tag.

    Each candidate is written to a GeoTIFF in memory and read back. A datum shift, for example, is lost beside a
    vertical CRS, and the same coordinates would then mean another place.

    Parameters
    ----------
    path
        The file that is read or written, for messages.
    geobox
        The grid.
    datum
        The vertical datum to join if a GeoTIFF keeps both.

    Returns
    -------
    pyproj.CRS or None
        None if the grid has no CRS.

    Raises
    ------
    GridError
        If a GeoTIFF does not even keep the horizontal CRS.
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
    """Return whether a CRS reads back with the same meaning: same place, vertical datum and unit of height.

    Parameters
    ----------
    crs, read
        The CRS that was written, and the one that was read back.
    geobox
        The grid.

    Returns
    -------
    bool
        True if all three agree.
    """
    one, two = vertical.from_crs(crs), vertical.from_crs(read)
    datums = (one is None) == (two is None) and (one is None or two is None or one.same(two))
    return datums and vertical_unit(crs) == vertical_unit(read) and same_place(crs, read, geobox)


@functools.lru_cache(maxsize=64)
def _through_geotiff(wkt: str) -> CRS | None:
    """Return the CRS as a GeoTIFF without sidecar files stores it, or None."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": 1, "width": 1}
    try:
        with gdal.environment(GDAL_PAM_ENABLED=False), MemoryFile() as memory:
            with memory.open(crs=rasterio.crs.CRS.from_wkt(wkt), transform=Affine.translation(1, 1), **profile) as file:
                file.write(np.zeros((1, 1, 1), np.uint8))
            with memory.open() as file:
                return CRS.from_wkt(file.crs.to_wkt()) if file.crs else None
    except (RasterioError, CRSError):
        return None
