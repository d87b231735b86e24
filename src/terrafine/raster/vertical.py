"""Vertical datums: read, kept and written, and never mixed without notice.

No datum is converted here: that needs a geoid grid, and PROJ or `gdalwarp` do it well. This module ensures that heights
above EGM96 are not subtracted from heights above EGM2008 unnoticed: they differ by up to some metres.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyproj import CRS
from pyproj.crs import CompoundCRS
from pyproj.exceptions import CRSError

from terrafine.errors import DatumError
from terrafine.raster.crs import horizontal, is_placeholder, is_unknown, unbound, vertical_crs

__all__ = [
    "DATUMS",
    "VerticalDatum",
    "compound",
    "from_crs",
    "from_name",
    "from_tags",
    "same_or_raise",
]

TAG = "VERTICAL_DATUM"
SURFACE_TAG = "SURFACE"


@dataclass(frozen=True, slots=True)
class VerticalDatum:
    """A height reference.

    Attributes
    ----------
    name
        Name of the datum, such as `EGM2008`.
    epsg
        EPSG code of its vertical CRS in metres, or None.
    known
        Where the datum was found, for messages; not compared.
    """

    name: str
    epsg: int | None
    known: str

    def same(self, other: VerticalDatum) -> bool:
        """Return whether both are the same height reference: equal names or equal codes.

        Parameters
        ----------
        other
            The datum to compare with.

        Returns
        -------
        bool
            False if both names and codes differ.
        """
        return self.name == other.name or (self.epsg is not None and self.epsg == other.epsg)

    def __str__(self) -> str:
        code = f" (EPSG:{self.epsg})" if self.epsg else ""
        return f"{self.name}{code}, known from {self.known}"


# name -> EPSG code of the metric vertical CRS (https://epsg.org); the ellipsoid is the third axis of EPSG:4979.
DATUMS: dict[str, int | None] = {
    "EGM84": 5798,
    "EGM96": 5773,
    "EGM2008": 3855,
    "WGS84 ellipsoid": 4979,
    "NAVD88": 5703,
    "NGVD29": 7968,
    "CGVD2013": 6647,
    "CGVD28": 5713,
    "EVRF2000": 5730,
    "EVRF2007": 5621,
    "EVRF2019": 9389,
    "DHHN92": 5783,
    "DHHN2016": 7837,
    "NAP": 5709,
    "ODN": 5701,
    "LN02": 5728,
    "LHN95": 5729,
    "IGN69": 5720,
    "AHD": 5711,
    "NZVD2016": 7839,
    "TWVD2001": 8904,
    "MSL": 5714,
}

# EPSG codes of the same reference in feet.
_SAME_CODE = {
    6360: "NAVD88",  # NAVD88 height (ftUS)
    8228: "NAVD88",  # NAVD88 height (ft)
    5702: "NGVD29",  # NGVD29 height (ftUS)
    8050: "MSL",
    8052: "MSL",
}


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("height", "").replace("geoid", ""))


_ALIASES = {
    "wgs84": "WGS84 ellipsoid",
    "ellipsoid": "WGS84 ellipsoid",
    "ellipsoidal": "WGS84 ellipsoid",
    "wgs84ellipsoidal": "WGS84 ellipsoid",
    "egm08": "EGM2008",
    "egm9615": "EGM96",
    "meansealevel": "MSL",
}


def _by_code(code: int, known: str) -> VerticalDatum | None:
    for name, epsg in DATUMS.items():
        if epsg == code:
            return VerticalDatum(name, epsg, known)
    if code in _SAME_CODE:
        name = _SAME_CODE[code]
        return VerticalDatum(name, DATUMS[name], known)
    return None


def from_name(text: str, known: str = "the option") -> VerticalDatum:
    """Return the datum of a name: `EGM96`, `egm2008 height`, `EPSG:5703`, WKT, `ellipsoid of ETRS89`.

    Parameters
    ----------
    text
        What a user or a tag states.
    known
        Where the name was found, for messages.

    Returns
    -------
    VerticalDatum
        The datum.

    Raises
    ------
    DatumError
        If the name is not known.
    """
    found = _named_by_crs(text.strip(), known) or _named(text.strip(), known)
    if found is None:
        raise DatumError(
            f"{text!r} is not a known vertical datum; use one of {', '.join(DATUMS)}, "
            "or the EPSG code of a vertical CRS such as EPSG:5773"
        )
    return found


def _named_by_crs(text: str, known: str) -> VerticalDatum | None:
    """The datum of an EPSG code, or of a CRS in WKT."""
    code = re.fullmatch(r"(?:EPSG:)?(\d{4,5})", text, flags=re.IGNORECASE)
    if code is None and "[" not in text:
        return None
    found = None if code is None else _by_code(int(code[1]), known)
    if found is not None:
        return found
    try:
        crs = CRS.from_wkt(text) if code is None else CRS.from_epsg(int(code[1]))
    except CRSError:
        return None
    if crs.is_vertical and not crs.is_compound:
        return _from_vertical(crs, known)
    return from_crs(crs, known) if crs.is_compound or code is None else None


def _named(text: str, known: str) -> VerticalDatum | None:
    key = _key(text)
    name = next((name for name in DATUMS if key == _key(name)), None) or _ALIASES.get(key)
    if name is not None:
        return VerticalDatum(name, DATUMS[name], known)
    other = re.fullmatch(r"ellipsoid of (\S.*)", text, flags=re.IGNORECASE)
    return None if other is None else VerticalDatum(f"ellipsoid of {other[1]}", None, known)


def from_crs(crs: CRS, known: str = "its compound CRS") -> VerticalDatum | None:
    """Return the datum of the heights that a CRS states.

    This is the vertical part of a compound CRS, by its code, its name or its datum's name, or the ellipsoid of a 3D
    CRS, whether geographic, projected or bound.

    Parameters
    ----------
    crs
        Any CRS.
    known
        Where the CRS was found, for messages.

    Returns
    -------
    VerticalDatum or None
        None for a horizontal CRS, and where the names are placeholders.
    """
    upright = vertical_crs(crs)
    if upright is not None:
        return _from_vertical(upright, known)
    inner = unbound(crs)
    if inner.is_compound or len(inner.axis_info) != 3 or inner.is_geocentric:
        return None
    base = inner.geodetic_crs
    datum = "" if base is None or base.datum is None else base.datum.name
    if re.match(r"(world geodetic system 1984|wgs[ _]?(19)?84)\b", datum.replace("_", " "), flags=re.IGNORECASE):
        name = "WGS84 ellipsoid"
    elif base is not None and not is_placeholder(base.name):
        name = f"ellipsoid of {base.name}"
    else:
        name = f"ellipsoid of {inner.ellipsoid.name if inner.ellipsoid is not None else 'an unknown CRS'}"
    return VerticalDatum(name, DATUMS.get(name), known)


def _from_vertical(upright: CRS, known: str) -> VerticalDatum | None:
    code = upright.to_epsg(min_confidence=100 if is_placeholder(upright.name) else 70)
    found = _by_code(code, known) if code else None
    if found is not None:
        return found
    name = upright.name
    if is_unknown(name.replace("_", " ")) and upright.datum is not None:
        # With other placeholders the datum's name means nothing: GDAL guesses one when it writes them to a GeoTIFF.
        name = upright.datum.name
    if is_placeholder(name):
        return None
    try:
        return from_name(re.sub(r"\s*(height.*|\(.*\))$", "", name, flags=re.IGNORECASE), known)
    except DatumError:
        return VerticalDatum(re.sub(r"[ _]height$", "", name), code, known)


def from_tags(tags: Mapping[str, str]) -> VerticalDatum | None:
    """Return the datum that a file's own tags state (`VERTICAL_DATUM`).

    A name that is not known here is a datum of its own: it equals only itself.

    Parameters
    ----------
    tags
        Metadata of the file.

    Returns
    -------
    VerticalDatum or None
        None where no tag states one, or only a placeholder.
    """
    for key, value in tags.items():
        if key.upper() in {TAG, "TERRAFINE_VERTICAL_DATUM", "VERTICAL_CRS"} and not is_placeholder(value):
            try:
                return from_name(value, f"its tag {key}")
            except DatumError:
                return VerticalDatum(value.strip(), None, f"its tag {key}")
    return None


def same_or_raise(a: VerticalDatum | None, b: VerticalDatum | None, what_a: str = "one", what_b: str = "other") -> None:
    """Check that two surfaces have the same vertical datum; an unknown one (None) agrees with any.

    Parameters
    ----------
    a, b
        The two datums.
    what_a, what_b
        Names of the two surfaces, for messages.

    Raises
    ------
    DatumError
        If the datums differ; the message names both and where each was found.
    """
    if a is None or b is None or a.same(b):
        return
    guessed = [what for what, datum in ((what_a, a), (what_b, b)) if datum.known.startswith("the product")]
    state = (
        f", or state that of {' and '.join(guessed)} with vertical_datum=NAME if its name misleads" if guessed else ""
    )
    raise DatumError(
        f"the heights of {what_a} are above {a}, those of {what_b} above {b}; expected one vertical datum. Convert one "
        f"of them (gdalwarp -s_srs and -t_srs with compound CRSs){state}"
    )


def compound(crs: CRS, vertical: VerticalDatum | None) -> CRS:
    """Return the CRS to write: horizontal and vertical joined if the datum has a vertical CRS, else horizontal alone.

    Heights are written in metres, so a vertical CRS in any other unit is not joined.

    Parameters
    ----------
    crs
        CRS of the grid.
    vertical
        Datum of the heights, or None.

    Returns
    -------
    CRS
        The compound CRS, or the horizontal part of `crs`.
    """
    flat = horizontal(crs)
    if vertical is None or vertical.epsg is None:
        return flat
    try:
        upright = CRS.from_epsg(vertical.epsg)
        metric = upright.is_vertical and _is_metric_height(upright)
        if not metric or not (flat.is_geographic or flat.is_projected):
            return flat
        code = flat.to_epsg()
        if code is not None and CRS.from_epsg(code).equals(flat, ignore_axis_order=True):
            return CRS.from_user_input(f"EPSG:{code}+{vertical.epsg}")
        return CompoundCRS(name=f"{flat.name} + {upright.name}", components=[flat, upright])
    except CRSError:
        return flat


def _is_metric_height(upright: CRS) -> bool:
    axis = upright.axis_info[0]
    return axis.direction == "up" and abs(float(axis.unit_conversion_factor) - 1.0) < 1e-9
