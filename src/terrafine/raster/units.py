"""Units of height: what a file, its CRS or the caller states, in metres."""

from __future__ import annotations

from pyproj import CRS

from terrafine.errors import GridError
from terrafine.raster import vertical

__all__ = ["height_unit", "unit_factor"]

_UNITS = {
    "": 1.0,
    "m": 1.0,
    "metre": 1.0,
    "meter": 1.0,
    "metres": 1.0,
    "meters": 1.0,
    "km": 1000.0,
    "dm": 0.1,
    "decimetre": 0.1,
    "decimeter": 0.1,
    "cm": 0.01,
    "centimetre": 0.01,
    "centimeter": 0.01,
    "mm": 0.001,
    "ft": 0.3048,
    "foot": 0.3048,
    "feet": 0.3048,
    "international foot": 0.3048,
    "us-ft": 1200.0 / 3937.0,
    "ftus": 1200.0 / 3937.0,
    "us survey foot": 1200.0 / 3937.0,
    "us survey feet": 1200.0 / 3937.0,
    "us_survey_foot": 1200.0 / 3937.0,
    "foot_us": 1200.0 / 3937.0,
    "survey foot": 1200.0 / 3937.0,
}


def unit_factor(unit: str, path: str) -> float:
    """Metres in one unit of height; the international foot is 0.3048 m and the US survey foot 1200/3937 m.

    Raises GridError for a unit that is not known. https://www.nist.gov/pml/us-surveyfoot
    """
    key = unit.strip().lower()
    if key not in _UNITS:
        raise GridError(
            f"{path}: heights are in {unit!r}, a unit not known here; expected one of m, km, dm, cm, mm, ft, "
            "us-ft. State it with elevation_unit=UNIT"
        )
    return _UNITS[key]


def height_unit(name: str, unit: str, crs: CRS | None, stated: str | None) -> tuple[str, float]:
    """The unit of a file's heights and its metres: stated, of the band, or of the vertical axis of the CRS."""
    if stated is not None:
        return stated, unit_factor(stated, name)
    axis = vertical.vertical_unit(crs) if crs is not None else None
    if not unit.strip() and axis is not None:
        return f"{axis:.9g} m", axis
    factor = unit_factor(unit, name)
    if axis is not None and abs(factor - axis) > 1e-9:
        raise GridError(
            f"{name}: the band's unit is {unit!r} ({factor:.9g} m), but the vertical axis of its CRS measures "
            f"{axis:.9g} m; say which is true with elevation_unit=UNIT"
        )
    return unit or "m", factor
