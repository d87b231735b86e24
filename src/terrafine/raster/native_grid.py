"""The part of a product's own grid that covers an area, so that its cells are copied and not resampled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from terrafine.errors import GridError
from terrafine.raster import grid
from terrafine.raster.area import AreaOfInterest

__all__ = ["native_grid"]

_CELLS = 2_000_000_000


def native_grid(area: AreaOfInterest, transform: Sequence[float], crs: str) -> GeoBox:
    """Return the grid of an area whose cells are those of a north-up grid.

    Parameters
    ----------
    area
        The ground.
    transform
        Geotransform of the grid, its first six numbers as `Affine` has them.
    crs
        Its CRS.

    Returns
    -------
    GeoBox
        Whole cells of the grid that cover the area.

    Raises
    ------
    GridError
        For a grid that is not north-up, an area outside its CRS, or more cells than one raster may have.
    """
    a, b, c, d, e, f = (float(v) for v in list(transform)[:6])
    if b or d or a <= 0 or e >= 0 or not all(map(math.isfinite, (a, c, e, f))):
        raise GridError(f"{area.name}: the product's grid is not north-up ({a:g}, {b:g}, {d:g}, {e:g})")
    target = grid.parse_crs(crs, area.name, "expected the CRS of the product")
    into = Transformer.from_crs("OGC:CRS84", target, always_xy=True)
    edge = shapely.segmentize(area.geometry, max(1e-4, (area.bounds[2] - area.bounds[0]) / 200))
    longitude, latitude = shapely.get_coordinates(edge).T
    # Across the antimeridian a geographic grid runs on beyond 180, as the area does.
    x, y = (longitude, latitude) if target.is_geographic else into.transform(longitude, latitude)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GridError(f"{area.name}: parts of it have no place in {target.name}")
    left, right = math.floor((x.min() - c) / a + 1e-6), math.ceil((x.max() - c) / a - 1e-6)
    top, bottom = math.floor((y.max() - f) / e + 1e-6), math.ceil((y.min() - f) / e - 1e-6)
    shape = (max(1, bottom - top), max(1, right - left))
    if shape[0] * shape[1] > _CELLS:
        raise GridError(f"{area.name}: {shape[1]:,} × {shape[0]:,} cells; expected at most {_CELLS:,}. Divide the area")
    return GeoBox(shape, Affine(a, 0.0, c + left * a, 0.0, e, f + top * e), crs)
