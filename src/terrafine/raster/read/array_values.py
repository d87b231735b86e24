"""How the numbers of an xarray.DataArray become heights: nodata, scale and offset that were not yet applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, GridError
from terrafine.raster.bands import band, is_other_quantity
from terrafine.raster.units import is_unstated, unit_factor

__all__ = [
    "Stored",
    "heights_of",
    "is_unit",
    "kept_nodata",
    "name_of",
    "require_elevation",
    "require_heights",
    "stored_of",
    "unit_of",
]

_HEIGHTS = 9000.0  # a nodata value between minus and plus this many metres could be a height


@dataclass(frozen=True, slots=True)
class Stored:
    """How the numbers of an array become heights.

    Attributes
    ----------
    fills
        Nodata values in its attributes.
    encoded
        Nodata value of its encoding, for whole numbers.
    scale, offset
        Height = number · scale + offset, if not yet applied.
    """

    fills: tuple[Any, ...]
    encoded: Any
    scale: float
    offset: float


def stored_of(flat: Any) -> Stored:
    """Return how the numbers of an array become heights.

    Parameters
    ----------
    flat
        The DataArray.

    Returns
    -------
    Stored
        From its attributes and its encoding.
    """
    found = [flat.attrs.get(k) for k in ("_FillValue", "missing_value")]
    fills = tuple(np.ravel([f for f in found if f is not None]).tolist())
    scale, offset = (float(flat.attrs.get(k, d)) for k, d in (("scale_factor", 1.0), ("add_offset", 0.0)))
    return Stored(fills, flat.encoding.get("_FillValue"), scale, offset)


def heights_of(raw: NDArray[Any], stored: Stored, name: str, nodata: float | None) -> NDArray[np.float32]:
    """Return numbers as heights: NaN at nodata, with a scale and an offset applied if they were not yet.

    Parameters
    ----------
    raw
        Numbers (y, x).
    stored
        How they become heights.
    name
        What messages call the array.
    nodata
        A further nodata value.

    Returns
    -------
    ndarray of float32, (y, x)
        Heights in the unit of the array.

    Raises
    ------
    BandError
        If they are not numbers.
    """
    if raw.dtype.kind not in "iuf":
        raise BandError(f"{name} holds values of type {raw.dtype}; expected numbers, heights")
    values = raw.astype(np.float64)
    fills = [*stored.fills, nodata, stored.encoded if raw.dtype.kind != "f" else None]
    for fill in np.ravel([f for f in fills if f is not None]):
        values[raw == (raw.dtype.type(fill) if raw.dtype.kind == "f" else fill)] = np.nan
    return (values * stored.scale + stored.offset).astype(np.float32)


def require_elevation(array: Any, name: str) -> None:
    """Check that a DataArray does not state another quantity than elevation.

    Parameters
    ----------
    array
        The DataArray.
    name
        What messages call it.

    Raises
    ------
    BandError
        If its name or an attribute names another quantity, such as slope.
    """
    if isinstance(array.name, str) and is_other_quantity(array.name, "elevation"):
        raise BandError(f'{name} is not called elevation; if it holds heights, rename it: array.rename("elevation")')
    for key in ("standard_name", "long_name"):
        text = array.attrs.get(key)
        if isinstance(text, str) and is_other_quantity(text, "elevation"):
            raise BandError(
                f"{name} states {key} = {text!r}; expected elevation. If it holds heights, correct the attribute: "
                f'array.assign_attrs({key}="elevation")'
            )


def require_heights(known: NDArray[Any], name: str) -> None:
    """Check that heights are in the range of elevation.

    Parameters
    ----------
    known
        Heights in metres, none of them NaN.
    name
        What messages call the array.

    Raises
    ------
    BandError
        If one is not.
    """
    low, high = band("elevation").valid
    if known.size and not low <= known.min() <= known.max() <= high:
        raise BandError(
            f"{name} holds heights from {known.min():g} to {known.max():g} m; expected {low:g} to {high:g}, and NaN "
            "at nodata"
        )


def name_of(array: Any) -> str:
    """Return what messages call a DataArray.

    Parameters
    ----------
    array
        The DataArray.

    Returns
    -------
    str
        With its name, where it has one.
    """
    return "the DataArray" if array.name is None else f"the DataArray {str(array.name)!r}"


def kept_nodata(flat: Any) -> float | None:
    """Return the source's nodata value if it cannot be mistaken for a height in metres, else None.

    Parameters
    ----------
    flat
        The DataArray.

    Returns
    -------
    float or None
        The nodata value.
    """
    found = flat.rio.encoded_nodata
    stored = {**flat.attrs, **flat.encoding}
    packed = float(stored.get("scale_factor", 1.0)) != 1.0 or float(stored.get("add_offset", 0.0)) != 0.0
    return None if found is None or packed or abs(float(found)) < _HEIGHTS else float(found)


def is_unit(key: object) -> bool:
    """Return whether an attribute states a unit: `units`, which is CF's, or a misspelling such as `unit` and `Units`.

    Parameters
    ----------
    key
        Name of the attribute.

    Returns
    -------
    bool
        True in any case of letters.
    """
    return str(key).lower() in ("unit", "units")


def unit_of(array: Any, name: str, stated: str | None) -> str:
    """Return the unit of the heights: as stated, else the attribute `units` in any spelling, else empty.

    Parameters
    ----------
    array
        The DataArray.
    name
        What messages call it.
    stated
        The unit that the caller states, or None.

    Returns
    -------
    str
        Name of the unit.

    Raises
    ------
    GridError
        If it is not known, or several attributes state units that differ.
    """
    own = {str(value) for key, value in array.attrs.items() if is_unit(key) and not is_unstated(str(value))}
    if stated is None and len({unit_factor(unit, name) for unit in own}) > 1:
        raise GridError(
            f"{name}: its attributes state several units, {', '.join(sorted(own))}; state the right one with "
            "elevation_unit=UNIT"
        )
    unit = (min(own) if own else "") if stated is None else stated
    if stated is None and is_unstated(unit):
        return ""
    unit_factor(unit, name)
    return unit
