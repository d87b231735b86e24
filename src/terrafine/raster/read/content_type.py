"""Detect what a raster holds from its header: heights, classes, a probability or an image; open class maps."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from terrafine.errors import BandError, GridError
from terrafine.raster.bands import BANDS
from terrafine.raster.crs import vertical_unit
from terrafine.raster.protocol import closed_on_error
from terrafine.raster.read.opened import Header, open_raster, read_header
from terrafine.raster.read.source import Source, open_source
from terrafine.raster.units import height_unit, is_unstated

__all__ = [
    "CLASS_NAMES",
    "Kind",
    "class_names",
    "class_names_in",
    "colour_table",
    "kind_of",
    "open_any",
    "open_labels",
    "stated_unit_m",
    "unnamed_bands",
    "whole_numbers",
]

Kind = Literal["elevation", "classes", "probability", "image"]
PathLike = str | os.PathLike[str]

CLASS_NAMES = "CLASS_NAMES"
"""The tag that names classes: `0=other;1=impervious`."""

_COLOURS = {"red", "green", "blue", "nir"}
_SHARE = "impervious"  # the band that is a probability; bare whole numbers of that name are a mask
_PAINTED = {"uint8", "uint16"}  # numbers that a colour table may have


def kind_of(path: PathLike) -> Kind:
    """Return what a file holds, from its header alone.

    Classes: a band described `class`, a colour table, the tag CLASS_NAMES, or a single byte band without description
    and unit. A probability: a band described `impervious` with unit 1 or of floats. An image: at least two of red,
    green, blue and nir, by description or colour interpretation. Everything else: heights.

    Parameters
    ----------
    path
        A raster file.

    Returns
    -------
    Kind
        `elevation`, `classes`, `probability` or `image`.

    Raises
    ------
    SourceError
        If GDAL cannot open the file.
    """
    header = read_header(path)
    said = header.descriptions
    if "class" in said or "palette" in header.colours or CLASS_NAMES in header.tags:
        return "classes"
    if "elevation" in said:
        return "elevation"
    if _SHARE in said:
        at = said.index(_SHARE)
        stated = header.units[at] == "1" or header.dtypes[at].startswith("float")
        return "probability" if stated else "classes"
    if len(_COLOURS & {*header.colours, *said}) >= 2:
        return "image"
    bytes_alone = header.count == 1 and header.dtypes[0] in ("uint8", "int8")
    return "classes" if bytes_alone and said[0] not in BANDS and not header.units[0] else "elevation"


def unnamed_bands(path: PathLike, bands: Mapping[str, int] | None) -> dict[str, int]:
    """Return those of the stated bands that a file needs: it holds several bands and describes none by that name.

    Parameters
    ----------
    path
        A raster file.
    bands
        Name to band number.

    Returns
    -------
    dict
        Name to band number.

    Raises
    ------
    SourceError
        If the file may not be read.
    """
    names = read_header(path).descriptions if bands else ()
    return {name: n for name, n in (bands or {}).items() if len(names) > 1 and name not in names}


def stated_unit_m(path: PathLike, band: str = "elevation") -> float | None:
    """Return the metres of the height unit that a file states at a band or in its CRS.

    Parameters
    ----------
    path
        A raster file.
    band
        Description of the band; the first band if none has it.

    Returns
    -------
    float or None
        None if the file states no unit, an unknown one or two that contradict each other.

    Raises
    ------
    SourceError
        If the file may not be read, or GDAL cannot open it.
    """
    header = read_header(path)
    unit = header.units[header.descriptions.index(band) if band in header.descriptions else 0]
    crs = None if header.crs is None else CRS.from_user_input(header.crs)
    if is_unstated(unit) and (crs is None or vertical_unit(crs) is None):
        return None
    try:
        return height_unit(os.fspath(path), unit, crs, None)[1]
    except GridError:
        return None


def open_labels(
    path: PathLike,
    assume_crs: str | None = None,
    pixel_size_m: float | None = None,
    bands: Mapping[str, int] | None = None,
) -> Source:
    """Open a raster of whole numbers (classes, regions, a mask) as the band `class`; a colour table is allowed.

    Parameters
    ----------
    path
        A raster with a band described `class`, or with one band.
    assume_crs
        CRS that overrides the file's own.
    pixel_size_m
        Cell size in metres, for a file without CRS.
    bands
        Number of the band `class`, for a file of several bands that does not name it.

    Returns
    -------
    Source
        With the one band `class`.

    Raises
    ------
    SourceError, BandError, GridError
        As `open_source`.
    """
    raster = open_raster(path)
    with closed_on_error(raster):
        return open_source(
            raster,
            want=("class",),
            bands=unnamed_bands(raster, bands) or ({"class": 1} if raster.header.count == 1 else None),
            check_range=False,
            assume_crs=assume_crs,
            pixel_size_m=pixel_size_m,
        )


def whole_numbers(path: PathLike, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the values of a raster of whole numbers as integers.

    Parameters
    ----------
    path
        The file, for messages.
    values, valid
        Values (y, x) and where they are valid.

    Returns
    -------
    ndarray of int64, (y, x)
        -1 where not valid.

    Raises
    ------
    BandError
        If a value is a fraction, so that the raster holds measurements.
    """
    numbers = np.where(valid, values, -1)
    whole = np.round(numbers)
    if (numbers != whole).any():
        found = ", ".join(f"{v:.6g}" for v in np.unique(numbers[numbers != whole])[:3])
        raise BandError(
            f"{path}: holds fractions such as {found}; expected whole numbers, each of them a class, a region or a "
            "mask. State what the files are with kind=KIND, or make classes of them first"
        )
    return whole.astype(np.int64)


def colour_table(header: Header) -> NDArray[np.int64] | None:
    """Return the colours of a file with a colour table.

    Parameters
    ----------
    header
        The header of the file; `open_labels` opens its numbers.

    Returns
    -------
    ndarray of int64, (number,) or None
        The colour 0xRRGGBB of each number, -1 where it is transparent or absent. None if the file has no colour table.
    """
    if header.palette is None or header.dtypes[0] not in _PAINTED:
        return None
    table = np.full(np.iinfo(header.dtypes[0]).max + 1, -1, np.int64)
    for number, (red, green, blue, alpha) in header.palette.items():
        if alpha:
            table[number] = (red << 16) | (green << 8) | blue
    return table


def open_any(path: PathLike) -> Source:
    """Open a raster of any kind: the bands that its descriptions name, else classes, colours or heights.

    Parameters
    ----------
    path
        A raster file.

    Returns
    -------
    Source
        With the bands found.

    Raises
    ------
    SourceError, BandError, GridError, DatumError
        As `open_source`.
    """
    raster = open_raster(path)
    with closed_on_error(raster):
        kind = kind_of(raster)
        want = tuple(dict.fromkeys(d for d in raster.header.descriptions if d in BANDS))
        if kind == "classes" and not want:
            return open_labels(raster)
        if not want:
            want = ("red", "green", "blue") if kind == "image" else ("elevation",)
        return open_source(raster, want=want, check_range=kind == "elevation", unit_required=False)


def class_names(source: Source) -> dict[int, str]:
    """Return the names by class number that the file's tag CLASS_NAMES states; empty if it has none.

    Parameters
    ----------
    source
        An open class map.

    Returns
    -------
    dict[int, str]
        Class number to name.
    """
    return class_names_in(str(source.describe()["tags"].get(CLASS_NAMES, "")))


def class_names_in(text: str) -> dict[int, str]:
    """Return the names by class number in the text of a tag CLASS_NAMES.

    Parameters
    ----------
    text
        Such as `0=other;1=impervious`; parts of another form are left out.

    Returns
    -------
    dict[int, str]
        Class number to name.
    """
    pairs = [part.partition("=") for part in text.split(";") if re.fullmatch(r"\s*\d+\s*=.*", part)]
    return {int(number): name.strip() for number, _, name in pairs}
