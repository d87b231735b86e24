"""Grids in metres: the 1 m grid of an image, its coarse grid, and the geocentric position of a grid."""

from __future__ import annotations

import math

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from terrafine.errors import GridError
from terrafine.raster.protocol import RasterSource
from terrafine.raster.read.aligned import warp_grid

__all__ = ["coarser", "earth_position", "metre_grid"]

_TRUE = 0.01  # a pitch that is off by less than this share of itself measures metres


def metre_grid(source: RasterSource, cell_m: float = 1.0) -> GeoBox:
    """Return the grid of `cell_m` metres inside a source, in its own CRS if that measures metres on the ground.

    Otherwise return the grid that covers the source in the UTM zone of its centre. A source without CRS keeps its
    corner and its stated pixel size. Edges lie on whole multiples of the cell size.

    Parameters
    ----------
    source
        An open raster.
    cell_m
        Side of a cell in metres.

    Returns
    -------
    GeoBox
        A grid with edges on multiples of `cell_m`.

    Raises
    ------
    GridError
        If the source is smaller than one cell, or cannot be put in its UTM zone.
    """
    geobox = source.geobox
    middle = source.shape[0] // 2
    size = source.pixel_size_m(slice(middle, middle + 1))[:, 0]
    if geobox.crs is None:
        shape = (int(source.shape[0] * size[0] / cell_m + 1e-6), int(source.shape[1] * size[1] / cell_m + 1e-6))
        if min(shape) < 1:
            raise GridError(f"{source.paths[0]}: measures less than {cell_m:g} m; expected a larger image")
        return GeoBox(shape, geobox.affine * geobox.affine.scale(cell_m / size[1], cell_m / size[0]), None)
    crs = CRS.from_wkt(geobox.crs.to_wkt())
    if not crs.is_projected or abs(geobox.affine.a / size[1] - 1) >= _TRUE:
        return warp_grid(geobox, _utm(geobox, crs), cell_m)
    box = geobox.boundingbox
    left, top = math.ceil(box.left / cell_m - 1e-6), math.floor(box.top / cell_m + 1e-6)
    right, bottom = math.floor(box.right / cell_m + 1e-6), math.ceil(box.bottom / cell_m - 1e-6)
    if right <= left or top <= bottom:
        raise GridError(f"{source.paths[0]}: measures less than {cell_m:g} m; expected a larger image")
    affine = Affine(cell_m, 0.0, left * cell_m, 0.0, -cell_m, top * cell_m)
    return GeoBox((top - bottom, right - left), affine, geobox.crs)


def _utm(geobox: GeoBox, crs: CRS) -> str:
    box = geobox.boundingbox
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + int((longitude + 180) // 6) % 60 + 1}"


def coarser(geobox: GeoBox, k: int) -> GeoBox:
    """Return the grid whose cells are k × k cells of this one: same corner; incomplete cells at the end are left out.

    Parameters
    ----------
    geobox
        The fine grid.
    k
        Fine cells per side of a coarse one.

    Returns
    -------
    GeoBox
        The coarse grid.
    """
    return GeoBox((geobox.shape[0] // k, geobox.shape[1] // k), geobox.affine * geobox.affine.scale(k), geobox.crs)


def earth_position(geobox: GeoBox) -> tuple[float, float, float] | None:
    """Return the geocentric position of the centre of a grid, on the WGS 84 ellipsoid.

    Parameters
    ----------
    geobox
        The grid.

    Returns
    -------
    tuple of three floats or None
        x, y and z in metres (EPSG:4978); None if the grid has no CRS.
    """
    if geobox.crs is None:
        return None
    box = geobox.boundingbox
    into = Transformer.from_crs(geobox.crs.to_wkt(), "EPSG:4978", always_xy=True)
    x, y, z = into.transform((box.left + box.right) / 2, (box.bottom + box.top) / 2, 0.0)
    return float(x), float(y), float(z)
