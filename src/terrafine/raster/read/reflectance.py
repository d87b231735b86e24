"""Optical images as reflectance: the sensor stated or detected, else refused."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from terrafine.errors import BandError, EmptyError, GridError, SourceError, UsageError
from terrafine.raster import gdal
from terrafine.raster.protocol import SourceBase, closed_on_error
from terrafine.raster.read.sensors import BAND_NAMES, COLOURS, SENSORS, Sensor
from terrafine.raster.read.source import Source, open_source

__all__ = ["COLOURS", "SENSORS", "ImageSource", "Sensor", "open_image"]

PathLike = str | os.PathLike[str]
_HUGE = 1e30  # no number: what some writers leave for missing without declaring it
_PLAUSIBLE = (-0.1, 1.6)  # of half a per cent from either end; shadow after correction, snow under a low sun
_DARKEST = 0.45  # every scene but snow or cloud throughout has something darker
_SAMPLES, _SIDE = 4, 192
_STRIP = 1 << 20  # cells read at a time in search of a valid one
_HAZE = 0.014  # by which air alone brightens blue above red at the top of the atmosphere, in dark ground
# Darkest ground as the numbers have it: 0.1 at least where the offset is still in them, correction's errors aside.
# Below the first it is no longer there; below the second, ground would be darker than any correction makes it.
_OFFSET_GROUND, _NO_OFFSET = 0.09, 0.07
_BRIGHT, _GREY = 0.3, 0.25
_SQUARE = 0.8  # shorter side of a cell over the longer, at least


class ImageSource(SourceBase):
    """A source whose bands are reflectance, as `Source` has heights: red, green, blue and others on one north-up grid.

    Fill and undeclared ±1e30 are not valid; a cell is valid where all its bands are. `allowed` are the sensors that
    messages name.
    """

    def __init__(self, source: Source, sensor: Sensor, allowed: Sequence[str] = tuple(SENSORS)) -> None:
        self._source, self.sensor, self._allowed = source, sensor, tuple(allowed)
        self.geobox, self.shape = source.geobox, source.shape
        self._described_as(source)
        self.nodata, self.vertical, self.surface = None, None, None

    def close(self) -> None:
        """Give the file handles back."""
        self._source.close()

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Metres along y and x for each row; float64 (2, rows)."""
        return self._source.pixel_size_m(rows)

    def identity(self) -> dict[str, Any]:
        """The source's identity and how its numbers are read."""
        return {**self._source.identity(), "sensor": self.sensor.name}

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Reflectance float32 (y, x) and bool valid (y, x); 0 where not valid. Raises BandError out of range."""
        valid = np.ones((rows.stop - rows.start, cols.stop - cols.start), np.bool_)
        values = np.zeros(valid.shape, np.float32)
        for name in self.bands:
            raw, ok = self._source.read(name, rows, cols)
            valid &= ok & (np.abs(raw) < _HUGE)
            if self.sensor.fill is not None:
                valid &= raw != self.sensor.fill
            if name == band:
                values = raw * np.float32(self.sensor.factor) + np.float32(self.sensor.offset)
        values[~valid] = 0.0
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if low < -0.2 or high > 3.0:
            raise BandError(
                f"{self.paths[0]}: {band} read as {self.sensor.name} is reflectance from {low:.3g} to {high:.3g}; "
                f"expected -0.2 to 3. Say which sensor it is: {_stated(self._allowed)}"
            )
        return values, valid

    def require_valid(self) -> None:
        """At least one cell is valid, else EmptyError."""
        step = max(1, (4 << 20) // max(1, self.shape[1]))
        for top in range(0, self.shape[0], step):
            if self.read(COLOURS[0], slice(top, min(top + step, self.shape[0])), slice(0, self.shape[1]))[1].any():
                return
        raise EmptyError(f"{', '.join(self.paths[:3])}: no cell has red, green and blue; expected at least one")

    def require_cells(self, known_m: float, low_m: float, high_m: float, who: str) -> None:
        """Cells are about square and as large as `who`, made for `known_m`, can read; else GridError, with the way."""
        middle = self.shape[0] // 2
        down, across = self.pixel_size_m(slice(middle, middle + 1))[:, 0].tolist()
        if not all(low_m <= size <= high_m for size in (down, across)):
            problem = f"{who} was trained on {known_m:g} m and reads {low_m:g} to {high_m:g} m"
        elif min(down, across) < _SQUARE * max(down, across):
            problem = f"{who} expects about square ones"
        else:
            return
        raise GridError(
            f"{self.paths[0]}: cells of {down:.3g} × {across:.3g} m; {problem}. Warp the image first: gdalwarp "
            f"-r cubic -t_srs {self._metric_crs()} -tr {known_m:g} {known_m:g} in.tif out.tif"
        )

    def _metric_crs(self) -> str:
        """The image's own CRS where it measures ground metres; else the UTM zone of its centre."""
        crs = self.geobox.crs
        metric = crs is not None and crs.projected and set(crs.units) <= {"metre", "meter", "m"}
        if crs is None or (metric and crs.to_epsg() != 3857):
            return "EPSG:" + (str(crs.to_epsg()) if crs is not None and crs.to_epsg() else "xxxx")
        west, south, east, north = self.geobox.extent.to_crs("EPSG:4326").boundingbox
        zone = min(max(int((west + east) / 2 + 180) // 6 + 1, 1), 60)
        return f"EPSG:{(32600 if south + north >= 0 else 32700) + zone}"

    def require_clear(self, max_bright: float, *, warn: bool = False) -> None:
        """No more of the image than that share looks like cloud or snow, else SourceError, or a note with `warn`."""
        share = self.bright_share()
        if share > max_bright:
            found = f"{self.paths[0]}: {share:.0%} of the image is as bright and colourless as cloud or snow"
            if not warn:
                raise SourceError(
                    f"{found}, which hide ground; expected at most {max_bright:.0%}. Take a clear scene, mask clouds, "
                    "or raise max_bright=SHARE"
                )
            self.notes = (*self.notes, f"{found}; bright ground looks the same, so it was read as stated")

    def bright_share(self) -> float:
        """Share of sampled cells as bright and colourless as cloud or snow."""
        found = sample(self)
        mean = found.mean(axis=0)
        white = (found.max(axis=0) - found.min(axis=0)) < _GREY * mean
        return float(np.mean((mean > _BRIGHT) & white)) if mean.size else 0.0


def open_image(
    paths: PathLike | Sequence[PathLike],
    *,
    want: Sequence[str] = COLOURS,
    sensor: str | None = None,
    allowed: Sequence[str] = tuple(SENSORS),
    unless: str | None = None,
    bands: Mapping[str, int] | None = None,
    assume_crs: str | None = None,
    nodata: float | None = None,
) -> ImageSource:
    """Open an optical image as reflectance; several files are one mosaic.

    `want` are red, green, blue and perhaps nir. `sensor` is one of `allowed`, names of SENSORS, or None: then it is
    found from band descriptions and range, if they tell; where that is another than `unless`, it must be stated, unless
    the file states its own scale. Raises UsageError for an unknown name and bands that are not wanted or one, BandError
    where a band is missing, the picture is 8-bit, or no sensor, more than one or one that is not allowed fits,
    EmptyError without a valid cell, and what `open_source` raises.
    """
    if sensor is not None and sensor not in allowed:
        raise UsageError(f"no sensor is called {sensor!r}; known are {', '.join(allowed)}")
    if strange := sorted(set(bands or ()) - set(want)):
        raise UsageError(f"band {', '.join(strange)}: asked for are {', '.join(want)}; name no other")
    first = os.fspath(paths if isinstance(paths, (str, os.PathLike)) else paths[0])
    described = _descriptions(first)
    named = {**_numbered(described), **(bands or {})}
    source = open_source(paths, want=want, bands=named or None, check_range=False, assume_crs=assume_crs, nodata=nodata)
    with closed_on_error(source):
        return _as_image(source, first, described, sensor, allowed, unless)


def _as_image(
    source: Source, first: str, described: list[str], sensor: str | None, allowed: Sequence[str], unless: str | None
) -> ImageSource:
    if len(set(source.bands.values())) < len(source.bands):
        listed = ", ".join(f"{name}={index}" for name, index in source.bands.items())
        raise UsageError(f"{first}: {listed}; expected another band of the file for each")
    kinds = {entry["dtype"] for entry in source.describe()["bands"].values()}
    if kinds & {"uint8", "int8"}:
        raise BandError(
            f"{first}: an 8-bit picture, whose contrast somebody stretched; expected measured values: the product's "
            "own numbers, or reflectance"
        )
    chosen = SENSORS[sensor] if sensor is not None else _found(source, first, described, allowed)
    image = ImageSource(source, chosen, allowed)
    if sensor is not None and not _fits(image):
        if _possible(image):
            image.notes = (*image.notes, f"{first}: unusually bright throughout for {sensor}; it was read as stated")
            return image
        raise BandError(
            f"{first}: does not read as {sensor} ({chosen.what}): reflectance would be {_range(sample(image))}; "
            f"expected about 0 to 1. It reads as {_told(_fitting(source), allowed)}"
        )
    if sensor == "sentinel2-offset" and (darkest := _darkest(source)) < _NO_OFFSET:
        raise BandError(
            f"{first}: does not read as {sensor} ({chosen.what}): its darkest numbers are {darkest * 1e4:.0f}, which "
            'would be reflectance below 0; expected about 1,000 or more. The offset is gone: sensor="sentinel2"'
        )
    if sensor is None and unless not in (None, chosen.name) and not source.scaled:
        raise BandError(
            f"{first}: reads as {chosen.name} ({chosen.what}); expected {unless} ({SENSORS[str(unless)].what})."
            f"{_WITH_OFFSET if chosen.name == 'sentinel2-offset' else ''} If it is, say so: {_stated([chosen.name])}"
        )
    return image


def sample(image: ImageSource) -> NDArray[np.float64]:
    """Reflectance of valid cells from windows spread over the image, empty where it has none: (3, cells)."""
    height, width = image.shape
    parts = []
    tops, lefts = (np.unique(np.linspace(0, max(0, n - _SIDE), _SAMPLES).astype(int)).tolist() for n in image.shape)
    for top in tops:
        for left in lefts:
            at = slice(top, min(top + _SIDE, height)), slice(left, min(left + _SIDE, width))
            read = [_unchecked(image, name, at) for name in COLOURS]
            valid = np.logical_and.reduce([v for _, v in read])
            parts.append(np.stack([values[valid] for values, _ in read]))
    found = np.concatenate(parts, axis=1)
    return found if found.size else _first(image)


def _first(image: ImageSource) -> NDArray[np.float64]:
    """Reflectance of the uppermost valid cells, where the windows of `sample` fall beside them: (3, cells)."""
    height, width = image.shape
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        at = slice(top, min(top + step, height)), slice(0, width)
        read = [_unchecked(image, name, at) for name in COLOURS]
        valid = np.logical_and.reduce([v for _, v in read])
        if valid.any():
            return np.stack([values[valid] for values, _ in read])
    return np.zeros((len(COLOURS), 0))


def _unchecked(image: ImageSource, name: str, at: tuple[slice, slice]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    raw, ok = image._source.read(name, *at)
    ok = ok & (np.abs(raw) < _HUGE)
    if image.sensor.fill is not None:
        ok &= raw != image.sensor.fill
    return raw.astype(np.float64) * image.sensor.factor + image.sensor.offset, ok


def _darkest(source: Source) -> float:
    """Reflectance, no offset removed, of the darkest ground in whichever band has it: below 0.1 none has any left."""
    found = sample(ImageSource(source, SENSORS["sentinel2"]))
    return float(np.quantile(found, 0.005, axis=1).min()) if found.size else np.inf


def _fits(image: ImageSource) -> bool:
    """Nearly all reflectance is plausible, and not all of it in a corner of the range."""
    found = sample(image)
    if found.size == 0:
        return True  # nothing to see: `require_valid` says so
    low, middle, high = np.quantile(found, (0.005, 0.5, 0.995))
    return bool(_PLAUSIBLE[0] <= low <= _DARKEST and high <= _PLAUSIBLE[1] and middle >= 0.01 and high >= 0.03)


def _possible(image: ImageSource) -> bool:
    """Nearly all reflectance is plausible and varies, however bright its darkest is."""
    low, middle, high = np.quantile(sample(image), (0.005, 0.5, 0.995))
    return bool(low >= _PLAUSIBLE[0] and high <= 1.1 and middle >= 0.01 and high >= max(0.03, low + 0.01))


_WITH_OFFSET = (
    " Nothing in it is darker than a reflectance of 0.09 in any band, as where 1,000 is still added to the numbers; a "
    'scene without shadow, water or plants would look the same, and then it is sensor="sentinel2".'
)


def _fitting(source: Source) -> list[str]:
    """Sensors that the range admits, the impossible ones excluded by the effect of haze on blue."""
    fit = [s for s in SENSORS.values() if _fits(ImageSource(source, s))]
    names = {s.name for s in fit}
    if {"sentinel2", "sentinel2-offset"} <= names:  # without the offset, something on the ground is darker than 0.1
        names.discard("sentinel2-offset" if _darkest(source) < _OFFSET_GROUND else "sentinel2")
    if {"landsat-l1", "landsat-l2"} <= names:
        red, _, blue = np.quantile(sample(ImageSource(source, SENSORS["landsat-l1"])), 0.01, axis=1)
        names.discard("landsat-l2" if blue - red > _HAZE else "landsat-l1")
    return [s.name for s in SENSORS.values() if s.name in names]


def _found(source: Source, path: str, described: list[str], allowed: Sequence[str]) -> Sensor:
    """The one sensor that names and numbers tell, if it is allowed."""
    fit = _candidates(source, path, described)
    if len(fit) == 1 and fit[0] in allowed:
        return SENSORS[fit[0]]
    span = _range(sample(ImageSource(source, SENSORS["reflectance"])))
    raise BandError(f"{path}: values of {span}: it reads as {_told(fit, allowed)}. Say which it is: {_stated(allowed)}")


def _stated(sensors: Sequence[str]) -> str:
    """The argument that states one of the sensors."""
    return "sensor=" + " | ".join(f'"{name}"' for name in sensors)


def _candidates(source: Source, path: str, described: list[str]) -> list[str]:
    if any(d.startswith("sr_b") for d in described):
        return ["landsat-l2"]
    if sample(ImageSource(source, SENSORS["sentinel2"])).size == 0:  # which takes 0 for missing, declared or not
        raise EmptyError(f"{path}: no cell has red, green and blue; expected at least one")
    fit = _fitting(source)
    if any(d in ("b8", "b08", "b8a", "b02", "b03", "b04") for d in described):  # Landsat writes B2, not B02
        fit = [name for name in fit if name.startswith("sentinel2")]
    return fit


def _told(names: Sequence[str], allowed: Sequence[str]) -> str:
    """Sensors by name; what is not allowed is said in words, for it cannot be asked for."""
    listed = [n if n in allowed else f"{SENSORS[n].what}, which is not read here" for n in names]
    return " and as ".join(listed) or "no sensor that is known"


def _range(values: NDArray[np.float64]) -> str:
    if values.size == 0:
        return "nothing"
    low, high = np.quantile(values, (0.005, 0.995))
    return f"{low:.3g} to {high:.3g}"


def _descriptions(path: str) -> list[str]:
    """Band descriptions in lower case; empty where GDAL cannot open the file, which `open_source` then says."""
    try:
        with gdal.environment(), rasterio.open(path) as file:
            if file.count < len(COLOURS):
                raise BandError(
                    f"{path}: holds {file.count} band{'s' * (file.count > 1)}; expected red, green and blue of an "
                    "optical image"
                )
            return [(d or "").strip().lower() for d in file.descriptions]
    except (RasterioError, OSError):
        return []


def _numbered(described: list[str]) -> dict[str, int]:
    """Bands called as the products call them: B4, B04 and SR_B4 are red."""
    found = {}
    for colour, names in BAND_NAMES.items():
        at = [i + 1 for i, d in enumerate(described) if d in names]
        if len(at) == 1 and colour not in described:
            found[colour] = at[0]
    return found
