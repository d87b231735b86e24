"""Samples for heights from images: each image beside the heights under it, held out by geography, and the recipe."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrafine.atomic import write_whole
from terrafine.datasets.terrain.held_out import advice
from terrafine.errors import DataError, DatumError, UsageError
from terrafine.raster.protocol import RasterSource
from terrafine.raster.read.aligned import align_to
from terrafine.raster.read.images.reflectance import COLOURS, open_image
from terrafine.raster.read.opened import open_raster
from terrafine.raster.read.source import open_source
from terrafine.raster.write.cog_writer import write_cog

__all__ = ["HeightSamples", "build_height"]

PathLike = str | os.PathLike[str]
F32 = NDArray[np.float32]
_ROWS = 512
_LARGEST, _SMALLEST = 160, 32  # cells along a training patch; the network halves it five times, so whole multiples
_GAP = 64  # rows between training and held-out ground
_RECIPE = """\
# Heights from images of one region: the shipped network `relief`, trained further on the pairs of this folder.
# Made by `terrafine dataset height`. Train with it: {folder} is also the folder of the data.
system = "sat2dem"
name = "{name}"
version = "1.0"
seed = 1
validate_every = 100
checkpoint_every = 50
validation_tiles = 48
start = "relief"

[network]
outputs = 2
width = 16
depth = 5
norm = "none"
up = "smooth"
head = "linear"
sees = "detail"
normalisation = "relief"
tile = 160
dropout = 0.0

[loss]
rms = 1
band = 1
sigma = 0.1

[data]
sensor = "reflectance"
gap = {gap}
licence = {licence}
[data.pairs]
{pairs}
[data.held_out]
{held_out}

[patches]
size = {size}
batch = 4
least = 0.6
mirror = "sun"

[optim]
steps = {steps}
rate = 1e-3
beta1 = 0.9
beta2 = 0.99
weight_decay = 1e-2
warmup = 50
decay = "cosine"
clip = 1.0
ema = 0.98
"""


@dataclass(frozen=True, slots=True)
class HeightSamples:
    """What `build_height` wrote.

    Attributes
    ----------
    folder, recipe
        The data folder, and the recipe in it.
    pairs
        Number of pairs of image and heights.
    cells, held_out
        Cells with both, and how many of them lie in rows that are held out.
    """

    folder: Path
    recipe: Path
    pairs: int
    cells: int
    held_out: int


def build_height(
    images: Sequence[PathLike],
    heights: Sequence[PathLike],
    out: Path,
    *,
    hold_out: float = 0.25,
    sensor: str | None = None,
    steps: int = 1000,
    name: str | None = None,
) -> HeightSamples:
    """Write each image as reflectance beside the heights under it, and a recipe that holds out the south of each.

    Parameters
    ----------
    images
        Optical images with red, green and blue, such as composites of `fetch`.
    heights
        A DEM for all of them, or one for each.
    out
        A new folder; it is the data folder of the training.
    hold_out
        Share of the rows of each image, from its southern edge, that scores the training and is not trained on.
    sensor
        Sensor of the images; detected where None.
    steps
        Training steps of the recipe.
    name
        Name of the weights; by default that of the folder.

    Returns
    -------
    HeightSamples
        Folder, recipe, and the cells that it trains and scores on.

    Raises
    ------
    UsageError, DataError, DatumError
        For lists that do not pair, a folder that exists, too little common ground, or DEMs of different datums.
    SourceError, BandError, GridError
        For files that cannot be read.
    """
    dems = list(heights) * len(images) if len(heights) == 1 else list(heights)
    if not images or len(dems) != len(images):
        raise UsageError(
            f"{len(images)} images and {len(heights)} DEMs; expected one DEM for all images, or one for each"
        )
    if not 0.05 <= hold_out <= 0.5:
        raise UsageError(f"hold_out={hold_out:g}; expected a share of the rows from 0.05 to 0.5")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and is not empty; expected the name of a new folder")
    plans = [_look(image, dem, sensor, hold_out) for image, dem in zip(images, dems, strict=True)]
    if len({str(p[1]) for p in plans}) > 1:
        raise DatumError(f"the DEMs have different vertical datums: {', '.join(sorted({str(p[1]) for p in plans}))}")
    out.mkdir(parents=True, exist_ok=True)
    cells = held = 0
    for i, (image, dem) in enumerate(zip(images, dems, strict=True)):
        known, south = _write(out, i, image, dem, sensor, hold_out)
        cells, held = cells + known, held + south
    numbers = range(len(images))
    text = _RECIPE.format(
        folder=out,
        name=name or out.name,
        licence=json.dumps("; ".join(dict.fromkeys(p[0] for p in plans))),
        pairs="\n".join(f'"image_{i:03d}.tif" = "heights_{i:03d}.tif"' for i in numbers),
        held_out="\n".join(f'"image_{i:03d}" = [{1 - hold_out:g}, 1.0]' for i in numbers),
        size=min(p[2] for p in plans),
        gap=_GAP,
        steps=steps,
    )
    write_whole(out / "recipe.toml", text.encode())
    return HeightSamples(out, out / "recipe.toml", len(images), cells, held)


def _look(image: PathLike, dem: PathLike, sensor: str | None, hold_out: float) -> tuple[str, object, int]:
    """Licence, datum and side of a patch, for a pair that has enough common ground; raises DataError."""
    with open_image(image, sensor=sensor) as picture, align_to(open_source(dem), picture.geobox) as under:
        picture.require_valid()
        rows, cols = picture.shape
        if min(rows, cols) < 96:
            raise DataError(
                f"{image}: {cols} × {rows} cells; expected at least 96 along each side for training patches"
            )
        first = round((1 - hold_out) * rows)
        patch = min(_LARGEST, cols, rows - first, first - _GAP) // _SMALLEST * _SMALLEST
        if patch < _SMALLEST:
            raise DataError(
                f"{image}: of {rows} rows {rows - first} are held out, {_GAP} are the gap, and {max(0, first - _GAP)} "
                f"are trained on; expected at least {_SMALLEST} for a patch on either side. "
                f"{advice(rows, _GAP, _SMALLEST)}"
            )
        step = max(1, rows // 64)
        shared = [_both(picture, under, slice(r, r + 1), cols)[1].mean() for r in range(0, rows, step)]
        if np.mean(shared) < 0.3:
            raise DataError(
                f"{image}: {100 * np.mean(shared):.0f} % of its cells have heights of {dem}; expected 30 % or more. "
                "Fetch the DEM over the whole area of the image"
            )
        licences = [_licence(path) for path in (image, dem)]
        return "; ".join(filter(None, licences)) or "not stated", under.vertical, patch


def _licence(path: PathLike) -> str:
    """The terms of use that a file states in its tags."""
    with open_raster(os.fspath(path)) as raster:
        return str(raster.header.tags.get("LICENCE", ""))


def _both(picture: RasterSource, under: RasterSource, rows: slice, width: int) -> tuple[F32, NDArray[np.bool_]]:
    """Red, green, blue and elevation of some rows, and where all are known."""
    cols = slice(0, width)
    bands = [picture.read(colour, rows, cols) for colour in COLOURS]
    z, known = under.read("elevation", rows, cols)
    return np.stack([*(values for values, _ in bands), z]), known & bands[0][1]


def _write(
    out: Path, number: int, image: PathLike, dem: PathLike, sensor: str | None, hold_out: float
) -> tuple[int, int]:
    """Write one pair; cells that are known, and those of them that are held out."""
    with open_image(image, sensor=sensor) as picture, align_to(open_source(dem), picture.geobox) as under:
        picture.require_valid()
        height, width = picture.shape
        first = round((1 - hold_out) * height)
        counts = [0, 0]

        def rows(which: slice, count: bool) -> Iterator[F32]:
            for top in range(0, height, _ROWS):
                here = slice(top, min(top + _ROWS, height))
                values, known = _both(picture, under, here, width)
                if count:
                    counts[0] += int(known.sum())
                    counts[1] += int(known[max(0, first - top) :].sum())
                yield np.where(known, values, np.float32(np.nan))[which]

        tags = {"SOURCE": f"{Path(image).name}, {Path(dem).name}"}
        grid = picture.geobox
        write_cog(
            out / f"image_{number:03d}.tif",
            grid,
            rows(slice(0, 3), True),
            band_names=COLOURS,
            units=("1",) * 3,
            tags=tags,
        )
        write_cog(
            out / f"heights_{number:03d}.tif",
            grid,
            rows(slice(3, 4), False),
            band_names=("elevation",),
            units=("m",),
            tags=tags,
            vertical=under.vertical,
            surface=under.surface,
        )
        return counts[0], counts[1]
