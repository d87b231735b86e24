"""Parts of a coordinate reference system (CRS): horizontal, vertical, bound; and whether two CRSs mean the same place.

A bound CRS is a CRS with a datum shift to another one (TOWGS84, a grid). A compound CRS joins a horizontal and a
vertical CRS. A 3D CRS has the height above its ellipsoid as third axis. They may be nested.

References
----------
ISO 19111, https://docs.ogc.org/as/18-005r5/18-005r5.html.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.crs import BoundCRS
from pyproj.exceptions import CRSError, ProjError

__all__ = [
    "horizontal",
    "is_placeholder",
    "is_unknown",
    "length_unit",
    "same_place",
    "unbound",
    "vertical_crs",
    "vertical_unit",
]

_WORDS = (
    "crs|cs|vcs|vert|vertical|datum|height|heights|elevation|elevations|depth|ensemble|name|value|surface|system|"
    "reference|coordinate|engineering|orthometric|ellipsoidal|gravity|related|metre|metres|meter|meters|m|ft|ftus|up|"
    "geoid|unit|units|the|a|is|of|on|based|ellipsoid|intl|international|us|survey|foot|feet|ellipsoidal|type|esri|epsg"
)
_NOTHING = (
    "unknown|unnamed|undefined|unspecified|unset|unstated|unavailable|none|null|nil|nan|na|n a|tbd|todo|test|local|"
    "custom|default|user|defined|user defined|userdefined|other|missing|empty|not|known|specified|defined|available|"
    "applicable|set|given|stated|provided|information|no|any|arbitrary|assumed|n|x|xxx|1|0|9999|32767"
)
_PLACEHOLDER = re.compile(rf"(?:\b(?:{_WORDS}|{_NOTHING})\b|[\W_])*", re.IGNORECASE)
_TOLERANCE_M = 1e-3
_DEGREE_M = 111_320.0


def is_placeholder(text: str | None) -> bool:
    """Return whether a name identifies nothing, such as an empty one, `unknown`, `n/a` or `Local vertical datum`.

    `height` or `geoid` alone do not identify a datum either.

    Parameters
    ----------
    text
        The name of a CRS, datum or unit.

    Returns
    -------
    bool
        True for a placeholder.
    """
    words = (text or "").replace("_", " ").strip()
    return is_unknown(words) or _PLACEHOLDER.fullmatch(words) is not None


def is_unknown(text: str) -> bool:
    """Return whether a name states that it is unknown, such as `unknown height`.

    Parameters
    ----------
    text
        The name of a CRS, datum or unit.

    Returns
    -------
    bool
        True for such a name.
    """
    return re.match(r"(unknown|unnamed|undefined|unspecified|unretrievable)\b", text, flags=re.IGNORECASE) is not None


def unbound(crs: CRS) -> CRS:
    """Return a CRS without the datum shift that a bound CRS carries.

    Parameters
    ----------
    crs
        Any CRS.

    Returns
    -------
    CRS
        The source CRS of a bound CRS, else the CRS itself.
    """
    while crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    return crs


def horizontal(crs: CRS) -> CRS:
    """Return the two-dimensional part of a CRS: no vertical CRS, no ellipsoidal height; a datum shift is kept.

    Parameters
    ----------
    crs
        Any CRS.

    Returns
    -------
    CRS
        A two-dimensional CRS.
    """
    if crs.is_bound and crs.source_crs is not None and crs.source_crs.is_compound:
        joined = BoundCRS(horizontal(crs.source_crs), crs.target_crs, crs.coordinate_operation)
        return CRS.from_wkt(joined.to_wkt())
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    return CRS.from_wkt(crs.to_wkt()).to_2d() if len(crs.axis_info) == 3 else crs  # a subclass has no `to_2d`


def vertical_crs(crs: CRS) -> CRS | None:
    """Return the vertical part of a compound CRS, without datum shift, or None.

    Parameters
    ----------
    crs
        Any CRS.

    Returns
    -------
    CRS | None
        The vertical CRS, without datum shift.
    """
    inner = unbound(crs)
    if not inner.is_compound:
        return None
    return next((unbound(part) for part in inner.sub_crs_list if unbound(part).is_vertical), None)


def vertical_unit(crs: CRS) -> float | None:
    """Return the metres per unit of the vertical axis of a compound or 3D CRS, or None if it has no such axis.

    Parameters
    ----------
    crs
        Any CRS.

    Returns
    -------
    float | None
        Size of the unit in metres.
    """
    upright = vertical_crs(crs)
    if upright is not None:
        return float(upright.axis_info[0].unit_conversion_factor)
    axes = unbound(crs).axis_info
    return float(axes[2].unit_conversion_factor) if len(axes) == 3 else None


def length_unit(crs: CRS) -> tuple[str, float] | None:
    """Return the length unit of the horizontal axes of a CRS.

    Parameters
    ----------
    crs
        Any CRS.

    Returns
    -------
    tuple of (str, float) or None
        Name of the unit and its size in metres; None if the axes are angles.
    """
    flat = unbound(horizontal(crs))
    if flat.is_geographic or not flat.axis_info:
        return None
    axis = flat.axis_info[0]
    return axis.unit_name, float(axis.unit_conversion_factor)


def same_place(a: CRS, b: CRS, geobox: GeoBox) -> bool:
    """Return whether a grid covers the same ground in both CRSs, within a millimetre, whatever their names.

    The corners and the centre are compared in the geographic coordinates of each CRS, on equal ellipsoids, and in WGS
    84, where a datum shift shows.

    Parameters
    ----------
    a, b
        The two CRSs.
    geobox
        The grid; only its bounding box is used.

    Returns
    -------
    bool
        True if all compared points agree; False if a transformation is impossible.
    """
    first, second = horizontal(a), horizontal(b)
    if first.equals(second, ignore_axis_order=True):
        return True
    if (first.is_geographic, first.is_projected) != (second.is_geographic, second.is_projected):
        return False
    one, two = first.ellipsoid, second.ellipsoid
    if (
        one is None
        or two is None
        or not np.allclose(
            (one.semi_major_metre, one.semi_minor_metre),
            (two.semi_major_metre, two.semi_minor_metre),
            rtol=0,
            atol=1e-3,
        )
    ):
        return False
    box = geobox.boundingbox
    x = np.array([box.left, box.right, box.left, box.right, (box.left + box.right) / 2])
    y = np.array([box.bottom, box.bottom, box.top, box.top, (box.bottom + box.top) / 2])
    own = [_degrees(crs, None, x, y) for crs in (first, second)]
    world = [_degrees(crs, "EPSG:4326", x, y) for crs in (first, second)]
    return _near(*own) and _near(*world)


def _degrees(crs: CRS, target: str | None, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return longitudes and latitudes (2, n) in the CRS's own geographic CRS or another; NaN if that is impossible."""
    base = unbound(crs) if target is None else crs
    into = base.geodetic_crs if target is None else target
    try:
        return np.asarray(Transformer.from_crs(base, into, always_xy=True).transform(x, y), np.float64)
    except (CRSError, ProjError):
        return np.full((2, x.size), np.nan)


def _near(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    gap = np.where(np.isfinite(a) | np.isfinite(b), np.abs(a - b), 0.0)
    gap[0] = np.minimum(gap[0], np.abs(360 - gap[0]))  # the antimeridian has two longitudes
    return bool((gap * _DEGREE_M < _TOLERANCE_M).all())
