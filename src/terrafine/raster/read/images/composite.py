"""Several scenes of one ground on one grid, as one image: the median of what was measured in each cell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import EmptyError, GridError
from terrafine.raster.read.aligned import align_to
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.write.class_style import REFLECTANCE
from terrafine.raster.write.cog_writer import open_cog

__all__ = ["Composite", "composite_scenes"]

F32 = NDArray[np.float32]
_VALUES = 24_000_000  # of all scenes and bands held at a time: about 100 MB
_LOWEST, _HIGHEST = -0.2, 3.0


@dataclass(frozen=True, slots=True)
class Composite:
    """What a composite was made of.

    Attributes
    ----------
    scenes
        Files that lie in the grid.
    clear
        Share of the cells that at least one scene measured.
    sensors
        How the numbers of each scene were read.
    notes
        What the scenes stated that a user should read.
    """

    scenes: tuple[str, ...]
    clear: float
    sensors: tuple[str, ...]
    notes: tuple[str, ...]


def composite_scenes(
    paths: Sequence[str | os.PathLike[str]],
    geobox: GeoBox,
    target: Path,
    bands: Sequence[str],
    *,
    method: str = "median",
    sensor: str | None = None,
    nodata: float | None = None,
    assume_crs: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Composite:
    """Write the composite of scenes on a grid: reflectance × 10,000 with that scale stated, int16.

    Each scene is resampled to the grid by the rule of its band, and its unmeasured cells have no weight. With an even
    number of measurements the median is the mean of the middle two.

    Parameters
    ----------
    paths
        The scenes; those that do not overlap the grid are left out.
    geobox
        The grid.
    target
        The GeoTIFF to write.
    bands
        Bands to write: red, green, blue and further ones.
    method
        `median`, or `first`: the first scene in order of `paths` that measured a cell.
    sensor, nodata, assume_crs
        As in `open_image`, for every scene.
    tags
        Tags of the file.

    Returns
    -------
    Composite
        What it was made of.

    Raises
    ------
    EmptyError
        If no scene measured a cell of the grid; nothing is written then.
    UsageError, SourceError, BandError, GridError
        As `open_image`.
    """
    with contextlib.ExitStack() as opened:
        layers: list[Any] = []
        used: list[str] = []
        sensors: list[str] = []
        notes: list[str] = []
        for path in paths:
            image = open_image(path, want=tuple(bands), sensor=sensor, assume_crs=assume_crs, nodata=nodata)
            opened.callback(image.close)
            try:
                layers.append(align_to(image, geobox))
            except GridError as error:
                if "overlap" in str(error):
                    continue
                raise
            used.append(os.fspath(path))
            sensors.append(image.sensor.name)
            notes += image.notes
        height, width = (int(n) for n in geobox.shape)
        step = max(1, min(height, _VALUES // max(1, width * max(1, len(layers)) * len(bands))))
        blocks = [slice(top, min(top + step, height)) for top in range(0, height, step)]
        clear = sum(int(_clear(layers, bands[0], rows, width).sum()) for rows in blocks)
        if clear == 0:
            raise EmptyError(
                f"none of {len(paths)} scenes measured a cell of the tile; expected at least one that is not nodata "
                "there"
            )
        units = ("1",) * len(bands)
        with open_cog(
            target, geobox, band_names=tuple(bands), units=units, encoding=REFLECTANCE, tags=tags, overviews=False
        ) as file:
            for rows in blocks:
                file.push(_merged(layers, bands, rows, width, method))
    return Composite(tuple(used), clear / (height * width), tuple(sensors), tuple(dict.fromkeys(notes)))


def _clear(layers: Sequence[Any], band: str, rows: slice, width: int) -> NDArray[np.bool_]:
    found = np.zeros((rows.stop - rows.start, width), bool)
    for layer in layers:
        found |= layer.read(band, rows, slice(0, width))[1]
    return found


def _merged(layers: Sequence[Any], bands: Sequence[str], rows: slice, width: int, method: str) -> F32:
    """A block (band, y, x) of the composite, NaN where no scene measured all bands."""
    stack = np.full((len(layers), len(bands), rows.stop - rows.start, width), np.nan, np.float32)
    for into, layer in zip(stack, layers, strict=True):
        seen = np.ones(into.shape[1:], bool)
        for plane, band in zip(into, bands, strict=True):
            values, valid = layer.read(band, rows, slice(0, width))
            plane[:] = values
            seen &= valid
        into[:, ~seen] = np.nan
    if method == "first":
        out = stack[0]
        for later in stack[1:]:
            out = np.where(np.isnan(out), later, out)
    else:
        out = _median(stack)
    return np.asarray(np.clip(out, _LOWEST, _HIGHEST), np.float32)


def _median(stack: F32) -> F32:
    """The median over the first axis, NaN left out; NaN where all are."""
    if len(stack) == 1:
        return np.asarray(stack[0])
    ordered = np.sort(stack, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0)
    low = np.maximum((count - 1) // 2, 0)[None]
    high = np.minimum(np.maximum(count // 2, 0), len(stack) - 1)[None]
    two = np.take_along_axis(ordered, low, 0)[0] + np.take_along_axis(ordered, high, 0)[0]
    return np.asarray(np.where(count > 0, two / np.float32(2), np.float32(np.nan)))
