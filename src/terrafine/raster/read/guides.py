"""A DEM with guides: radar and images on the DEM's own grid subdivided, read window by window, never held whole."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from terrafine.errors import BandError, UsageError
from terrafine.raster import gdal
from terrafine.raster.bands import band
from terrafine.raster.grid import subdivided
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read.aligned import AlignedSource, align_to
from terrafine.raster.read.file import open_quietly
from terrafine.raster.read.source import Source, open_source

__all__ = ["OPTICAL", "RADAR", "GuidedSource", "open_guides"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
RADAR = ("vv", "vh")
OPTICAL = ("red", "green", "blue", "nir")
_LOWEST_DB, _HIGHEST_DB = -50.0, 25.0
_STEEPEST, _SHALLOWEST = 10.0, 60.0  # degrees on the ellipsoid that are taken for a spaceborne radar's
_SIDE = 512


class GuidedSource(SourceBase):
    """A DEM's source, and bands that guide it, on the grid that subdivides each of its cells in scale × scale.

    Immutable: `displaced`, `with_sun` and `stating` return another source of the same files.

    Attributes
    ----------
    guides
        Names of the bands that `read_guide` gives:

        vv, vh
            dB: mean power over the dates given, in any order, of those observed in a cell; a value out of the band's
            range is fill or below the noise, and counts as not observed
        look_east, look_north
            sin θ sin α and sin θ cos α, the horizontal parts of the unit vector to the sensor
        optical
            10 lg of brightness: mean over the bands and dates given, where all are observed and above 0
        sun_east, sun_north
            the unit vector toward the sun on the map; not valid before `sun`, its azimuth in degrees from the grid's
            north, is set
    """

    def __init__(
        self,
        dem: Source,
        scale: int,
        dates: Mapping[str, Sequence[AlignedSource]],
        images: Sequence[tuple[str, AlignedSource]] = (),
        *,
        azimuth: float,
        incidence: AlignedSource | float,
        linear: bool,
    ) -> None:
        self._described_as(dem)
        self.geobox, self.shape = dem.geobox, dem.shape
        self.dem, self._dates = dem, {name: tuple(files) for name, files in dates.items()}
        self._images = tuple(images)
        self.azimuth, self._incidence, self._linear = azimuth, incidence, linear
        self.sun: float | None = None
        self.guide_scale = scale
        looks = ("look_east", "look_north") if self._dates else ()
        self.guides = (
            *self._dates,
            *looks,
            *(("optical", "sun_east", "sun_north") if images else ()),
        )

    def read(self, band: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """The DEM's `read`."""
        return self.dem.read(band, rows, cols)

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """The DEM's `pixel_size_m`."""
        return self.dem.pixel_size_m(rows)

    def read_guide(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """A window of the fine grid: float32 (y, x) and bool valid (y, x), 0 where not valid."""
        if name in self._dates:
            return self._mean_power(name, rows, cols)
        if name == "optical":
            return self._brightness(rows, cols)
        if name in ("sun_east", "sun_north"):
            return self._toward_sun(name, rows, cols)
        if name not in self.guides:
            return super().read_guide(name, rows, cols)
        theta, valid = self._theta(rows, cols)
        turn = np.sin(np.radians(self.azimuth)) if name == "look_east" else np.cos(np.radians(self.azimuth))
        return (np.sin(np.radians(theta)) * turn * valid).astype(np.float32), valid

    def read_fine(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """The DEM itself on the fine grid, by cubic convolution: where registration looks."""
        return align_to(self.dem, subdivided(self.dem.geobox, self.guide_scale)).read("elevation", rows, cols)

    def displaced(self, dy: float, dx: float, *, optical: bool = False) -> GuidedSource:
        """Radar, or images, read as if what lies dy fine cells below and dx right of a cell lay in it."""
        fine = subdivided(self.dem.geobox, self.guide_scale)
        to = GeoBox(fine.shape, fine.affine * fine.affine.translation(dx, dy), fine.crs)
        out = copy.copy(self)
        if optical:
            out._images = tuple((name, file.on(to)) for name, file in self._images)
        else:
            out._dates = {name: tuple(f.on(to) for f in files) for name, files in self._dates.items()}
        return out

    def with_sun(self, azimuth: float) -> GuidedSource:
        """The images' sun at that azimuth, degrees from the grid's north."""
        out = copy.copy(self)
        out.sun = azimuth
        return out

    def stating(self, lineage: Mapping[str, str], *notes: str) -> GuidedSource:
        """More tags for the outputs, and more notes for the user."""
        out = copy.copy(self)
        out._lineage, out.notes = {**self._lineage, **lineage}, (*self.notes, *notes)
        return out

    def identity(self) -> dict[str, Any]:
        """The DEM's identity with the guides': files, digests, geometry; `sha256` knows neither path nor time."""
        dem = self.dem.identity()
        guides = {name: [file.identity() for file in files] for name, files in self._dates.items()}
        for name, file in self._images:
            guides.setdefault(name, []).append(file.identity())
        angle = self._incidence if isinstance(self._incidence, float) else self._incidence.identity()
        geometry = {"azimuth": self.azimuth, "linear": self._linear, "sun": self.sun}
        aligned = [one for dates in guides.values() for one in dates] + ([angle] if isinstance(angle, dict) else [])
        content = [(name, one["sha256"], one["aligned_to"]) for name, dates in guides.items() for one in dates]
        theta = angle["sha256"] if isinstance(angle, dict) else angle
        text = json.dumps([dem["sha256"], sorted(content, key=str), theta, geometry], sort_keys=True)
        files = dem["files"] + [f for one in aligned for f in one["files"]]
        own = {"guides": guides, "incidence": angle, **geometry}
        return {**dem, **own, "files": files, "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def close(self) -> None:
        """Give all file handles back."""
        self.dem.close()
        for files in self._dates.values():
            for file in files:
                file.close()
        for _, image in self._images:
            image.close()
        if not isinstance(self._incidence, float):
            self._incidence.close()

    def _inside(self, rows: slice, cols: slice) -> Mask:
        """Cells that lie on the raster, bool (y, x)."""
        (height, width), k = self.dem.shape, self.guide_scale
        y, x = np.arange(rows.start, rows.stop)[:, None], np.arange(cols.start, cols.stop)[None]
        return np.asarray((y >= 0) & (y < height * k) & (x >= 0) & (x < width * k))

    def _toward_sun(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        inside = self._inside(rows, cols)
        if self.sun is None:
            return np.zeros(inside.shape, np.float32), np.zeros_like(inside)
        alpha = np.radians(self.sun)
        return (inside * (np.sin(alpha) if name == "sun_east" else np.cos(alpha))).astype(np.float32), inside

    def _brightness(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Bands differ in level, so a cell that one of them lacks is lacking: a mean over others would show a step."""
        seen = self._inside(rows, cols)
        total = np.zeros(seen.shape)
        for name, file in self._images:
            values, valid = file.read(name, rows, cols)
            seen &= valid & (values > 0)
            total[seen] += 10 * np.log10(values[seen].astype(np.float64))
        total[~seen] = 0
        return (total / max(1, len(self._images))).astype(np.float32), seen

    def _theta(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        if isinstance(self._incidence, float):
            inside = self._inside(rows, cols)
            return np.full(inside.shape, self._incidence, np.float32), inside
        return self._incidence.read("incidence", rows, cols)

    def _mean_power(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        power, count = np.zeros(shape), np.zeros(shape, np.int32)
        low, high = (10 ** (db / 10) if self._linear else db for db in band(name).valid)
        for file in self._dates[name]:
            values, valid = file.read(name, rows, cols)
            valid = valid & (values >= low) & (values <= high)
            power[valid] += values[valid] if self._linear else 10 ** (values[valid].astype(np.float64) / 10)
            count += valid
        seen = count > 0
        out = np.zeros(shape, np.float32)
        out[seen] = 10 * np.log10(power[seen] / count[seen])
        return out, seen


def open_guides(
    dem: Source,
    scale: int,
    files: Mapping[str, Sequence[str | os.PathLike[str]]],
    *,
    azimuth: float,
    incidence: str | os.PathLike[str] | float,
    unit: str = "dB",
) -> GuidedSource:
    """Radar and images in any CRS and resolution, resampled to the DEM's fine grid; several files of a band are dates.

    files      band (vv, vh; red, green, blue, nir) -> files of that band; `file.tif#4` is its fourth band, `file.tif#*`
               every band, each a date, and so is a stack of radar whose bands are not named
    azimuth    from the target to the radar, degrees from grid north
    incidence  degrees on the ellipsoid: a number, or a file
    unit       of the radar, `dB` or `linear` power; images may be in any unit that is proportional to brightness

    Raises BandError for values that are not of the unit or a band that is no guide, EmptyError for a guide without a
    valid cell, GridError for one of another place, SourceError and its kin.
    """
    if unit not in ("dB", "linear"):
        raise UsageError(f"guide unit {unit!r}: expected dB or linear")
    if unknown := sorted(set(files) - {*RADAR, *OPTICAL}):
        raise BandError(f"no guide is called {', '.join(unknown)}; expected {', '.join((*RADAR, *OPTICAL))}")
    if not any(files.values()):
        raise UsageError("no guide is given; expected at least one file of vv or vh, or of an image's band")
    fine = subdivided(dem.geobox, scale)
    # Beside a DEM without CRS a guide without one lies in the same plane; its cells' size in metres is not asked for.
    opened = partial(open_source, pixel_size_m=1.0 if dem.geobox.crs is None else None)
    with contextlib.ExitStack() as files_open:
        dates: dict[str, list[AlignedSource]] = {}
        images: list[tuple[str, AlignedSource]] = []
        for name, paths in files.items():
            for file, number in (part for path in paths for part in _dates(os.fspath(path), name)):
                chosen = None if number is None else {name: number}
                source = files_open.enter_context(opened(file, want=(name,), bands=chosen, check_range=False))
                if name in RADAR:
                    _check_unit(source, name, unit)
                    dates.setdefault(name, []).append(align_to(source, fine))
                else:
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
        files_open.pop_all()
        return GuidedSource(dem, scale, dates, images, azimuth=azimuth, incidence=angle, linear=unit == "linear")


def _dates(path: str, name: str) -> list[tuple[str, int | None]]:
    """The file and a band number for each date: `file.tif#*` is every band, and so is a bare stack of radar."""
    file, number = (path.removesuffix("#*"), None) if path.endswith("#*") else _numbered(path)
    if number is not None:
        return [(file, number)]
    try:
        with gdal.environment(), open_quietly(file) as opened:
            said = [(d or "").strip().lower() for d in opened.descriptions]
    except RasterioError:
        return [(file, None)]  # said better where the file is opened to be read
    stack = name in RADAR and len(said) > 1 and (set(said) == {name} or not {*RADAR, *OPTICAL} & set(said))
    return [(file, i + 1) for i in range(len(said))] if path.endswith("#*") or stack else [(file, None)]


def _numbered(path: str) -> tuple[str, int | None]:
    """`file.tif#4` is its fourth band; else descriptions tell, or the file has but one."""
    file, mark, number = path.rpartition("#")
    return (file, int(number)) if mark and number.isdigit() else (path, None)


def _check_unit(source: Source, name: str, unit: str) -> None:
    """Backscatter in dB is mostly below 0 and never below the noise by tens; linear power is never below 0."""
    low, middle, high = _quantiles(source, name)
    found = f"{source.paths[0]}: band {name} holds values from {low:.4g} to {high:.4g} (1st to 99th percentile)"
    if unit == "linear" and low < 0:
        raise BandError(f'{found}; linear power is never below 0. If these are dB, say unit="dB"')
    if unit == "dB" and (low >= 0 and middle < 2):
        raise BandError(f'{found}; backscatter in dB lies mostly below 0. If this is linear power, say unit="linear"')
    if unit == "dB" and (low < _LOWEST_DB or high > _HIGHEST_DB):
        raise BandError(
            f"{found}; expected {_LOWEST_DB:g} to {_HIGHEST_DB:g} dB. Divide scaled integers by their factor first, or "
            "set the band's scale and nodata"
        )


def _check_bright(source: Source, name: str) -> None:
    """Brightness is above 0, and not the same everywhere."""
    low, middle, high = _quantiles(source, name)
    if middle <= 0 or low == high:
        raise BandError(
            f"{source.paths[0]}: band {name} holds values from {low:.4g} to {high:.4g} (1st to 99th percentile); "
            "expected brightness above 0, reflectance or digital numbers. Say which band is meant: "
            'files={"red": "FILE#4"}'
        )


def _quantiles(source: Source, name: str) -> tuple[float, float, float]:
    """1st, 50th and 99th percentile in the raster's middle, or in its first strip that holds any; else EmptyError."""
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
