"""Sunlight on a matt surface, for numpy arrays and torch tensors."""

from __future__ import annotations

import math
from typing import Any, TypeVar

__all__ = ["hillshade"]

Values = TypeVar("Values", bound=Any)  # arrays or tensors


def hillshade(east: Values, north: Values, sun_azimuth: float = 315.0, sun_elevation: float = 45.0) -> Values:
    """Return the cosine between the sun and the surface normal, 0 where the ground faces away.

    Parameters
    ----------
    east, north
        Rise per metre toward east and toward north, (..., y, x). NaN stays NaN.
    sun_azimuth
        Degrees clockwise from north, toward the sun.
    sun_elevation
        Degrees above the horizon. Cast shadows are not drawn.

    Returns
    -------
    Values
        Brightness from 0 to 1, (..., y, x).

    Raises
    ------
    ValueError
        For a sun that is not above the horizon.

    References
    ----------
    Horn 1981, doi:10.1109/PROC.1981.11918.
    """
    if not 0 < sun_elevation <= 90:
        raise ValueError(f"the sun stands {sun_elevation} degrees above the horizon; expected above 0 and up to 90")
    azimuth, elevation = math.radians(sun_azimuth), math.radians(sun_elevation)
    facing = math.cos(elevation) * (east * -math.sin(azimuth) - north * math.cos(azimuth))
    shade: Values = ((math.sin(elevation) + facing) / (1 + east**2 + north**2) ** 0.5).clip(0, 1)
    return shade
