"""A DEM with guides: radar seen on the DEM's own grid subdivided, read window by window, never held whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import BandError, UsageError
from terrafine.raster.align import AlignedSource, align_to
from terrafine.raster.grid import subdivided
from terrafine.raster.source import Source, open_source

__all__ = ["GuidedSource", "open_guides"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
RADAR = ("vv", "vh")
_LOWEST_DB, _HIGHEST_DB = -50.0, 25.0


class GuidedSource:
    """A DEM's source, and bands that guide it, on the grid that subdivides each of its cells in scale × scale.

    vv, vh                 dB: mean power over the dates given, in any order, of those valid in a cell
    look_east, look_north  sin θ sin α and sin θ cos α, the horizontal parts of the unit vector to the sensor
    """

    def __init__(
        self,
        dem: Source,
        scale: int,
        dates: Mapping[str, Sequence[AlignedSource]],
        *,
        azimuth: float,
        incidence: AlignedSource | float,
        linear: bool,
    ) -> None:
        self.dem, self._dates = dem, {name: tuple(files) for name, files in dates.items()}
        self.azimuth, self._incidence, self._linear = azimuth, incidence, linear
        self.guide_tags: dict[str, str] = {}
        self.guide_scale = scale
        self.guides: tuple[str, ...] = (*self._dates, "look_east", "look_north")

    def __getattr__(self, name: str) -> Any:
        """All else is the DEM's."""
        if name.startswith("_") or name == "dem":
            raise AttributeError(name)
        return getattr(self.dem, name)

    def read(self, band: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """The DEM's `read`."""
        return self.dem.read(band, rows, cols)

    def read_guide(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """A window of the fine grid: float32 (y, x) and bool valid (y, x), 0 where not valid."""
        if name in self._dates:
            return self._mean_power(name, rows, cols)
        theta, valid = self._theta(rows, cols)
        turn = np.sin(np.radians(self.azimuth)) if name == "look_east" else np.cos(np.radians(self.azimuth))
        return (np.sin(np.radians(theta)) * turn * valid).astype(np.float32), valid

    def read_fine(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """The DEM itself on the fine grid, by cubic convolution: where registration looks."""
        return align_to(self.dem, subdivided(self.dem.geobox, self.guide_scale)).read("elevation", rows, cols)

    def displace(self, dy: float, dx: float) -> None:
        """From now on read the radar as if what lies dy fine cells below and dx right of a cell lay in it."""
        fine = subdivided(self.dem.geobox, self.guide_scale)
        moved = GeoBox(fine.shape, fine.affine * fine.affine.translation(dx, dy), fine.crs)
        self._dates = {name: tuple(f.on(moved) for f in files) for name, files in self._dates.items()}

    def identity(self) -> dict[str, Any]:
        """The DEM's identity with the guides': files, digests, geometry."""
        dem = self.dem.identity()
        guides = {name: [file.identity() for file in files] for name, files in self._dates.items()}
        angle = self._incidence if isinstance(self._incidence, float) else self._incidence.identity()
        own = {"guides": guides, "azimuth": self.azimuth, "incidence": angle, "linear": self._linear}
        files = [f for dates in guides.values() for one in dates for f in one["files"]]
        files += [] if isinstance(angle, float) else angle["files"]
        text = json.dumps([dem["sha256"], own], sort_keys=True, default=str)
        return {**dem, **own, "files": dem["files"] + files, "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def close(self) -> None:
        """Give all file handles back."""
        self.dem.close()
        for files in self._dates.values():
            for file in files:
                file.close()
        if not isinstance(self._incidence, float):
            self._incidence.close()

    def _theta(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        if isinstance(self._incidence, float):
            (height, width), k = self.dem.shape, self.guide_scale
            y, x = np.arange(rows.start, rows.stop)[:, None], np.arange(cols.start, cols.stop)[None]
            inside = (y >= 0) & (y < height * k) & (x >= 0) & (x < width * k)
            return np.full(inside.shape, self._incidence, np.float32), inside
        return self._incidence.read("incidence", rows, cols)

    def _mean_power(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        power, count = np.zeros(shape), np.zeros(shape, np.int32)
        for file in self._dates[name]:
            values, valid = file.read(name, rows, cols)
            power += np.where(valid, values if self._linear else 10 ** (values.astype(np.float64) / 10), 0.0)
            count += valid
        seen = (count > 0) & (power > 0)
        mean = power[seen] / count[seen]
        out = np.zeros(shape, np.float32)
        out[seen] = 10 * np.log10(mean)
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
    """Radar files in any CRS and resolution, seen on the DEM's fine grid; several files of a band are dates.

    files      band (vv, vh) -> files of that band; azimuth: from the target to the sensor, degrees from grid north
    incidence  degrees on the ellipsoid: a number, or a file
    unit       `dB` or `linear` power

    Raises BandError for values that are not of the unit or a band that is no guide, EmptyError for a guide without a
    valid cell, GridError for one of another place, SourceError and its kin.
    """
    if unit not in ("dB", "linear"):
        raise UsageError(f"guide unit {unit!r}: expected dB or linear")
    if unknown := sorted(set(files) - set(RADAR)):
        raise BandError(f"no guide is called {', '.join(unknown)}; expected {' and '.join(RADAR)}")
    if not any(files.values()):
        raise UsageError("no guide is given; expected at least one file of vv or vh")
    fine = subdivided(dem.geobox, scale)
    dates: dict[str, list[AlignedSource]] = {}
    for name, paths in files.items():
        for path in paths:
            file, number = _numbered(os.fspath(path))
            chosen = None if number is None else {name: number}
            source = open_source(file, want=(name,), bands=chosen, check_range=False)
            source.require_valid(name)
            _check_unit(source, name, unit)
            dates.setdefault(name, []).append(align_to(source, fine))
    angle: AlignedSource | float
    if isinstance(incidence, (int, float)):
        angle = float(incidence)
        if not 10 <= angle <= 60:
            raise BandError(f"incidence {angle:g}°: expected degrees from 10 to 60")
    else:
        source = open_source(incidence, want=("incidence",))
        source.require_valid("incidence")
        angle = align_to(source, fine)
    return GuidedSource(dem, scale, dates, azimuth=azimuth, incidence=angle, linear=unit == "linear")


def _numbered(path: str) -> tuple[str, int | None]:
    """`file.tif#4` is its fourth band; else descriptions tell, or the file has but one."""
    file, mark, number = path.rpartition("#")
    return (file, int(number)) if mark and number.isdigit() else (path, None)


def _check_unit(source: Source, name: str, unit: str) -> None:
    """Backscatter in dB is mostly below 0 and never below the noise by tens; linear power is never below 0."""
    side = 512
    rows = slice(max(0, source.shape[0] // 2 - side // 2), min(source.shape[0], source.shape[0] // 2 + side // 2))
    cols = slice(max(0, source.shape[1] // 2 - side // 2), min(source.shape[1], source.shape[1] // 2 + side // 2))
    values, valid = source.read(name, rows, cols)
    if not valid.any():
        values, valid = source.read(name, slice(0, source.shape[0]), slice(0, source.shape[1]))
    low, middle, high = np.quantile(values[valid], (0.01, 0.5, 0.99)).tolist()
    found = f"{source.paths[0]}: band {name} holds values from {low:.4g} to {high:.4g} (1st to 99th percentile)"
    if unit == "linear" and low < 0:
        raise BandError(f"{found}; linear power is never below 0. If these are dB, leave --guide-unit out")
    if unit == "dB" and (low >= 0 and middle < 2):
        raise BandError(
            f"{found}; backscatter in dB lies mostly below 0. If this is linear power, say --guide-unit linear"
        )
    if unit == "dB" and (low < _LOWEST_DB or high > _HIGHEST_DB):
        raise BandError(
            f"{found}; expected {_LOWEST_DB:g} to {_HIGHEST_DB:g} dB. Divide scaled integers by their factor first, or "
            "set the band's scale and nodata"
        )
