"""Detect what a raster holds from its header: heights, classes, a probability or an image; open class maps."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from terrafine.errors import BandError, GridError, SourceError
from terrafine.raster import gdal
from terrafine.raster.bands import BANDS
from terrafine.raster.crs import vertical_unit
from terrafine.raster.read.file import open_quietly
from terrafine.raster.read.source import Source, open_source
from terrafine.raster.units import height_unit, is_unstated

__all__ = [
    "CLASS_NAMES",
    "Kind",
    "class_names",
    "colour_table",
    "described_bands",
    "is_raster",
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
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            said = [(d or "").strip().lower() for d in file.descriptions]
            colours = list(file.colorinterp)
            if "class" in said or ColorInterp.palette in colours or CLASS_NAMES in file.tags(ns="TERRAFINE"):
                return "classes"
            if "elevation" in said:
                return "elevation"
            if _SHARE in said:
                at = said.index(_SHARE)
                stated = (file.units[at] or "").strip() == "1" or file.dtypes[at].startswith("float")
                return "probability" if stated else "classes"
            seen = {c.name for c in colours} | set(said)
            if len(_COLOURS & seen) >= 2:
                return "image"
            bare = said[0] not in BANDS and not (file.units[0] or "").strip()
            return "classes" if file.count == 1 and file.dtypes[0] in ("uint8", "int8") and bare else "elevation"
    except RasterioError as error:
        raise SourceError(
            f"{path}: not a raster that GDAL can open ({error}); expected for example a GeoTIFF"
        ) from None


def described_bands(path: PathLike) -> tuple[str, ...]:
    """Return the band descriptions of a file in lower case.

    Parameters
    ----------
    path
        A raster file.

    Returns
    -------
    tuple of str
        "" for a band without description; empty if GDAL cannot open the file.
    """
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            return tuple((d or "").strip().lower() for d in file.descriptions)
    except RasterioError:
        return ()


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
    names = described_bands(path) if bands else ()
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
        None if the file states no unit, an unknown one or two that contradict each other, and if GDAL cannot open it.
    """
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            names = [(d or "").strip().lower() for d in file.descriptions]
            unit = file.units[names.index(band) if band in names else 0] or ""
            crs = None if file.crs is None else CRS.from_user_input(file.crs.to_wkt())
    except RasterioError:
        return None
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
    number = unnamed_bands(path, bands) or ({"class": 1} if len(described_bands(path)) == 1 else None)
    return open_source(
        path, want=("class",), bands=number, check_range=False, assume_crs=assume_crs, pixel_size_m=pixel_size_m
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


def colour_table(path: PathLike) -> NDArray[np.int64] | None:
    """Return the colours of a file with a colour table.

    Parameters
    ----------
    path
        A raster file; `open_labels` opens its numbers.

    Returns
    -------
    ndarray of int64, (number,) or None
        The colour 0xRRGGBB of each number, -1 where it is transparent or absent. None if the file has no colour table,
        or GDAL cannot open it.
    """
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            if file.count != 1 or file.colorinterp[0] != ColorInterp.palette or file.dtypes[0] not in _PAINTED:
                return None
            table = np.full(np.iinfo(file.dtypes[0]).max + 1, -1, np.int64)
            for number, (red, green, blue, alpha) in file.colormap(1).items():
                if alpha:
                    table[number] = (red << 16) | (green << 8) | blue
            return table
    except RasterioError:
        return None  # opening the file for reading reports the error


def is_raster(path: PathLike) -> bool:
    """Return whether GDAL opens a file as a raster with bands.

    Parameters
    ----------
    path
        Any file.

    Returns
    -------
    bool
        False also for a file without bands.
    """
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            return bool(file.count)
    except RasterioError:
        return False


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
    kind = kind_of(path)
    with gdal.environment(), open_quietly(os.fspath(path)) as file:
        said = [(d or "").strip().lower() for d in file.descriptions]
    want = tuple(dict.fromkeys(d for d in said if d in BANDS))
    if kind == "classes" and not want:
        return open_labels(path)
    if not want:
        want = ("red", "green", "blue") if kind == "image" else ("elevation",)
    return open_source(path, want=want, check_range=kind == "elevation", unit_required=False)


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
    stated = str(source.describe()["tags"].get(CLASS_NAMES, ""))
    pairs = [part.partition("=") for part in stated.split(";") if re.fullmatch(r"\s*\d+\s*=.*", part)]
    return {int(number): name.strip() for number, _, name in pairs}
