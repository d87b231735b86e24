"""Earth-centred coordinates of the cells of a grid, from their heights above the ellipsoid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from terrafine.errors import GridError

__all__ = ["geocentric"]

_EARTH_CENTRED = "EPSG:4978"  # WGS 84


def geocentric(geobox: Any, heights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return where the centres of cells lie, from the centre of the Earth (EPSG:4978).

    Parameters
    ----------
    geobox
        The grid, a GeoBox with a CRS.
    heights
        Metres above the ellipsoid, (y, x).

    Returns
    -------
    ndarray of float64, (3, y, x)
        X, Y and Z in metres.

    Raises
    ------
    GridError
        For a grid without CRS.
    """
    if geobox.crs is None:
        raise GridError("the grid has no CRS; expected one, so that its cells have a place on the Earth")
    plane = pyproj.CRS.from_wkt(geobox.crs.to_wkt())
    flat = next((part for part in plane.sub_crs_list if not part.is_vertical), plane)
    solid = flat.to_3d()
    a = geobox.affine
    rows, cols = np.mgrid[0 : heights.shape[0], 0 : heights.shape[1]] + 0.5
    x, y = a.a * cols + a.b * rows + a.c, a.d * cols + a.e * rows + a.f
    onto = pyproj.Transformer.from_crs(solid, _EARTH_CENTRED, always_xy=True)
    return np.stack([np.asarray(part) for part in onto.transform(x, y, np.asarray(heights, np.float64))])
