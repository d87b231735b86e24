"""Directions on the ground as directions on a grid: toward a radar sensor, and toward true north."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from terrafine.errors import GridError, UsageError

if TYPE_CHECKING:
    from terrafine.raster.read.source import Source

__all__ = ["check_latitude", "grid_north", "sensor_azimuth"]

_TURN = 5.0  # degrees by which the grid's north may turn over the extent


def sensor_azimuth(
    dem: Source, orbit: str, heading: float | None, latitude: float | None, incidence: float
) -> tuple[float, float]:
    """Return the direction to a radar sensor, and the rotation from true north to the grid's north.

    Parameters
    ----------
    dem
        The open DEM.
    orbit
        `ascending` or `descending`.
    heading
        Heading of the track, degrees clockwise from north; None for Sentinel-1's at the latitude.
    latitude
        Latitude in degrees; None for that of the centre of the DEM.
    incidence
        Incidence angle on the ellipsoid, degrees.

    Returns
    -------
    tuple of two floats
        Degrees clockwise from true north, and degrees to add for the grid's north.

    Raises
    ------
    UsageError
        If the latitude is invalid, or neither it nor a heading is known.
    GridError
        If the grid's north turns by more than 5 degrees over the extent.
    """
    from terrafine.physics.radar import look_azimuth

    where, turned = _north(dem)
    check_latitude(latitude)
    latitude = where if latitude is None else latitude
    if latitude is None and heading is None:
        raise UsageError(f"{dem.paths[0]}: has no CRS, so its latitude is unknown; state latitude=, or heading=")
    try:
        return look_azimuth(orbit, latitude or 0.0, heading, incidence=incidence), turned  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"{dem.paths[0]}: {error}") from None


def grid_north(dem: Source) -> float:
    """Return the degrees to add to a direction from true north to measure it from the grid's north.

    Parameters
    ----------
    dem
        The open DEM.

    Returns
    -------
    float
        Degrees clockwise; 0 without CRS.

    Raises
    ------
    GridError
        If the grid's north turns by more than 5 degrees over the extent.
    """
    return _north(dem)[1]


def _north(dem: Source) -> tuple[float | None, float]:
    """Return the latitude of the centre and the direction of true north on the grid; (None, 0) without CRS."""
    from pyproj import CRS, Transformer

    if dem.geobox.crs is None:
        return None, 0.0
    crs = CRS.from_user_input(dem.geobox.crs.to_wkt())
    box, step = dem.geobox.boundingbox, 1e-4
    x = np.array([(box.left + box.right) / 2, box.left, box.right, box.left, box.right])
    y = np.array([(box.bottom + box.top) / 2, box.bottom, box.bottom, box.top, box.top])
    if crs.is_geographic:
        return float(y[0]), 0.0
    there = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    lon, lat = there.transform(x, y)
    x1, y1 = there.transform(lon, lat + step, direction="INVERSE")
    turn = np.degrees(np.arctan2(x1 - x, y1 - y))
    spread = np.abs((turn - turn[0] + 180) % 360 - 180)
    if not (np.isfinite(turn).all() and spread.max() <= _TURN):
        raise GridError(
            f"{dem.paths[0]}: the grid's north turns by {spread.max():.0f} degrees over the extent; expected at most "
            f"{_TURN:g}. Crop it, or reproject it to a local grid: gdalwarp -t_srs EPSG:326xx"
        )
    return float(lat[0]), float(turn[0])


def check_latitude(latitude: float | None) -> None:
    """Check a latitude in degrees; None is none.

    Parameters
    ----------
    latitude
        Degrees.

    Raises
    ------
    UsageError
        If it is not between -90 and 90.
    """
    if latitude is not None and not abs(latitude) <= 90:
        raise UsageError(f"latitude {latitude:g}; expected -90 to 90 degrees")
