"""What a raster holds, detected from its header: heights, classes, shares or an image; class maps opened as such."""

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
    """What the file holds, from its header alone.

    Classes: a band described `class`, a colour table, the tag CLASS_NAMES, or one bare byte band without unit. A
    probability: a band described `impervious` of unit 1, or of floats. An image: at least two of red, green, blue and
    nir, by description or colour interpretation. Else heights. Raises SourceError where there is no raster.
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
        raise SourceError(f"{path}: no raster that GDAL can open ({error}); expected a GeoTIFF or the like") from None


def described_bands(path: PathLike) -> tuple[str, ...]:
    """The band descriptions of a file in lower case, "" where there is none; empty where GDAL cannot open it."""
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            return tuple((d or "").strip().lower() for d in file.descriptions)
    except RasterioError:
        return ()


def unnamed_bands(path: PathLike, bands: Mapping[str, int] | None) -> dict[str, int]:
    """Those of `bands` that serve a file: it holds several, and names none of them so."""
    names = described_bands(path) if bands else ()
    return {name: n for name, n in (bands or {}).items() if len(names) > 1 and name not in names}


def stated_unit_m(path: PathLike, band: str = "elevation") -> float | None:
    """Metres of the unit that a file states for its heights: at the band of that name, else its first, or in its CRS.

    None where it states none, one that is not known, or two that contradict each other, and where GDAL cannot open it.
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
    """A raster of integers (classes, regions, a mask) as the band `class`, or its only band; a colour table is fine.

    `bands` states the number of the band `class` in a file of several that does not name it.
    """
    number = unnamed_bands(path, bands) or ({"class": 1} if len(described_bands(path)) == 1 else None)
    return open_source(
        path, want=("class",), bands=number, check_range=False, assume_crs=assume_crs, pixel_size_m=pixel_size_m
    )


def whole_numbers(path: PathLike, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Values of a raster of integers, −1 where not valid; BandError for fractions, which are measurements."""
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
    """The colour 0xRRGGBB of each number of a picture with a colour table, -1 where transparent or of none; else None.

    `open_labels` opens the numbers. None also where GDAL cannot open the file.
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
        return None  # said better where the file is opened to be read


def is_raster(path: PathLike) -> bool:
    """Whether GDAL opens the file as a raster with bands."""
    try:
        with gdal.environment(), open_quietly(os.fspath(path)) as file:
            return bool(file.count)
    except RasterioError:
        return False


def open_any(path: PathLike) -> Source:
    """A raster of whatever kind: the bands that its descriptions name, else classes, colours or heights."""
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
    """Names by class number, as the file's tag CLASS_NAMES states them; empty where it has none."""
    stated = str(source.describe()["tags"].get(CLASS_NAMES, ""))
    pairs = [part.partition("=") for part in stated.split(";") if re.fullmatch(r"\s*\d+\s*=.*", part)]
    return {int(number): name.strip() for number, _, name in pairs}
