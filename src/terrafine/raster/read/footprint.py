"""Where a raster lies, from its header alone: what a campaign needs to know of thousands of scenes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from rasterio.errors import RasterioError

from terrafine.errors import GridError, SourceError
from terrafine.raster import gdal
from terrafine.raster.grid import parse_crs
from terrafine.raster.read.checks import integrity
from terrafine.raster.read.opened import open_quietly

__all__ = ["Footprint", "read_footprint"]

PathLike = str | os.PathLike[str]
_PARTS = 16  # vertices along a side of an outline


@dataclass(frozen=True, slots=True)
class Footprint:
    """A raster file, where it lies, and a digest of what it holds.

    Attributes
    ----------
    path
        The file.
    outline
        Its extent as a polygon in longitude and latitude.
    bytes
        Its size.
    sha256
        Digest of its content; sampled for large files.
    """

    path: str
    outline: Any
    bytes: int
    sha256: str


def read_footprint(path: PathLike, assume_crs: str | None = None) -> Footprint:
    """Read where a raster lies, and a digest of its content.

    Parameters
    ----------
    path
        A local raster.
    assume_crs
        CRS that overrides the file's own.

    Returns
    -------
    Footprint
        Its outline, size and digest.

    Raises
    ------
    SourceError
        If the file is missing or not a raster.
    GridError
        If it has no CRS, or its corners do not lie on the Earth.
    """
    text = os.fspath(path)
    try:
        with gdal.environment(), open_quietly(text) as file:
            affine, (height, width), wkt = file.transform, file.shape, file.crs.to_wkt() if file.crs else None
    except (RasterioError, OSError) as error:
        raise SourceError(f"{text}: not a readable raster ({error}); expected a scene of the campaign") from error
    if assume_crs is None and wkt is None:
        raise GridError(f"{text}: the file has no CRS, so it has no place; state it with assume_crs=CRS")
    crs = CRS.from_user_input(parse_crs(assume_crs or wkt, text))
    step = np.linspace(0.0, 1.0, _PARTS + 1)[:-1]
    ring = (
        [(t, 0.0) for t in step]
        + [(1.0, t) for t in step]
        + [(1 - t, 1.0) for t in step]
        + [(0.0, 1 - t) for t in step]
    )
    corners = np.array([affine * (width * u, height * v) for u, v in ring])
    onto = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = onto.transform(corners[:, 0], corners[:, 1])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise GridError(f"{text}: its corners do not lie on the Earth; its CRS or its geotransform is wrong")
    if np.ptp(lon) > 180.0:  # across the 180th meridian: both sides
        east = shapely.Polygon(np.stack([np.where(lon < 0, lon + 360, lon), lat], axis=1))
        outline = shapely.union_all([east, shapely.transform(east, lambda xy: xy - [360.0, 0.0])])
    else:
        plain = shapely.Polygon(np.stack([lon, lat], axis=1))
        turns = [0.0, -360.0 * (lon.max() > 180.0), 360.0 * (lon.min() < -180.0)]  # a grid from 0 to 360 degrees
        outline = shapely.union_all([shapely.transform(plain, lambda xy, t=t: np.add(xy, (t, 0.0))) for t in {*turns}])
    return Footprint(text, outline, os.stat(text).st_size, integrity.content_digest(text))  # noqa: PTH116
