"""One raster file, opened by GDAL, seen north-up: masked windows of raw bands in their physical units."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from terrafine.errors import GridError, SourceError
from terrafine.raster import gdal, grid
from terrafine.raster.crs import horizontal
from terrafine.raster.read import integrity
from terrafine.raster.read.choose import BandFacts, choose_bands
from terrafine.raster.read.vet import Opening, vet
from terrafine.raster.units import height_unit

HEIGHTS = ("elevation", "relief")
"""Bands in a unit of height; their standard errors begin with the same words."""

__all__ = ["RasterFile", "Stated", "open_file", "open_quietly"]

_HUGE = 1e30
_EPS = 2**-50  # of a 64-bit integer, by which drivers round it to a float


@dataclass(frozen=True, slots=True)
class Stated:
    """What the caller says of a file, where it does not say so itself or says it wrongly."""

    assume_crs: str | None = None
    elevation_unit: str | None = None
    nodata: float | None = None
    metres_known: bool = False
    unit_required: bool = True


@dataclass(slots=True)
class RasterFile:
    """What one file is, and its lazily opened handle; windows are north-up whatever the file's own row order."""

    path: str
    opening: Opening
    transform: Affine
    shape: tuple[int, int]
    crs: CRS | None
    facts: dict[str, BandFacts]
    factor: float
    unit: str
    south_up: bool
    tags: dict[str, str]
    driver: str
    area_or_point: str
    parts: tuple[str, ...]
    stated: Stated
    _handle: Any = None
    _lock: Any = None

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        return {**state, "_handle": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the handle back; a later read opens the file again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def with_bands(self, want: Sequence[str], bands: Mapping[str, int] | None) -> RasterFile:
        """The same open file with other bands; it takes the handle over. Raises BandError, GridError."""
        with self._lock:
            handle = self._open()
            facts, unit, factor = _bands(handle, self.path, want, bands, self.crs, self.stated)
            self._handle = None
        return replace(self, facts=facts, unit=unit, factor=factor, _handle=handle, _lock=threading.Lock())

    def _open(self) -> Any:
        if self._handle is None:
            with gdal.environment():  # costs milliseconds, so not around every read
                self._handle = _open(self.opening)
        return self._handle

    def read(self, name: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A window inside the file: float32 (y, x) in the band's unit, 0 where bool (y, x) says not valid."""
        fact = self.facts[name]
        height = self.shape[0]
        top = height - rows.stop if self.south_up else rows.start
        window = Window(cols.start, top, cols.stop - cols.start, rows.stop - rows.start)
        try:
            with self._lock:
                handle = self._open()
                raw = handle.read(fact.index, window=window)
                mask = handle.read_masks(fact.index, window=window) if fact.mask_band else None
        except (RasterioError, OSError) as error:
            cause = error.__cause__ or error
            raise SourceError(
                f"{self.path}: rows {rows.start}-{rows.stop} cannot be read ({cause}); the file is truncated "
                "or damaged, fetch or write it again"
            ) from None
        if self.south_up:
            raw, mask = raw[::-1], None if mask is None else mask[::-1]
        return _physical(raw, mask, fact, self.factor if name.startswith(HEIGHTS) else 1.0)


def _physical(
    raw: NDArray[Any], mask: NDArray[np.uint8] | None, fact: BandFacts, factor: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    valid = np.ones(raw.shape, np.bool_) if mask is None else mask > 0
    floating = raw.dtype.kind == "f"
    if floating:
        valid &= ~np.isnan(raw)
    if fact.nodata is not None and not np.isnan(fact.nodata):
        if floating and abs(fact.nodata) > _HUGE:
            valid &= np.abs(raw) < _HUGE
        elif floating:
            valid &= raw != raw.dtype.type(fact.nodata)
        elif raw.dtype.itemsize == 8:  # float64 holds neither limit of 64-bit integers but the next power of two
            valid &= np.abs(raw.astype(np.float64) - fact.nodata) > _EPS * abs(fact.nodata)
        elif np.iinfo(raw.dtype).min <= fact.nodata <= np.iinfo(raw.dtype).max:
            valid &= raw != fact.nodata
    if fact.scale * factor != 1.0 or fact.offset != 0.0:
        with np.errstate(over="ignore", invalid="ignore"):
            values = ((raw.astype(np.float64) * fact.scale + fact.offset) * factor).astype(np.float32)
    else:
        with np.errstate(over="ignore"):  # infinite then, which the caller refuses
            values = raw.astype(np.float32)
    if not valid.all():
        values[~valid] = 0.0
    return values, valid


def open_quietly(path: str) -> Any:
    """A vetted file as GDAL opens it, without a warning where it is not georeferenced.

    Raises SourceError for what may not be read (`terrafine.raster.read.vet`), RasterioError for what is not a raster.
    """
    return _open(vet(path))


def _open(opening: Opening) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return opening.open()


def open_file(
    path: str | os.PathLike[str],
    want: Sequence[str],
    bands: Mapping[str, int] | None,
    stated: Stated,
) -> RasterFile:
    """Open a raster, hold its size, grid, bands and units to account, and describe it.

    Raises SourceError (missing, truncated, no raster), GridError (CRS, rotation, unit), BandError (absent, ambiguous).
    """
    name = os.fspath(path)
    opening = vet(name)
    integrity.check_whole(name)
    try:
        with gdal.environment():
            handle = _open(opening)
            parts = tuple(handle.files)
            for part in parts:
                if part != name:
                    integrity.check_whole(part)
            integrity.check_blocks(handle, name)
    except RasterioError as error:
        raise SourceError(
            f"{name}: no raster that GDAL can open ({error}); expected a GeoTIFF, VRT, .hgt or the like"
        ) from None
    try:
        return _describe(handle, name, opening, parts, want, bands, stated)
    except BaseException:
        handle.close()
        raise


def _describe(
    handle: Any,
    name: str,
    opening: Opening,
    parts: tuple[str, ...],
    want: Sequence[str],
    bands: Mapping[str, int] | None,
    stated: Stated,
) -> RasterFile:
    if handle.count == 0:
        raise SourceError(
            f"{name}: holds {len(handle.subdatasets)} subdatasets and no band of its own; name one of them"
        )
    crs = None
    if stated.assume_crs is not None:
        crs = grid.parse_crs(stated.assume_crs, "assume_crs=", "expected for example EPSG:32633")
    elif handle.crs:
        crs = grid.parse_crs(handle.crs.to_wkt(), name)
    transform: Affine = handle.transform
    if transform == Affine.identity() and not stated.metres_known:
        how = " (it has ground control points only; run gdalwarp first)" if handle.gcps[0] else ""
        raise GridError(f"{name}: no geotransform{how}; expected a georeferenced grid, or pixel_size_m=METRES")
    south_up = transform.e > 0
    if south_up and (transform != Affine.identity() or crs is not None):
        t = transform
        transform = Affine(t.a, -t.b, t.c + t.b * handle.height, t.d, -t.e, t.f + t.e * handle.height)
    elif south_up:  # a bare picture: rows run down, as every picture's do
        south_up, transform = False, Affine.scale(1, -1)
    shape = (int(handle.height), int(handle.width))
    grid.check_grid(name, transform, shape, None if crs is None else horizontal(crs), stated.metres_known)
    facts, unit, factor = _bands(handle, name, want, bands, crs, stated)
    tags = {**handle.tags(), **dict(handle.tags(ns="TERRAFINE"))}
    return RasterFile(
        path=name,
        opening=opening,
        transform=transform,
        shape=shape,
        crs=crs,
        facts=facts,
        factor=factor,
        unit=unit,
        south_up=south_up,
        tags=tags,
        driver=str(handle.driver),
        area_or_point=str(handle.tags().get("AREA_OR_POINT", "Area")),
        parts=parts,
        stated=stated,
        _handle=handle,
        _lock=threading.Lock(),
    )


def _bands(
    handle: Any, name: str, want: Sequence[str], bands: Mapping[str, int] | None, crs: CRS | None, stated: Stated
) -> tuple[dict[str, BandFacts], str, float]:
    """The bands wanted, and the unit of the heights with its metres."""
    facts = choose_bands(handle, name, want, bands, stated.nodata)
    band = next((band for band in facts if band in HEIGHTS), None)
    if band is None:
        return facts, "", 1.0
    unit = handle.units[facts[band].index - 1] or ""
    return facts, *height_unit(name, unit, crs, stated.elevation_unit, required=stated.unit_required)
