"""Units of height in metres, as a file, its CRS or the caller states them; an unidentifiable unit is an error."""

from __future__ import annotations

import re

from pyproj import CRS

from terrafine.errors import GridError
from terrafine.raster.crs import is_placeholder, length_unit, vertical_crs, vertical_unit

__all__ = ["UNSTATED", "height_unit", "is_unstated", "unit_factor"]

_FOOT, _US_FOOT = 0.3048, 1200.0 / 3937.0  # https://www.nist.gov/pml/us-surveyfoot
_METRES = {
    1.0: "m metre meter metres meters",
    1000.0: "km kilometre kilometer kilometres kilometers",
    0.1: "dm decimetre decimeter decimetres decimeters",
    0.01: "cm centimetre centimeter centimetres centimeters",
    0.001: "mm millimetre millimeter millimetres millimeters",
    _FOOT: "ft foot feet international-foot international-feet foot-international feet-international intl-ft ft-intl",
    _US_FOOT: "us-ft ft-us usft ftus sft us-foot us-feet foot-us feet-us survey-foot survey-feet "
    "us-survey-foot us-survey-feet foot-us-survey feet-us-survey u-s-survey-foot u-s-survey-feet",
}
_UNITS = {name.replace("-", ""): metres for metres, names in _METRES.items() for name in names.split()}

_STATEMENTS = set("%‰°²³^*")  # a unit that holds one is no placeholder, and no length either

UNSTATED = "not stated"
"""The unit of heights that are only described, not read, where neither the file nor its CRS states it."""


def unit_factor(unit: str, path: str) -> float:
    """Return the metres in one unit of height.

    Parameters
    ----------
    unit
        Name of the unit, such as `ft`.
    path
        The file, for messages.

    Returns
    -------
    float
        Metres.

    Raises
    ------
    GridError
        If the unit is not known.
    """
    key = _key(unit)
    if key not in _UNITS:
        raise GridError(
            f"{path}: heights are in {unit!r}, an unknown unit; expected one of m, km, dm, cm, mm, ft, "
            "us-ft. State it with elevation_unit=UNIT"
        )
    return _UNITS[key]


def height_unit(
    path: str, unit: str, crs: CRS | None, stated: str | None, *, required: bool = True
) -> tuple[str, float]:
    """Return the unit of a file's heights and its size in metres.

    Parameters
    ----------
    path
        The file, for messages.
    unit
        The unit of the band; a placeholder such as `unknown` counts as none.
    crs
        The CRS of the file; the unit of its vertical axis counts where the band has none.
    stated
        The unit that the caller states; it overrides both.
    required
        Whether an unstated unit is an error; otherwise it is `UNSTATED`.

    Returns
    -------
    tuple of (str, float)
        Name of the unit and its size in metres.

    Raises
    ------
    GridError
        If the unit is not known, units contradict each other, the vertical axis counts depth, or no unit is stated and
        the CRS does not measure metres or degrees.
    """
    upright = None if crs is None else vertical_crs(crs)
    if upright is not None and upright.axis_info[0].direction.lower() == "down":
        raise GridError(
            f"{path}: the vertical CRS {upright.name!r} measures depth, positive downwards; expected heights. Change "
            "the sign of the values, and the CRS"
        )
    if stated is not None:
        return stated, unit_factor(stated, path)
    band = "" if is_unstated(unit) else unit.strip()
    axis = vertical_unit(crs) if crs is not None else None
    if not band and axis is not None:
        return f"{axis:.9g} m", axis
    if not band:
        return _by_horizontal(path, crs, required)
    factor = unit_factor(band, path)
    if axis is not None and abs(factor - axis) > 1e-9:
        raise GridError(
            f"{path}: the band's unit is {band!r} ({factor:.9g} m), but the vertical axis of its CRS measures "
            f"{axis:.9g} m; state the right one with elevation_unit=UNIT"
        )
    return band, factor


def is_unstated(unit: str) -> bool:
    """Return whether a band's unit states nothing; `m` and `ft` are units here, not placeholders.

    Parameters
    ----------
    unit
        The unit of a band.

    Returns
    -------
    bool
        True for an empty or unknown unit.
    """
    return _key(unit) not in _UNITS and is_placeholder(unit) and not set(unit) & _STATEMENTS


def _key(unit: str) -> str:
    """Letters without what only joins them: `US_survey.foot`, `[m]`; a power, a ratio or a percentage stays one."""
    return re.sub(r"[\s.,_()\[\]-]", "", unit.lower())


def _by_horizontal(path: str, crs: CRS | None, required: bool) -> tuple[str, float]:
    """Return metres if the CRS measures metres or degrees or is absent; otherwise the unit is not identifiable."""
    ground = None if crs is None else length_unit(crs)
    if ground is None or abs(ground[1] - 1.0) < 1e-4:  # Namibia's legal metre is 1.0000136 m
        return "m", 1.0
    if not required:
        return UNSTATED, 1.0
    raise GridError(
        f"{path}: nothing states the unit of its heights, and its CRS measures {ground[0]}: metres and feet are both "
        "possible. State it with elevation_unit=UNIT"
    )
