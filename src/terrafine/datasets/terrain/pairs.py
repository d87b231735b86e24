"""Samples for the super-resolution of one product: a fine reference, the measured product, and the recipe."""

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
from terrafine.errors import DataError, UsageError
from terrafine.raster.products import Product, product_text
from terrafine.raster.read.source import open_source
from terrafine.raster.write.cog_writer import write_cog

__all__ = ["PairSamples", "build_pairs", "require_usable"]

PathLike = str | os.PathLike[str]
F32 = NDArray[np.float32]
_ROWS = 512
_SCALE, _GAP = 4, 64  # fine cells along a coarse one; rows between training and held-out ground
_LARGEST, _SMALLEST, _BORDER = 40, 12, 16  # coarse cells along a patch, and of its border
_SLOPE, _STEEP = 0.15, 0.3  # tangents at which the noise of a recipe is stated
_SPREAD = 0.25  # least half-width of a range, as a share of its middle: ground differs from the one measured
_RECIPE = """\
# Super-resolution of one product: the shipped `ridgeline2`, trained further on the references of this folder with the
# measured sensor model of the product: the coarse side is simulated from the reference by that model.
# Made by `terrafine dataset pairs`. Train with it: {folder} is also the folder of the data.
system = "ridgeline2"
name = "{name}"
version = "1.0"
scale = {scale}
scales = [4, 3, 2]
seed = 1
validate_every = 100
checkpoint_every = 100
validation_patches = 64
start = "ridgeline2"

[network]
channels = 48
blocks = 8
scales = [2, 3, 4]

[data]
gap = {gap}
licence = {licence}
[data.files]
{files}
[data.held_out]
{held_out}

[patches]
size = {size}
batch = 8

[products]
exact = 0.1
psf_cells = [{psf[0]:.4g}, {psf[1]:.4g}]
sharp = 0.0
noise_share = [{noise[0]:.4g}, {noise[1]:.4g}]
clean = 0.05
correlation_cells = [{correlation[0]:.4g}, {correlation[1]:.4g}]
noise_growth = [{growth[0]:.4g}, {growth[1]:.4g}]
rounding_m = {{ "{rounding}" = 1.0 }}

[optim]
steps = {steps}
method = "muon"
rate = 5e-4
warmup = 50
weight_decay = 1e-3
clip = 1.0
ema = 0.99

[loss]
rmse = 0.7
mae = 0.3
slope = 0.5
sigma = 0.1
edge = 4
"""


@dataclass(frozen=True, slots=True)
class PairSamples:
    """What `build_pairs` wrote.

    Attributes
    ----------
    folder, recipe, product
        The data folder, the recipe and the product file in it.
    references
        Number of reference DEMs.
    """

    folder: Path
    recipe: Path
    product: Path
    references: int


def require_usable(references: Sequence[PathLike], out: Path, hold_out: float) -> None:
    """Refuse arguments that cannot serve, before a file is read.

    Parameters
    ----------
    references
        Fine DEMs.
    out
        A new folder.
    hold_out
        Share of the rows of each reference that scores the training.

    Raises
    ------
    UsageError
        If no reference is given, the share is out of its range, or the folder is not empty.
    """
    if not references:
        raise UsageError("no reference is given; expected at least one fine DEM")
    if not 0.05 <= hold_out <= 0.5:
        raise UsageError(f"hold_out={hold_out:g}; expected a share of the rows from 0.05 to 0.5")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and is not empty; expected the name of a new folder")


def build_pairs(
    product: Product,
    cell_m: float,
    references: Sequence[PathLike],
    out: Path,
    *,
    hold_out: float = 0.25,
    steps: int = 1000,
    name: str | None = None,
) -> PairSamples:
    """Write the references, the product file and a recipe that holds out the south of each reference.

    Parameters
    ----------
    product
        The measured product.
    cell_m
        Its cell size in metres.
    references
        Fine DEMs.
    out
        A new folder.
    hold_out
        Share of the rows of each reference that scores the training.
    steps, name
        Training steps, and name of the weights.

    Returns
    -------
    PairSamples
        Folder, recipe and product file.

    Raises
    ------
    UsageError, DataError
        For a folder that exists, or a reference that is too small.
    SourceError, BandError, GridError
        For files that cannot be read.
    """
    require_usable(references, out, hold_out)
    patches, licences = [], []
    for path in references:
        with open_source(path) as source:
            source.require_valid("elevation")
            rows, cols = source.shape
            licences.append(str(source.describe()["tags"].get("LICENCE", "not stated")))
        if min(rows, cols) < 160:
            raise DataError(f"{path}: {min(rows, cols)} cells along its shorter side; expected at least 160")
        patches.append(_patch(path, rows, cols, hold_out))
    out.mkdir(parents=True, exist_ok=True)
    for i, path in enumerate(references):
        _copy(path, out / f"reference_{i:03d}.tif")
    write_whole(out / "product.toml", product_text(product, "Made by `terrafine dataset pairs`.").encode())
    numbers = range(len(references))
    sensor, steep = product.sensor, product.sensor.noise_flat_m
    share = sensor.noise_m(_SLOPE) / cell_m
    growth = _STEEP * sensor.noise_slope_m / max(steep, 0.05)
    text = _RECIPE.format(
        folder=out,
        name=name or out.name,
        scale=_SCALE,
        steps=steps,
        licence=json.dumps("; ".join(dict.fromkeys(licences))),
        files="\n".join(f'"reference_{i:03d}.tif" = 1.0' for i in numbers),
        held_out="\n".join(f'"reference_{i:03d}" = [{1 - hold_out:g}, 1.0]' for i in numbers),
        size=min(patches),
        gap=_GAP,
        psf=_around(sensor.psf_cells, 0.0, 2.0),
        noise=_around(share, 1e-4, 1.0),
        correlation=_around(sensor.correlation_cells, 0.0, 2.0),
        growth=_around(growth, 0.0, 10.0),
        rounding=f"{sensor.rounding_m:g}",
    )
    write_whole(out / "recipe.toml", text.encode())
    return PairSamples(out, out / "recipe.toml", out / "product.toml", len(references))


def _patch(path: PathLike, rows: int, cols: int, hold_out: float) -> int:
    """Coarse cells along a patch that fits, with its border, into the rows that are held out and those that are not."""
    first = round((1 - hold_out) * rows)
    held, trained = rows - first, max(0, first - _GAP)
    size = min(_LARGEST, min(cols, held, trained) // _SCALE - _BORDER)
    if size < _SMALLEST:
        least = _SCALE * (_SMALLEST + _BORDER)
        wide = advice(rows, _GAP, least) if cols >= least else f"Take a larger area, {least} or more columns wide"
        raise DataError(
            f"{path}: of {rows} rows {held} are held out, {_GAP} are the gap, and {trained} are trained on; expected "
            f"at least {least} for a patch on either side, and as many of the {cols} columns. {wide}"
        )
    return size


def _around(value: float, low: float, high: float) -> tuple[float, float]:
    """A range around a measured value, inside the bounds."""
    return min(max(low, value * (1 - _SPREAD)), high), min(max(low, value * (1 + _SPREAD)), high)


def _copy(path: PathLike, target: Path) -> None:
    """Write the heights of a DEM in metres as a verified GeoTIFF."""
    with open_source(path) as source:
        height, width = source.shape

        def rows() -> Iterator[F32]:
            for top in range(0, height, _ROWS):
                values, known = source.read("elevation", slice(top, min(top + _ROWS, height)), slice(0, width))
                yield np.where(known, values, np.float32(np.nan))[None]

        write_cog(
            target,
            source.geobox,
            rows(),
            band_names=("elevation",),
            units=("m",),
            tags={"SOURCE": Path(path).name},
            vertical=source.vertical,
            surface=source.surface,
        )
