"""Open radar and images as guides of a DEM, and check that their values fit the unit and band that are stated."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np

from terrafine.errors import BandError, EmptyError, UsageError
from terrafine.raster.grid import subdivided
from terrafine.raster.read.aligned import AlignedSource, align_to
from terrafine.raster.read.guided_source import GuidedSource
from terrafine.raster.read.opened import OpenRaster, open_raster
from terrafine.raster.read.source import Source, open_source

__all__ = ["OPTICAL", "RADAR", "open_guides"]

RADAR = ("vv", "vh")
OPTICAL = ("red", "green", "blue", "nir")
_LOWEST_DB, _HIGHEST_DB = -50.0, 25.0
_STEEPEST, _SHALLOWEST = 10.0, 60.0  # plausible incidence angles of a spaceborne radar on the ellipsoid, degrees
_SIDE = 512


def open_guides(
    dem: Source,
    scale: int,
    files: Mapping[str, Sequence[str | os.PathLike[str]]],
    *,
    azimuth: float,
    incidence: str | os.PathLike[str] | float,
    unit: str = "dB",
) -> GuidedSource:
    """Open radar and images of any CRS and resolution as guides on the fine grid of a DEM.

    Several files of a band are dates.

    Parameters
    ----------
    dem
        The open DEM.
    scale
        Fine cells per side of a DEM cell.
    files
        Band (vv, vh; red, green, blue, nir) to its files. `file.tif#4` is the fourth band of the file, `file.tif#*`
        every band, each a date; a radar stack without band names is read like `#*`.
    azimuth
        Direction from the target to the radar, degrees from grid north.
    incidence
        Incidence angle on the ellipsoid in degrees: a number, or a file.
    unit
        Unit of the radar, `dB` or `linear` power. Images may be in any unit proportional to brightness.

    Returns
    -------
    GuidedSource
        The DEM with its guides.

    Raises
    ------
    UsageError
        If the unit is unknown or no guide is given.
    BandError
        If a band is not a guide, values do not fit the unit, or the incidence angle is not plausible.
    EmptyError
        If a guide has no valid cell.
    GridError
        If a guide does not overlap the DEM or its grid is unusable.
    SourceError
        If a file is missing, truncated or not a raster.
    """
    if unit not in ("dB", "linear"):
        raise UsageError(f"guide unit {unit!r}: expected dB or linear")
    if unknown := sorted(set(files) - {*RADAR, *OPTICAL}):
        raise BandError(f"no guide is called {', '.join(unknown)}; expected {', '.join((*RADAR, *OPTICAL))}")
    if not any(files.values()):
        raise UsageError("no guide is given; expected at least one file of vv or vh, or of an image's band")
    fine = subdivided(dem.geobox, scale)
    # If neither the DEM nor the guide has a CRS, both lie in one plane, and the guide's cell size is not needed.
    opened = partial(open_source, pixel_size_m=1.0 if dem.geobox.crs is None else None)
    with contextlib.ExitStack() as files_open:
        once = cache(lambda path: files_open.enter_context(open_raster(path)))
        dates: dict[str, list[AlignedSource]] = {}
        images: list[tuple[str, AlignedSource]] = []
        notes: list[str] = []
        for name, path in ((name, os.fspath(path)) for name, paths in files.items() for path in paths):
            parts = _dates(path, name, once)
            sources = [
                files_open.enter_context(
                    opened(file, want=(name,), bands=None if number is None else {name: number}, check_range=False)
                )
                for file, number in parts
            ]
            if name in RADAR:
                for source in _observed(sources, name, notes):
                    _refuse_flattened(source)
                    _check_unit(source, name, unit)
                    dates.setdefault(name, []).append(align_to(source, fine))
            else:
                for source in sources:
                    _check_bright(source, name)
                    images.append((name, align_to(source, fine)))
        angle: AlignedSource | float
        if isinstance(incidence, (int, float)):
            angle = float(incidence)
            low, high, problem = angle, angle, f"incidence {angle:g}°: expected degrees"
        else:
            source = files_open.enter_context(opened(incidence, want=("incidence",)))
            low, _, high = _quantiles(source, "incidence")
            span = f"incidence from {low:.4g} to {high:.4g}"
            problem = f"{source.paths[0]}: {span}: expected the angle on the ellipsoid, degrees"
            angle = align_to(source, fine)
        if not (low >= _STEEPEST and high <= _SHALLOWEST):
            raise BandError(f"{problem} from {_STEEPEST:g} to {_SHALLOWEST:g}")
        guided = GuidedSource(dem, scale, dates, images, azimuth=azimuth, incidence=angle, linear=unit == "linear")
        guided.notes = (*guided.notes, *notes)
        files_open.pop_all()
        return guided


def _observed(sources: list[Source], name: str, notes: list[str]) -> list[Source]:
    """Return the dates of a stack that have valid cells, and note how many have none; one date alone must have some."""
    if len(sources) == 1:
        return sources
    found = []
    for source in sources:
        with contextlib.suppress(EmptyError):
            source.require_valid(name)
            found.append(source)
    if not found:
        raise EmptyError(
            f"{sources[0].paths[0]}: none of its {len(sources)} dates has a valid cell; expected at least one"
        )
    if empty := len(sources) - len(found):
        notes.append(f"{sources[0].paths[0]}: {empty} of {len(sources)} dates have no valid cell; they were left out.")
    return found


def _dates(path: str, name: str, opened: Callable[[str], OpenRaster]) -> list[tuple[OpenRaster, int | None]]:
    """Return file and band number of each date: every band for `file.tif#*` and for an unnamed radar stack."""
    if path.endswith("#*"):
        raster = opened(path.removesuffix("#*"))
        return [(raster, i + 1) for i in range(raster.header.count)]
    file, mark, number = path.rpartition("#")
    if mark and number.isdigit():
        raster, count = opened(file), opened(file).header.count
        if not 1 <= int(number) <= count:
            raise BandError(
                f"{path}: the file has {f'bands 1 to {count}' if count > 1 else 'one band'}; expected one of them"
            )
        return [(raster, int(number))]
    raster = opened(path)
    said = raster.header.descriptions
    stack = name in RADAR and len(said) > 1 and (set(said) == {name} or not {*RADAR, *OPTICAL} & set(said))
    return [(raster, i + 1) for i in range(len(said))] if stack else [(raster, None)]


def _refuse_flattened(source: Source) -> None:
    """Refuse backscatter that says that the effect of terrain was removed from it: nothing of the slopes is left."""
    if source.describe()["tags"].get("SOURCE_KIND") == "sentinel-1-rtc":
        raise BandError(
            f"{source.paths[0]}: radiometrically terrain-corrected backscatter (RTC): the brightness of slopes, which "
            "guides a DEM, was divided out with a coarse DEM, and its errors are left instead. Expected backscatter "
            "that keeps it: geocoded sigma0 (GRD, terrain-corrected in geometry alone)"
        )


def _check_unit(source: Source, name: str, unit: str) -> None:
    """Check the unit: dB is mostly below 0 and never far below the noise; linear power is never below 0."""
    low, middle, high = _quantiles(source, name)
    found = f"{source.paths[0]}: band {name} holds values from {low:.4g} to {high:.4g} (1st to 99th percentile)"
    if unit == "linear" and low < 0:
        raise BandError(f'{found}; linear power is never below 0. If these are dB, state unit="dB"')
    if unit == "dB" and (low >= 0 and middle < 2):
        raise BandError(f'{found}; backscatter in dB is mostly below 0. If this is linear power, state unit="linear"')
    if unit == "dB" and (low < _LOWEST_DB or high > _HIGHEST_DB):
        raise BandError(
            f"{found}; expected {_LOWEST_DB:g} to {_HIGHEST_DB:g} dB. If these are dB times a factor, write its "
            "inverse into the file (`gdal_edit -scale 0.01 FILE`), and undeclared nodata (`gdal_edit -a_nodata VALUE "
            "FILE`)"
        )


def _check_bright(source: Source, name: str) -> None:
    """Check that brightness is above 0 and not constant."""
    low, middle, high = _quantiles(source, name)
    if middle <= 0 or low == high:
        raise BandError(
            f"{source.paths[0]}: band {name} holds values from {low:.4g} to {high:.4g} (1st to 99th percentile); "
            "expected brightness above 0, reflectance or digital numbers. State the band: "
            'files={"red": "FILE#4"}'
        )


def _quantiles(source: Source, name: str) -> tuple[float, float, float]:
    """Return the 1st, 50th and 99th percentile in the middle of the raster, or in its first strip with valid cells."""
    source.require_valid(name)
    height, width = source.shape
    top, left, step = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2), max(1, (8 << 20) // width)
    middle = slice(top, min(height, top + _SIDE)), slice(left, min(width, left + _SIDE))
    strips = ((slice(y, min(height, y + step)), slice(0, width)) for y in range(0, height, step))
    for rows, cols in (middle, *strips):
        values, valid = source.read(name, rows, cols)
        if valid.any():
            break
    low, half, high = np.quantile(values[valid], (0.01, 0.5, 0.99)).tolist()
    return low, half, high
