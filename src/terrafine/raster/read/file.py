"""One raster file, opened by GDAL, seen north-up: masked windows of raw bands in their physical units."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from terrafine.errors import BandError, GridError, SourceError
from terrafine.raster import gdal, grid, vertical
from terrafine.raster.bands import BANDS
from terrafine.raster.read import integrity

__all__ = ["RasterFile", "open_file", "open_quietly", "unit_factor"]

_UNITS = {
    "": 1.0,
    "m": 1.0,
    "metre": 1.0,
    "meter": 1.0,
    "metres": 1.0,
    "meters": 1.0,
    "km": 1000.0,
    "dm": 0.1,
    "decimetre": 0.1,
    "decimeter": 0.1,
    "cm": 0.01,
    "centimetre": 0.01,
    "centimeter": 0.01,
    "mm": 0.001,
    "ft": 0.3048,
    "foot": 0.3048,
    "feet": 0.3048,
    "international foot": 0.3048,
    "us-ft": 1200.0 / 3937.0,
    "ftus": 1200.0 / 3937.0,
    "us survey foot": 1200.0 / 3937.0,
    "us survey feet": 1200.0 / 3937.0,
    "us_survey_foot": 1200.0 / 3937.0,
    "foot_us": 1200.0 / 3937.0,
    "survey foot": 1200.0 / 3937.0,
}
_HUGE = 1e30


def unit_factor(unit: str, path: str) -> float:
    """Metres in one unit of height; the international foot is 0.3048 m and the US survey foot 1200/3937 m.

    Raises GridError for a unit that is not known. https://www.nist.gov/pml/us-surveyfoot
    """
    key = unit.strip().lower()
    if key not in _UNITS:
        raise GridError(
            f"{path}: heights are in {unit!r}, a unit not known here; expected one of m, km, dm, cm, mm, ft, "
            "us-ft. State it with elevation_unit=UNIT"
        )
    return _UNITS[key]


@dataclass(frozen=True, slots=True)
class _BandFacts:
    index: int
    dtype: str
    nodata: float | None
    mask_band: bool
    scale: float
    offset: float


@dataclass(slots=True)
class RasterFile:
    """What one file is, and its lazily opened handle; windows are north-up whatever the file's own row order."""

    path: str
    transform: Affine
    shape: tuple[int, int]
    crs: CRS | None
    facts: dict[str, _BandFacts]
    factor: float
    unit: str
    south_up: bool
    tags: dict[str, str]
    driver: str
    area_or_point: str
    parts: tuple[str, ...]
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
        """Give the handle back; a later read opens the file anew."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def read(self, name: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A window inside the file: float32 (y, x) in the band's unit, 0 where bool (y, x) says not valid."""
        fact = self.facts[name]
        height = self.shape[0]
        top = height - rows.stop if self.south_up else rows.start
        window = Window(cols.start, top, cols.stop - cols.start, rows.stop - rows.start)
        try:
            with self._lock:
                if self._handle is None:
                    with gdal.environment():  # costs milliseconds, so not around every read
                        self._handle = open_quietly(self.path)
                raw = self._handle.read(fact.index, window=window)
                mask = self._handle.read_masks(fact.index, window=window) if fact.mask_band else None
        except (RasterioError, OSError) as error:
            cause = error.__cause__ or error
            raise SourceError(
                f"{self.path}: rows {rows.start}-{rows.stop} cannot be read ({cause}); the file is truncated "
                "or damaged, fetch or write it again"
            ) from None
        if self.south_up:
            raw, mask = raw[::-1], None if mask is None else mask[::-1]
        return _physical(raw, mask, fact, self.factor if name.startswith("elevation") else 1.0)


def _physical(
    raw: NDArray[Any], mask: NDArray[np.uint8] | None, fact: _BandFacts, factor: float
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
        elif np.iinfo(raw.dtype).min <= fact.nodata <= np.iinfo(raw.dtype).max:
            valid &= raw != fact.nodata
    if fact.scale * factor != 1.0 or fact.offset != 0.0:
        with np.errstate(over="ignore", invalid="ignore"):
            values = ((raw.astype(np.float64) * fact.scale + fact.offset) * factor).astype(np.float32)
    else:
        values = raw.astype(np.float32)
    if not valid.all():
        values[~valid] = 0.0
    return values, valid


def open_quietly(path: str) -> Any:
    """The file as GDAL opens it, without a warning where it is not georeferenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def open_file(
    path: str | os.PathLike[str],
    want: Sequence[str],
    bands: Mapping[str, int] | None,
    assume_crs: str | None,
    elevation_unit: str | None,
    metres_known: bool,
    nodata: float | None,
) -> RasterFile:
    """Open a raster, hold its size, grid, bands and units to account, and describe it.

    Raises SourceError (missing, truncated, no raster), GridError (CRS, rotation, unit), BandError (absent, ambiguous).
    """
    name = os.fspath(path)
    _exists(name)
    integrity.check_whole(name)
    try:
        with gdal.environment():
            handle = open_quietly(name)
            parts = tuple(handle.files)
            if handle.driver == "VRT":
                integrity.check_parts(name)
            for part in parts:
                if part != name:
                    integrity.check_whole(part)
    except RasterioError as error:
        raise SourceError(
            f"{name}: no raster that GDAL can open ({error}); expected a GeoTIFF, VRT, .hgt or the like"
        ) from None
    try:
        return _describe(handle, name, parts, want, bands, assume_crs, elevation_unit, metres_known, nodata)
    except BaseException:
        handle.close()
        raise


def _exists(name: str) -> None:
    if name.startswith(("/vsi", "<")) or ":" in name[2:]:
        return
    local = Path(name)
    if not local.exists():
        raise SourceError(f"{name}: there is no such file")
    if local.is_file() and local.stat().st_size == 0:
        raise SourceError(f"{name}: the file is empty (0 bytes)")


def _describe(
    handle: Any,
    name: str,
    parts: tuple[str, ...],
    want: Sequence[str],
    bands: Mapping[str, int] | None,
    assume_crs: str | None,
    elevation_unit: str | None,
    metres_known: bool,
    nodata: float | None,
) -> RasterFile:
    if handle.count == 0:
        raise SourceError(
            f"{name}: holds {len(handle.subdatasets)} subdatasets and no band of its own; name one of them"
        )
    crs = None
    if assume_crs is not None:
        crs = grid.parse_crs(assume_crs, "assume_crs=", "expected for example EPSG:32633")
    elif handle.crs:
        crs = grid.parse_crs(handle.crs.to_wkt(), name)
    transform: Affine = handle.transform
    if transform == Affine.identity() and not metres_known:
        how = " (it has ground control points only; run gdalwarp first)" if handle.gcps[0] else ""
        raise GridError(f"{name}: no geotransform{how}; expected a georeferenced grid, or pixel_size_m=METRES")
    south_up = transform.e > 0
    if south_up and (transform != Affine.identity() or crs is not None):
        t = transform
        transform = Affine(t.a, -t.b, t.c + t.b * handle.height, t.d, -t.e, t.f + t.e * handle.height)
    elif south_up:  # a bare picture: rows run down, as every picture's do
        south_up, transform = False, Affine.scale(1, -1)
    shape = (int(handle.height), int(handle.width))
    grid.check_grid(name, transform, shape, None if crs is None else vertical.horizontal(crs), metres_known)
    index = _choose(handle, name, want, bands)
    facts = {band: _facts(handle, i, nodata, index.values()) for band, i in index.items()}
    unit, factor = _height_unit(handle, name, index, crs, elevation_unit)
    tags = {**handle.tags(), **dict(handle.tags(ns="TERRAFINE"))}
    return RasterFile(
        path=name,
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
        _handle=handle,
        _lock=threading.Lock(),
    )


def _facts(handle: Any, index: int, nodata: float | None, chosen: Iterable[int]) -> _BandFacts:
    flags = handle.mask_flag_enums[index - 1]
    # A fourth band is often written as alpha and holds near infrared: asked for by number, it measures and masks not.
    alpha = MaskFlags.alpha in flags and not any(handle.colorinterp[i - 1] == ColorInterp.alpha for i in chosen)
    return _BandFacts(
        index=index,
        dtype=str(handle.dtypes[index - 1]),
        nodata=nodata if nodata is not None else handle.nodatavals[index - 1],
        mask_band=(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags) or alpha,
        scale=float(handle.scales[index - 1]),
        offset=float(handle.offsets[index - 1]),
    )


def _height_unit(
    handle: Any, name: str, index: Mapping[str, int], crs: CRS | None, stated: str | None
) -> tuple[str, float]:
    if "elevation" not in index:
        return "", 1.0
    if stated is not None:
        return stated, unit_factor(stated, name)
    unit = handle.units[index["elevation"] - 1] or ""
    axis = vertical.vertical_unit(crs) if crs is not None else None
    if not unit.strip() and axis is not None:
        return f"{axis:.9g} m", axis
    factor = unit_factor(unit, name)
    if axis is not None and abs(factor - axis) > 1e-9:
        raise GridError(
            f"{name}: the band's unit is {unit!r} ({factor:.9g} m), but the vertical axis of its CRS measures "
            f"{axis:.9g} m; say which is true with elevation_unit=UNIT"
        )
    return unit or "m", factor


def _choose(handle: Any, name: str, want: Sequence[str], bands: Mapping[str, int] | None) -> dict[str, int]:
    said = [(d or "").strip() for d in handle.descriptions]
    chosen: dict[str, int] = {}
    for band in want:
        if bands and band in bands:
            i = int(bands[band])
            if not 1 <= i <= handle.count:
                raise BandError(f'{name}: bands={{"{band}": {i}}}, but the file has bands 1 to {handle.count}')
        else:
            i = _by_name(handle, name, band, said, alone=len(want) == 1)
        _suits(handle, name, band, i)
        chosen[band] = i
    return chosen


def _by_name(handle: Any, name: str, band: str, said: list[str], *, alone: bool) -> int:
    hits = [i + 1 for i, d in enumerate(said) if d.lower() == band]
    if not hits and band in {"red", "green", "blue"}:
        hits = [i + 1 for i, c in enumerate(handle.colorinterp) if c == ColorInterp[band]]
    if (
        not hits
        and (alone or band == "elevation")
        and (handle.count == 1 or _only_plus_alpha(handle))
        and said[0].lower() not in BANDS
    ):
        hits = [1]
    if len(hits) != 1:
        listed = ", ".join(f"{i + 1}={d!r}" if d else f"{i + 1} (no description)" for i, d in enumerate(said))
        problem = "more than one band is" if hits else "no band is"
        raise BandError(
            f'{name}: {problem} called {band!r}; the file offers {listed}. Say which with bands={{"{band}": N}}'
        )
    return hits[0]


def _only_plus_alpha(handle: Any) -> bool:
    return bool(handle.count == 2 and handle.colorinterp[1] == ColorInterp.alpha)


def _suits(handle: Any, name: str, band: str, index: int) -> None:
    dtype = handle.dtypes[index - 1]
    if dtype.startswith("complex"):
        raise BandError(f"{name}: band {index} holds {dtype}; expected real numbers for {band!r}")
    if handle.colorinterp[index - 1] == ColorInterp.palette and band != "class":
        raise BandError(f"{name}: band {index} is a picture with a colour table; expected measured values for {band!r}")
