"""Directions on the ground as directions on a grid: where a radar stands, and where true north points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from terrafine.errors import GridError, UsageError

if TYPE_CHECKING:
    from terrafine.raster.read.source import Source

__all__ = ["grid_north", "sensor_azimuth"]

_TURN = 5.0  # degrees by which the grid's north may turn over the extent


def sensor_azimuth(
    dem: Source, orbit: str, heading: float | None, latitude: float | None, incidence: float
) -> tuple[float, float]:
    """Direction to the sensor from true north, and what to add to have it from the grid's north, degrees."""
    from terrafine.physics.radar import look_azimuth

    where, turned = _north(dem)
    if latitude is not None and not abs(latitude) <= 90:
        raise UsageError(f"latitude {latitude:g}; expected -90 to 90 degrees")
    latitude = where if latitude is None else latitude
    if latitude is None and heading is None:
        raise UsageError(
            f"{dem.paths[0]}: has no CRS, so where it lies under the orbit is not known; give latitude=, or heading="
        )
    try:
        return look_azimuth(orbit, latitude or 0.0, heading, incidence=incidence), turned  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"{dem.paths[0]}: {error}") from None


def grid_north(dem: Source) -> float:
    """Degrees clockwise to add to a direction from true north to have it from the grid's north; 0 without CRS."""
    return _north(dem)[1]


def _north(dem: Source) -> tuple[float | None, float]:
    """Latitude of the centre, and where on the grid true north points, degrees clockwise; (None, 0) without CRS."""
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
            f"{_TURN:g}. Cut it, or bring it to a local grid: gdalwarp -t_srs EPSG:326xx"
        )
    return float(lat[0]), float(turn[0])
