"""Open optical images as reflectance: the sensor is stated or detected, else the image is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, UsageError
from terrafine.raster.protocol import closed_on_error
from terrafine.raster.read.images.image import ImageSource, stated
from terrafine.raster.read.images.image_sample import sample
from terrafine.raster.read.images.quality import QualityBand, open_quality
from terrafine.raster.read.images.sensors import BAND_NAMES, COLOURS, SENSORS, Sensor
from terrafine.raster.read.opened import open_raster
from terrafine.raster.read.source import Source, open_source

__all__ = ["COLOURS", "SENSORS", "ImageSource", "Sensor", "open_image"]

PathLike = str | os.PathLike[str]
_PLAUSIBLE = (-0.1, 1.6)  # range of the 0.5th to 99.5th percentile: corrected shadow to snow under a low sun
_DARKEST = 0.45  # every scene that is not all snow or cloud has something darker
_HAZE = 0.014  # difference of blue and red over dark ground at the top of the atmosphere that haze alone causes
# Reflectance of the darkest ground: at least 0.1 if the offset is still in the numbers, apart from errors of the
# atmospheric correction. Below the first threshold it is not; below the second, ground would be darker than possible.
_OFFSET_GROUND, _NO_OFFSET, _SURELY_NO_OFFSET = 0.09, 0.07, 0.04
_FLAT, _BRIGHTEST = 0.01, 1.1  # range and brightest value of a scene without anything dark
_DIMMEST = 0.005  # if the brightest cells of a scene are below this, it is not reflectance


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

    Parameters
    ----------
    paths
        The file or files.
    want
        Bands to read: red, green, blue and optionally nir.
    sensor
        One of `allowed`; None detects it from band descriptions and value range.
    allowed
        Names of SENSORS that the caller can read.
    unless
        With `sensor=None`: if the detected sensor differs from this one, it must be stated, unless the file has its own
        scale, or states the unit 1, as composites of `fetch` do.
    bands
        Name to band number.
    assume_crs
        CRS that overrides the file's own.
    nodata
        Nodata value that overrides the file's own.

    Returns
    -------
    ImageSource
        The open image.

    Raises
    ------
    UsageError
        If the sensor or a band name is unknown, or two bands are the same.
    BandError
        If a band is missing, the image is 8-bit, or not exactly one allowed sensor fits the values.
    EmptyError
        If the image has no valid cell.
    SourceError, GridError
        As `open_source`.
    """
    if sensor is not None and sensor not in allowed:
        raise UsageError(f"no sensor is called {sensor!r}; known are {', '.join(allowed)}")
    if strange := sorted(set(bands or ()) - set(want)):
        raise UsageError(f"band {', '.join(strange)}: not read here; expected only {', '.join(want)}")
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    raster = open_raster(listed[0])
    with closed_on_error(raster):
        first, described, units = raster.path, raster.header.descriptions, raster.header.units
        if raster.header.count < len(COLOURS):
            raise BandError(
                f"{first}: holds {raster.header.count} band{'s' * (raster.header.count > 1)}; expected red, green and "
                "blue of an optical image"
            )
        named = {**_numbered(described), **(bands or {})}
        source = open_source(
            [raster, *listed[1:]],
            want=want,
            bands=named or None,
            check_range=False,
            assume_crs=assume_crs,
            nodata=nodata,
        )
    with closed_on_error(source):
        quality, notes = open_quality(source)
        image = _as_image(source, first, described, sensor, allowed, quality)
        plain = image.sensor.name == "reflectance" and all(units[n - 1] == "1" for n in source.bands.values())
        if sensor is None and unless not in (None, image.sensor.name) and not source.scaled and not plain:
            _refuse_unstated(first, image.sensor, str(unless))
    image.notes = (*image.notes, *notes)
    return image


def _as_image(
    source: Source,
    first: str,
    described: Sequence[str],
    sensor: str | None,
    allowed: Sequence[str],
    quality: Sequence[QualityBand],
) -> ImageSource:
    if len(set(source.bands.values())) < len(source.bands):
        listed = ", ".join(f"{name}={index}" for name, index in source.bands.items())
        raise UsageError(f"{first}: {listed}; expected another band of the file for each")
    kinds = {entry["dtype"] for entry in source.describe()["bands"].values()}
    if kinds & {"uint8", "int8"}:
        raise BandError(
            f"{first}: an 8-bit image, whose contrast was stretched for display; expected measured values: the "
            "product's own numbers, or reflectance"
        )
    chosen = SENSORS[sensor] if sensor is not None else _found(source, first, described, allowed, quality)
    image = ImageSource(source, chosen, allowed, quality, named=sensor is not None)
    if sensor is not None:
        image.notes = (*image.notes, *_check_named(image, source, first, allowed))
    return image


def _refuse_unstated(first: str, found: Sensor, unless: str) -> None:
    raise BandError(
        f"{first}: reads as {found.name} ({found.what}); expected {unless} ({SENSORS[unless].what})."
        f"{_WITH_OFFSET if found.name == 'sentinel2-offset' else ''} If it is, state {stated([found.name])}"
    )


def _check_named(image: ImageSource, source: Source, first: str, allowed: Sequence[str]) -> list[str]:
    """Return notes if the scene is unusual for the stated sensor; raise BandError if it cannot be that sensor."""
    chosen, found, notes = image.sensor, sample(image), []
    if not _fits(image):
        low, middle, high = np.quantile(found, (0.005, 0.5, 0.995))
        # A scene of sand, salt or snow is bright throughout, but neither constant nor brighter than any of them.
        too_bright = low > _DARKEST and (high - low < _FLAT or high > _BRIGHTEST)
        if too_bright or low < _PLAUSIBLE[0] or middle < 0 or not _DIMMEST <= high <= _PLAUSIBLE[1]:
            raise BandError(
                f"{first}: does not read as {chosen.name} ({chosen.what}): reflectance would be {_range(found)}; "
                f"expected about 0 to 1. {_instead(_fitting(source), allowed)}"
            )
        what = "bright" if low > _DARKEST else "dark"
        notes.append(f"{first}: unusually {what} throughout for {chosen.name}; it was read as stated")
    if chosen.name == "sentinel2-offset" and (darkest := _darkest(source)) < _NO_OFFSET:
        below = f"{first}: its darkest numbers are {darkest * 1e4:.0f}, read as {chosen.name} reflectance below 0"
        if darkest < _SURELY_NO_OFFSET:
            raise BandError(
                f"{below}, so it does not read as {chosen.name} ({chosen.what}); expected about 1,000 or more. "
                'The offset is gone: sensor="sentinel2"'
            )
        notes.append(f"{below}; it was read as stated")
    return notes


def _darkest(source: Source) -> float:
    """Return the reflectance of the darkest ground in any band, no offset removed; below 0.1 there is no offset."""
    found = sample(ImageSource(source, SENSORS["sentinel2"]))
    return float(np.quantile(found, 0.005, axis=1).min()) if found.size else np.inf


def _fits(image: ImageSource) -> bool:
    """Return whether nearly all reflectance is plausible, and not all of it near one end of the range."""
    found = sample(image)
    if found.size == 0:
        return True  # nothing is valid, which `require_valid` reports
    low, middle, high = np.quantile(found, (0.005, 0.5, 0.995))
    return bool(_PLAUSIBLE[0] <= low <= _DARKEST and high <= _PLAUSIBLE[1] and middle >= 0.01 and high >= 0.03)


_CONVERT = (
    "Write the scale and offset by which its numbers become reflectance into the file (`gdal_edit -scale S -offset O "
    "FILE`)"
)
_WITH_OFFSET = (
    " Nothing in it is darker than a reflectance of 0.09 in any band, as if 1,000 were still added to the numbers. A "
    'scene without shadow, water or plants looks the same; for such a scene state sensor="sentinel2".'
)


def _fitting(source: Source) -> list[str]:
    """Return the sensors that fit the range; the effect of haze on blue separates Landsat levels."""
    fit = [s for s in SENSORS.values() if s.detected and _fits(ImageSource(source, s))]
    names = {s.name for s in fit}
    if {"sentinel2", "sentinel2-offset"} <= names:  # without the offset, something on the ground is darker than 0.1
        names.discard("sentinel2-offset" if _darkest(source) < _OFFSET_GROUND else "sentinel2")
    if {"landsat-l1", "landsat-l2"} <= names:
        red, _, blue = np.quantile(sample(ImageSource(source, SENSORS["landsat-l1"])), 0.01, axis=1)
        names.discard("landsat-l2" if blue - red > _HAZE else "landsat-l1")
    return [s.name for s in SENSORS.values() if s.name in names]


def _found(
    source: Source, path: str, described: Sequence[str], allowed: Sequence[str], quality: Sequence[QualityBand]
) -> Sensor:
    """Return the one sensor that band names and values identify, if it is allowed."""
    fit = _candidates(source, described, quality)
    if len(fit) == 1 and fit[0] in allowed:
        return SENSORS[fit[0]]
    span = _range(sample(ImageSource(source, SENSORS["reflectance"])))
    ask = f"State which it is: {stated(allowed)}"
    if fit and not set(fit) & set(allowed):
        ask = f"If it is of another sensor, state which: {stated(allowed)}"
    elif not fit:
        ask = f"{ask}. {_CONVERT} if it is of another sensor, and state {stated(['reflectance'])}"
    raise BandError(f"{path}: values of {span}: it reads as {_told(fit, allowed)}. {ask}")


def _candidates(source: Source, described: Sequence[str], quality: Sequence[QualityBand]) -> list[str]:
    if any(d.startswith("sr_b") for d in described):
        return ["landsat-l2"]
    whole = ImageSource(source, SENSORS["sentinel2"], quality=quality)  # reads 0 as nodata, declared or not
    if sample(whole).size == 0:
        whole.require_valid()
    fit = _fitting(source)
    if any(_key(d) in ("b8", "b08", "b8a", "b02", "b03", "b04") for d in described):  # Landsat writes B2, not B02
        fit = [name for name in fit if name.startswith("sentinel2")]
    return fit


def _instead(fit: Sequence[str], allowed: Sequence[str]) -> str:
    """Return what to do about an image that is not of the stated sensor."""
    others = [name for name in fit if name in allowed]
    if others:
        return f"It reads as {_told(fit, allowed)}. State {stated(others)}"
    advice = (
        "Take an image of a sensor that is read here" if fit else f"{_CONVERT}, and state {stated(['reflectance'])}"
    )
    return f"It reads as {_told(fit, allowed)}. {advice}"


def _told(names: Sequence[str], allowed: Sequence[str]) -> str:
    """Return the names of sensors for a message; those that are not allowed are described, not named."""
    listed = [n if n in allowed else f"{SENSORS[n].what}, which is not read here" for n in names]
    return " and as ".join(listed) or "no sensor that is known"


def _range(values: NDArray[np.float64]) -> str:
    if values.size == 0:
        return "nothing"
    low, high = np.quantile(values, (0.005, 0.995))
    return f"{low:.3g} to {high:.3g}"


def _numbered(described: Sequence[str]) -> dict[str, int]:
    """Return band numbers by the names that products use: B4, B04 and SR_B4 are red."""
    found = {}
    for colour, names in BAND_NAMES.items():
        known = {_key(name) for name in (colour, *names)}
        at = [i + 1 for i, d in enumerate(described) if _key(d) in known]
        if len(at) == 1 and colour not in described:
            found[colour] = at[0]
    return found


def _key(described: str) -> str:
    """Return the name at the beginning of a description, without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", re.split(r"[,(]", described)[0])
