"""Class maps of one tile in several epochs, read together; and which of its cells lie in an area."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window

from terrafine.errors import GridError, SourceError
from terrafine.raster import gdal

__all__ = ["UNKNOWN", "class_rows", "grid_of", "inside"]

PathLike = str | os.PathLike[str]
UNKNOWN = 255


def grid_of(path: PathLike) -> GeoBox:
    """Return the grid of a raster in a UTM zone.

    Parameters
    ----------
    path
        The raster.

    Returns
    -------
    GeoBox
        Its grid.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        with gdal.environment(), rasterio.open(path) as file:
            return GeoBox((file.height, file.width), file.transform, f"EPSG:{file.crs.to_epsg()}")
    except (RasterioError, OSError, AttributeError) as error:
        raise SourceError(
            f"{path}: not a readable tile ({error}); run the campaign again, and compare digests: verify"
        ) from error


def class_rows(paths: Sequence[PathLike | None], rows: int = 512) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Read class maps of one grid in blocks of rows.

    Parameters
    ----------
    paths
        One file for each epoch; None where the epoch has none, which reads as unknown.
    rows
        Rows of a block.

    Yields
    ------
    rows, classes : slice and ndarray of uint8, (epoch, y, x)
        255 where not known.

    Raises
    ------
    SourceError, GridError
        If a file cannot be read, or lies on another grid than the first.
    """
    present = [p for p in paths if p is not None]
    grid = grid_of(present[0])
    height, width = (int(n) for n in grid.shape)
    for path in present[1:]:
        other = grid_of(path)
        if other != grid:
            raise GridError(f"{path}: lies on another grid than {present[0]}; expected the tile in every epoch")
    try:
        with gdal.environment():
            files = [None if p is None else rasterio.open(p) for p in paths]
            try:
                for top in range(0, height, rows):
                    part = slice(top, min(top + rows, height))
                    window = Window(0, top, width, part.stop - top)
                    block = np.full((len(paths), part.stop - top, width), UNKNOWN, np.uint8)
                    for into, file in zip(block, files, strict=True):
                        if file is not None:
                            into[:] = file.read(1, window=window)
                    yield part, block
            finally:
                for file in files:
                    if file is not None:
                        file.close()
    except RasterioError as error:
        raise SourceError(
            f"{present[0]}: cannot be read ({error}); run the campaign again, and compare digests: verify"
        ) from error


def inside(area: Any, geobox: GeoBox) -> NDArray[np.bool_]:
    """Return which cells of a grid have their centre in an area of longitude and latitude.

    Parameters
    ----------
    area
        Polygons in longitude and latitude of WGS 84.
    geobox
        A grid with a CRS.

    Returns
    -------
    ndarray of bool, (y, x)
        True inside.

    Raises
    ------
    GridError
        If the grid has no CRS.
    """
    shape = (int(geobox.shape[0]), int(geobox.shape[1]))
    if geobox.crs is None:
        raise GridError("a grid without CRS has no place; state it with assume_crs=CRS")
    wkt = geobox.crs.to_wkt()
    onto = Transformer.from_crs("EPSG:4326", wkt, always_xy=True)
    back = Transformer.from_crs(wkt, "EPSG:4326", always_xy=True)
    box = geobox.boundingbox
    west, south, east, north = back.transform_bounds(box.left, box.bottom, box.right, box.top, densify_pts=21)
    if west > east:  # across the 180th meridian; the area lies within ±180
        near = shapely.union_all(
            [
                shapely.intersection(area, shapely.box(*b))
                for b in ((west, south, 180, north), (-180, south, east, north))
            ]
        )
    else:
        pad = 0.1 * max(east - west, north - south)
        near = shapely.intersection(area, shapely.box(west - pad, south - pad, east + pad, north + pad))
    fine = shapely.segmentize(near, max(1e-4, (north - south) / 64))
    moved = shapely.transform(fine, lambda xy: np.stack(onto.transform(*xy.T), axis=1))
    parts = [
        p for p in shapely.get_parts(shapely.make_valid(moved)) if p.geom_type.endswith("Polygon") and not p.is_empty
    ]
    if not parts:
        return np.zeros(shape, bool)
    burned = rasterize(parts, out_shape=shape, transform=geobox.affine, fill=0, default_value=1, dtype="uint8")
    return np.asarray(burned, bool)
