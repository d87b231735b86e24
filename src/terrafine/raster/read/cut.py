"""Cut the part of a DEM that a tile needs, on the DEM's own grid: resampling is left to the model that knows how."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from terrafine.errors import EmptyError, GridError
from terrafine.raster.grid import parse_crs
from terrafine.raster.protocol import RasterSource
from terrafine.raster.write.cog_writer import write_cog

__all__ = ["Cut", "cut_surface"]


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut.

    Attributes
    ----------
    shape
        Rows and columns (y, x).
    valid
        Share of its cells that hold a height.
    """

    shape: tuple[int, int]
    valid: float


def cut_surface(source: RasterSource, outline: Any, target: Path, tags: Mapping[str, str] | None = None) -> Cut:
    """Write the cells of a DEM that cover an outline, and a few around them.

    Parameters
    ----------
    source
        An open DEM, or several files that are read as one.
    outline
        Polygon in longitude and latitude.
    target
        The GeoTIFF to write.
    tags
        Tags of the file.

    Returns
    -------
    Cut
        Its shape, and the share of its cells that hold a height.

    Raises
    ------
    EmptyError
        If the outline lies outside the DEM, or no cell under it holds a height.
    OutputError, DiskError
        As `write_cog`.
    """
    rows, cols = _window(source, outline)
    if rows.stop - rows.start < 1 or cols.stop - cols.start < 1:
        raise EmptyError(f"{', '.join(source.paths[:3])}: does not reach the tile; expected heights there")
    names: Sequence[str] = tuple(source.bands)
    whole = [source.read(name, rows, cols) for name in names]
    block = np.stack([np.where(valid, values, np.float32(np.nan)) for values, valid in whole]).astype(np.float32)
    share = float(np.isfinite(block[0]).mean())
    if share == 0:
        raise EmptyError(f"{', '.join(source.paths[:3])}: holds only nodata in the tile; expected heights there")
    geobox: GeoBox = source.geobox[rows.start : rows.stop, cols.start : cols.stop]
    write_cog(
        target,
        geobox,
        [block],
        band_names=names,
        units=("m",) * len(names),
        tags=tags,
        vertical=source.vertical,
        surface=source.surface,
        area_or_point=source.area_or_point,
        overviews=False,
    )
    return Cut((block.shape[1], block.shape[2]), share)


def _window(source: RasterSource, outline: Any) -> tuple[slice, slice]:
    """Rows and columns that cover an outline, within the source."""
    a = source.geobox.affine
    if source.geobox.crs is None:
        raise GridError(f"{source.paths[0]}: the DEM has no CRS, so it has no place; state it with assume_crs=CRS")
    crs = parse_crs(source.geobox.crs.to_wkt(), os.fspath(source.paths[0]))
    onto = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    xy = shapely.get_coordinates(outline)
    x, y = onto.transform(xy[:, 0], xy[:, 1])
    if crs.is_geographic:  # a mosaic across the 180th meridian has longitudes beyond it
        middle = a.c + a.a * source.shape[1] / 2
        x = np.asarray(x) + 360.0 * np.round((middle - np.asarray(x)) / 360.0)
    cols, rows = (np.asarray(x) - a.c) / a.a, (np.asarray(y) - a.f) / a.e
    height, width = source.shape
    return (
        slice(max(0, int(np.floor(rows.min()))), min(height, int(np.ceil(rows.max())))),
        slice(max(0, int(np.floor(cols.min()))), min(width, int(np.ceil(cols.max())))),
    )
