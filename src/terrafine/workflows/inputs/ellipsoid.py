"""How far heights have to be lifted so that they are above the ellipsoid, to which a radar measures distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terrafine.errors import GridError, UsageError

if TYPE_CHECKING:
    from terrafine.raster.read.source import Source

__all__ = ["lift_above", "lift_of"]

_ELLIPSOIDS = ("WGS84 ellipsoid",)
_FARTHEST = 120.0  # metres from the ellipsoid to the geoid, at most


def lift_of(ground: Source, geoid_m: float | None) -> float:
    """How far the datum of a DEM lies above the ellipsoid.

    Parameters
    ----------
    ground
        The open DEM.
    geoid_m
        Height of the geoid above the ellipsoid as it is stated, or None.

    Returns
    -------
    float
        Metres that are added to its heights.

    Raises
    ------
    UsageError
        If the datum is not the ellipsoid and no height is stated, or the other way round.
    GridError
        If the DEM has no CRS.
    """
    if ground.geobox.crs is None:
        raise GridError(f"{ground.paths[0]}: has no CRS; expected one, or assume_crs='EPSG:N'")
    return lift_above(None if ground.vertical is None else str(ground.vertical.name), geoid_m, str(ground.paths[0]))


def lift_above(datum: str | None, geoid_m: float | None, name: str) -> float:
    """How far a datum lies above the ellipsoid.

    Parameters
    ----------
    datum
        Its name, or None for one that is not stated.
    geoid_m
        As in `lift_of`.
    name
        File or collection with the heights, for messages.

    Returns
    -------
    float
        Metres that are added to heights.

    Raises
    ------
    UsageError
        As `lift_of`.
    """
    if geoid_m is not None and not abs(geoid_m) <= _FARTHEST:
        raise UsageError(f"geoid_m={geoid_m!r}; expected {-_FARTHEST:g} to {_FARTHEST:g} metres")
    if datum in _ELLIPSOIDS:
        if geoid_m:
            raise UsageError(f"{name}: its heights are above the ellipsoid already; leave geoid_m out")
        return 0.0
    if geoid_m is None:
        raise UsageError(
            f"{name}: its heights are above {datum or 'a datum that it does not state'}, and the radar "
            "measures distances to the ellipsoid. State how high the geoid is above the ellipsoid there, in metres: "
            "geoid_m=N, or geoid_m=0 for heights above the ellipsoid"
        )
    return float(geoid_m)
