"""Bands: the name, unit, valid range and resampling rule of each quantity. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["BANDS", "Band", "band", "band_of_date", "inputs_of_dates", "is_other_quantity", "measured_of_date"]

from terrafine.errors import BandError

Resampling = Literal["average", "cubic", "bilinear", "nearest"]


@dataclass(frozen=True, slots=True)
class Band:
    """One physical quantity that models read and files hold.

    Attributes
    ----------
    name
        Its name, such as `elevation`.
    unit
        Unit of its values; `1` where they have none.
    valid
        Lowest and highest valid value. A value outside is an error, never rescaled.
    resampling
        How the band is resampled to a grid of similar or finer resolution. Resampling to a coarser grid always
        averages, except for classes (`nearest`).
    what
        A short description.
    """

    name: str
    unit: str
    valid: tuple[float, float]
    resampling: Resampling
    what: str


# Reflectance: sun mirrored by glass and metal reads above 2 (2.24 in Sentinel-2 of Rennes).
# Elevation: the Dead Sea shore is at -430 m, open pits reach -500 m, the Mariana Trench -10,994 m and
# Everest 8,849 m; bathymetry is admitted, spacecraft are not.
_ALL = (
    Band("elevation", "m", (-11_100.0, 9_000.0), "cubic", "height above a vertical datum"),
    Band("elevation_sigma", "m", (0.0, 1_000.0), "bilinear", "standard error of the elevation"),
    Band("elevation_change", "m", (-11_100.0, 11_100.0), "cubic", "elevation of a later epoch minus an earlier one"),
    Band("elevation_change_sigma", "m", (0.0, 10_000.0), "bilinear", "standard error of the elevation change"),
    Band("relief", "m", (-9_000.0, 9_000.0), "cubic", "height above an unstated level, one for the whole raster"),
    Band("relief_sigma", "m", (0.0, 1_000.0), "bilinear", "standard error of the relief"),
    Band("vv", "dB", (-60.0, 40.0), "bilinear", "radar backscatter, VV polarisation"),
    Band("vh", "dB", (-70.0, 30.0), "bilinear", "radar backscatter, VH polarisation"),
    Band("incidence", "degree", (0.0, 90.0), "bilinear", "incidence angle on the ellipsoid"),
    Band("blue", "1", (-0.2, 3.0), "cubic", "reflectance, about 0.49 µm"),
    Band("green", "1", (-0.2, 3.0), "cubic", "reflectance, about 0.56 µm"),
    Band("red", "1", (-0.2, 3.0), "cubic", "reflectance, about 0.66 µm"),
    Band("nir", "1", (-0.2, 3.0), "cubic", "reflectance, about 0.84 µm"),
    Band("impervious", "1", (0.0, 1.0), "bilinear", "probability that the surface is impervious"),
    Band("impervious_sigma", "1", (0.0, 1.0), "bilinear", "spread of that probability over mirrored and turned inputs"),
    Band("class", "1", (0.0, 65_535.0), "nearest", "number of a class"),
)

BANDS: dict[str, Band] = {b.name: b for b in _ALL}

# Words that name a quantity made from elevations, or another one, in descriptions such as `slope (degrees)`, `height
# error` or `canopy height`.
_NOT_ELEVATION = frozenset(
    {
        *("slope", "gradient", "aspect", "curvature", "roughness", "ruggedness", "tri", "tpi", "twi", "wetness"),
        *("hillshade", "shade", "shaded", "insolation", "backscatter", "coherence", "incidence", "reflectance"),
        *("ndvi", "ndwi", "canopy", "undulation", "difference", "accumulation", "temperature", "precipitation"),
        *("error", "rmse", "stdev", "sigma", "uncertainty", "probability", "mask", "flag", "flags", "class", "classes"),
    }
)


def band(name: str) -> Band:
    """Return the band of a name.

    Parameters
    ----------
    name
        A key of `BANDS`.

    Returns
    -------
    Band
        The band.

    Raises
    ------
    BandError
        If no band has that name.
    """
    try:
        return BANDS[name]
    except KeyError:
        known = ", ".join(BANDS)
        raise BandError(f"no band is called {name!r}; known bands are {known}") from None


def is_other_quantity(text: str, name: str) -> bool:
    """Whether a description states another quantity than a band.

    Parameters
    ----------
    text
        Description of a band of a file, or the name of an array.
    name
        Name of the band.

    Returns
    -------
    bool
        True for the name of another band, and where elevation is looked for, for a word such as `slope`.
    """
    lower = text.strip().lower()
    if lower in BANDS:
        return lower != name
    words = set(re.findall(r"[a-z]+", lower))
    return name == "elevation" and not words.isdisjoint(_NOT_ELEVATION)


def band_of_date(name: str, date: int) -> str:
    """Return the name of a date's band: `red` for the first date, `red_2` for the second.

    Parameters
    ----------
    name
        Name of the band.
    date
        Number of the date, from 1.

    Returns
    -------
    str
        Name in the stack.
    """
    return name if date == 1 else f"{name}_{date}"


def measured_of_date(date: int) -> str:
    """Return the name of the band that is 1 where a date was measured, else 0.

    Parameters
    ----------
    date
        Number of the date, from 1.

    Returns
    -------
    str
        Name in the stack.
    """
    return f"measured_{date}"


def inputs_of_dates(names: tuple[str, ...], dates: int) -> tuple[str, ...]:
    """Return the names of the bands of several dates, then where each was measured.

    Parameters
    ----------
    names
        Bands of one date.
    dates
        Number of dates; for 1 the names alone.

    Returns
    -------
    tuple of str
        Names in the stack.
    """
    if dates == 1:
        return names
    numbers = range(1, dates + 1)
    bands = [band_of_date(name, n) for n in numbers for name in names]
    return (*bands, *(measured_of_date(n) for n in numbers))
