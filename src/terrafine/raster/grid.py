"""Requirements on a grid, and the size of its cells in metres on the ground, by row, along y and x."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Proj
from pyproj.exceptions import CRSError

from terrafine.errors import GridError
from terrafine.raster.crs import unbound

__all__ = ["CELLS_M", "check_grid", "ellipsoid_metres", "parse_crs", "pixel_size_m", "plausible_cell"]

POLAR = 85.0
CELLS_M = "0.0001 to 10,000,000 m"
_CELL_RANGE = (1e-4, 1e7)
_FINEST = 1e-14  # of a coordinate, for cells of that size: float64 resolves 1e-16
_CLAMP = 89.9
# Cylindrical projections, whose ground scale depends on the row alone. EPSG Guidance Note 7-2.
_CYLINDRICAL = ("mercator", "equidistant cylindrical", "plate carr", "cylindrical equal area")
_NOT_CYLINDRICAL = ("transverse", "oblique", "hotine", "swiss")


def plausible_cell(metres: float) -> bool:
    """Return whether a cell of that size is plausible.

    Parameters
    ----------
    metres
        Side of the cell in metres.

    Returns
    -------
    bool
        True from 0.1 mm to 10,000 km.
    """
    return _CELL_RANGE[0] <= metres <= _CELL_RANGE[1]


def subdivided(geobox: GeoBox, k: int) -> GeoBox:
    """Return the grid that divides each cell into k × k cells: same corner, same extent.

    Parameters
    ----------
    geobox
        The coarse grid.
    k
        Cells per side.

    Returns
    -------
    GeoBox
        The fine grid.
    """
    (height, width), affine = geobox.shape, geobox.affine
    return GeoBox((int(height) * k, int(width) * k), affine * affine.scale(1 / k), geobox.crs)


def parse_crs(text: object, path: str, advice: str = "give one with assume_crs=CRS") -> CRS:
    """Return a pyproj CRS from WKT, an EPSG code or a PROJ string.

    Parameters
    ----------
    text
        What pyproj understands as a CRS.
    path
        The file, for messages.
    advice
        What the message recommends.

    Returns
    -------
    CRS
        The CRS.

    Raises
    ------
    GridError
        If it cannot be read as a CRS.
    """
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise GridError(f"{path}: the CRS {str(text)[:80]!r} cannot be read ({error}); {advice}") from None


def check_grid(path: str, transform: Affine, shape: tuple[int, int], crs: CRS | None, metres_known: bool) -> None:
    """Check that a grid is north-up, has cells of plausible size, and has no geographic rows near a pole.

    Parameters
    ----------
    path
        The file, for messages.
    transform
        Geotransform with north-up rows.
    shape
        Rows and columns (y, x).
    crs
        Horizontal CRS, or None.
    metres_known
        Whether the caller states the cell size in metres; then no CRS is needed.

    Raises
    ------
    GridError
        If one of these fails; the message names the command that fixes it.
    """
    tolerance = 1e-9 * (abs(transform.a) + abs(transform.e))
    if abs(transform.b) > tolerance or abs(transform.d) > tolerance:
        raise GridError(
            f"{path}: the grid is rotated or sheared (geotransform terms {transform.b:g}, {transform.d:g}); expected "
            "rows along x. Make it north-up with: gdalwarp in.tif northup.tif"
        )
    if transform.a <= 0 or transform.e >= 0:
        raise GridError(
            f"{path}: columns run westward (pixel width {transform.a:g}); expected eastward. Fix it "
            "with: gdalwarp in.tif northup.tif"
        )
    if not all(map(math.isfinite, tuple(transform)[:6])):
        raise GridError(f"{path}: the geotransform holds numbers that are not finite: {tuple(transform)[:6]}")
    if min(transform.a / (abs(transform.c) or 1.0), -transform.e / (abs(transform.f) or 1.0)) < _FINEST:
        raise GridError(
            f"{path}: cells of {transform.a:g} × {-transform.e:g} at ({transform.c:g}, {transform.f:g}): the cells are "
            "smaller than the precision of such coordinates. The geotransform is wrong: gdal_edit -a_ullr"
        )
    if crs is None:
        if not metres_known:
            raise GridError(
                f"{path}: the file has no CRS, so its cells have no size in metres; state the CRS with "
                'assume_crs="EPSG:xxxx", or the size of a cell in metres with pixel_size_m=METRES'
            )
        return
    if metres_known:
        return
    unit = math.radians(1.0) * 6_371_000 if crs.is_geographic else float(crs.axis_info[0].unit_conversion_factor)
    if not (plausible_cell(transform.a * unit) and plausible_cell(-transform.e * unit)):
        raise GridError(
            f"{path}: cells of {transform.a:g} × {-transform.e:g} in the unit of its CRS, {transform.a * unit:g} × "
            f"{-transform.e * unit:g} m; expected {CELLS_M}. The geotransform or the CRS is wrong: gdal_edit -a_ullr"
        )
    if crs.is_geographic:
        _check_geographic(path, transform, shape, crs)
    elif not crs.is_projected:
        raise GridError(
            f"{path}: the CRS {crs.name!r} is {crs.type_name.lower()}; expected a geographic or projected one, whose "
            "cells have a size in metres. State another with assume_crs=CRS, or the size with "
            "pixel_size_m=METRES"
        )


def _check_geographic(path: str, transform: Affine, shape: tuple[int, int], crs: CRS) -> None:
    per_degree = crs.axis_info[0].unit_conversion_factor / math.radians(1.0)
    if not math.isclose(per_degree, 1.0, rel_tol=1e-9):
        raise GridError(f"{path}: the CRS measures angles in {crs.axis_info[0].unit_name}; expected degrees")
    north, south = transform.f, transform.f + transform.e * shape[0]
    # A cell centred on +-85 reaches half a cell beyond it: one cell of grace.
    if max(north, -south) > POLAR + abs(transform.e):
        raise GridError(
            f"{path}: rows reach latitude {max(north, -south):.3f}, where a geographic cell shrinks to nothing "
            f"along x; expected |latitude| <= {POLAR:g}. Crop it, or go to a polar CRS: gdalwarp -t_srs "
            "EPSG:3413 (north) or EPSG:3031 (south)"
        )
    if transform.a * shape[1] > 360.0 * (1 + 1e-6) + transform.a:
        raise GridError(f"{path}: the grid is {transform.a * shape[1]:g} degrees wide; expected at most 360")


def ellipsoid_metres(latitude: NDArray[np.float64], a: float, inverse_flattening: float) -> NDArray[np.float64]:
    """Return the metres per degree of latitude and of longitude from the radii of curvature of an ellipsoid.

    M = a (1 - e²) / (1 - e² sin² φ)^(3/2) along the meridian, and N cos φ = a cos φ / (1 - e² sin² φ)^(1/2) along the
    parallel.

    Parameters
    ----------
    latitude
        Degrees, (n,); clamped to ±89.9.
    a
        Semi-major axis in metres.
    inverse_flattening
        1 / f; 0 for a sphere.

    Returns
    -------
    ndarray of float64, (2, n)
        Metres per degree along y and x.

    References
    ----------
    Snyder 1987, USGS Professional Paper 1395, eq. 4-18 to 4-21, https://doi.org/10.3133/pp1395
    """
    f = 1.0 / inverse_flattening if inverse_flattening else 0.0
    e2 = f * (2.0 - f)
    phi = np.radians(np.clip(latitude, -_CLAMP, _CLAMP))
    w2 = 1.0 - e2 * np.sin(phi) ** 2
    along_y = a * (1.0 - e2) / w2**1.5
    along_x = a * np.cos(phi) / np.sqrt(w2)
    return np.stack([along_y, along_x]).astype(np.float64) * math.radians(1.0)


def _cylindrical(crs: CRS) -> bool:
    operation = crs.coordinate_operation
    method = operation.method_name.lower() if operation is not None else ""
    return any(m in method for m in _CYLINDRICAL) and not any(m in method for m in _NOT_CYLINDRICAL)


def pixel_size_m(
    geobox: GeoBox, rows: slice, stated: Sequence[float] | None = None, crs: CRS | None = None
) -> NDArray[np.float64]:
    """Return the ground size of the cells of a north-up grid, row by row.

    Rows may lie outside the grid: they are extrapolated, latitudes clamped to ±89.9 degrees. Geographic grids use the
    radii of curvature at the row's centre. Cylindrical projections (EPSG:3857 among them) use the pitch divided by
    PROJ's scale factors at that row. Other projected grids use the pitch converted to metres.

    Parameters
    ----------
    geobox
        The grid.
    rows
        First row and the row after the last.
    stated
        Cell size in metres (y, x); overrides everything else.
    crs
        CRS of the grid, if the caller has it as a pyproj object.

    Returns
    -------
    ndarray of float64, (2, rows)
        Metres along y and x.

    Raises
    ------
    GridError
        If the grid has no CRS, or a geographic CRS without an ellipsoid, and no size is stated.

    References
    ----------
    EPSG Guidance Note 7-2, https://epsg.org/guidance-notes.html
    """
    start, stop = int(rows.start), int(rows.stop)
    n = stop - start
    if stated is not None:
        return np.repeat(np.asarray(stated, np.float64)[:, None], n, axis=1)
    transform: Affine = geobox.affine
    if crs is None:
        if geobox.crs is None:
            raise GridError("a grid without CRS has no size in metres; state it with pixel_size_m=METRES")
        crs = CRS.from_user_input(geobox.crs.to_wkt())
    crs = unbound(crs)  # a datum shift neither stretches nor shrinks a cell
    pitch_y, pitch_x = abs(transform.e), abs(transform.a)
    y = (transform.f + transform.e * (np.arange(start, stop) + 0.5)).astype(np.float64)
    if crs.is_geographic:
        ellipsoid = crs.ellipsoid
        if ellipsoid is None:
            raise GridError(f"the CRS {crs.name!r} has no ellipsoid, so its cells have no size in metres")
        per_degree = ellipsoid_metres(y, ellipsoid.semi_major_metre, ellipsoid.inverse_flattening)
        return per_degree * np.array([[pitch_y], [pitch_x]], np.float64)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    size = np.repeat(np.array([[pitch_y], [pitch_x]], np.float64) * unit, n, axis=1)
    return np.divide(size, _row_scale(crs, y)) if _cylindrical(crs) else size


def _row_scale(crs: CRS, y: NDArray[np.float64]) -> NDArray[np.float64]:
    projection = Proj(crs)
    x0, _ = projection(crs_centre(crs), 0.0)
    # Proj works in the CRS's own unit, as y is.
    longitude, latitude = projection(np.full_like(y, x0), y, inverse=True)
    factors = projection.get_factors(longitude, np.clip(latitude, -_CLAMP, _CLAMP))
    return np.stack([np.asarray(factors.meridional_scale), np.asarray(factors.parallel_scale)])


def crs_centre(crs: CRS) -> float:
    """Return the longitude of a projection's central meridian in degrees, 0 if it has none.

    Parameters
    ----------
    crs
        A projected CRS.

    Returns
    -------
    float
        Degrees.
    """
    operation = crs.coordinate_operation
    for parameter in operation.params if operation is not None else ():
        if "longitude" in parameter.name.lower():
            return float(parameter.value)
    return 0.0
