"""Attributes of DataArrays, which come from files of others: checked before a library acts on them.

GDAL takes the text of a CRS for an address or for the name of a file where it is one, and reads it. PROJ does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from terrafine.errors import BandError, GridError
from terrafine.raster.grid import parse_crs
from terrafine.schema.types import shown

__all__ = ["crs_of", "writable", "writable_name"]

_NUMBERS = ("scale_factor", "add_offset", "_FillValue", "missing_value")
_ONE = ("scale_factor", "add_offset")  # the others may be several
_LONGEST = 100_000  # characters of a CRS


def crs_of(array: Any, name: str) -> Any:
    """Return the CRS that an array or a Dataset states.

    Parameters
    ----------
    array
        DataArray or Dataset.
    name
        What messages call it.

    Returns
    -------
    CRS or None
        As rioxarray reads it.

    Raises
    ------
    GridError
        If its CRS or its geotransform cannot be read, or the CRS names an address or a file.
    """
    if hasattr(array, "data_vars"):
        for band in array.data_vars.values():
            crs_of(band, name)
    mapping = _mapping(array, name)
    for holder, key in ((mapping, "spatial_ref"), (mapping, "crs_wkt"), (array.attrs, "crs")):
        if key in holder:
            _require_crs(holder[key], name)
    _require_transform(mapping, array.attrs, name)
    try:
        return array.rio.crs
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise GridError(
            f"{name}: its CRS cannot be read ({shown(str(error), 200)}); give one with assume_crs=CRS"
        ) from error


def writable(array: Any, name: str) -> None:
    """Check the numbers in the attributes that tell how an array was stored.

    Parameters
    ----------
    array
        The DataArray.
    name
        What messages call it.

    Raises
    ------
    BandError
        If a scale, an offset or a nodata value is no number.
    """
    for holder in (array.attrs, array.encoding):
        for key in _NUMBERS:
            if holder.get(key) is None:
                continue
            try:
                found = np.ravel(np.asarray(holder[key])).astype(np.float64)
            except (ValueError, TypeError):
                found = np.array([])
            if found.size == 0 or (key in _ONE and (found.size > 1 or not np.isfinite(found).all())):
                raise BandError(f"{name} states {key} = {shown(str(holder[key]), 80)}; expected a number")


def writable_name(array: Any) -> str | None:
    """Return the name of an array where a file can hold it.

    Parameters
    ----------
    array
        The DataArray.

    Returns
    -------
    str or None
        None for a name that is no text.
    """
    return array.name if isinstance(array.name, str) and _is_text(array.name) else None


def _mapping(array: Any, name: str) -> Mapping[str, Any]:
    """The attributes of the variable that holds the georeference."""
    for holder in (array.encoding, array.attrs):
        given = holder.get("grid_mapping")
        if given is not None and not isinstance(given, str):
            raise GridError(f"{name} states grid_mapping = {shown(str(given), 80)}; expected the name of a variable")
    try:
        found: Mapping[str, Any] = array.coords[array.rio.grid_mapping].attrs
    except KeyError:
        return {}
    except RuntimeError as error:
        raise GridError(f"{name}: {shown(str(error), 200)}; expected one georeference for all bands") from error
    return found


def _require_crs(value: Any, name: str) -> None:
    if isinstance(value, str) and not (len(value) <= _LONGEST and _is_text(value)):
        raise GridError(f"{name}: its CRS, {shown(value, 80)}, is no text of a CRS; give one with assume_crs=CRS")
    try:
        parse_crs(value, name)
    except (ValueError, TypeError, AttributeError) as error:
        raise GridError(
            f"{name}: its CRS {shown(str(value), 80)} cannot be read; give one with assume_crs=CRS"
        ) from error


def _require_transform(mapping: Mapping[str, Any], attrs: Mapping[str, Any], name: str) -> None:
    for key, given in (("GeoTransform", mapping.get("GeoTransform")), ("transform", attrs.get("transform"))):
        if given is None:
            continue
        text = isinstance(given, str)
        try:
            numbers = [float(v) for v in (given.split() if text else tuple(given)[:6])]
        except (ValueError, TypeError):
            numbers = []
        if len(numbers) != 6 or not all(map(math.isfinite, numbers)) or text != (key == "GeoTransform"):
            raise GridError(f"{name}: its {key} is {shown(str(given), 80)}; expected six numbers. Correct or remove it")


def _is_text(text: str) -> bool:
    """Whether a text can be written: UTF-8 without control characters but line breaks and tabs."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return all(c >= " " or c in "\n\r\t" for c in text)
