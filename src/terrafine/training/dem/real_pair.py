"""A real pair in training: patches of one sensor over a finer reference of the same ground, and the sensor's errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from terrafine.errors import DataError, RecipeError, UsageError
from terrafine.nn.system import GROWTH_SLOPE, REFERENCE_SLOPE
from terrafine.raster.products.model import Product, SensorModel
from terrafine.raster.warp.resample import block_mean, fill_voids
from terrafine.schema.types import Count, DataPath, Interval, Name, Share, Within
from terrafine.training.dem.real_error import RealError, growth_on

__all__ = ["PairCells", "PairPatch", "RealPair", "load_pair", "pair_cells"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_TRIES = 200
_FEWEST = 0.9  # share of the cells of a patch that both files have
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class RealPair:
    """Table `[pair]` of a recipe: a coarse file of a real sensor and a finer reference of the same ground.

    Patches of the pair replace simulated ones at its scale. The errors of the sensor, coarse cells minus the blurred
    and averaged reference, replace simulated noise at every scale. A band of rows is held out of both.

    Attributes
    ----------
    coarse, reference
        Files under the data folder.
    product
        Product of the coarse file, whose sensor model is stated to the network.
    held_out
        Fractions [from, to) of the rows of the coarse file.
    gap
        Coarse cells between the held-out band and the rest.
    shift_m
        Metres to the east and to the north by which the coarse file is moved, as `terrafine measure` reports them.
    blur_m
        Standard deviation of the sensor's point spread beyond its cell, metres.
    scale
        Fine cells along a coarse one to which the reference is resampled.
    patches
        Probability that a patch of that scale is one of the pair.
    errors
        Probability that a patch of a product with noise has the errors of the sensor in its place.
    by_slope
        Probability that these errors follow the slope of the terrain that they are added to.
    level, stated
        Largest logarithm of the factor of the errors, and standard deviation of that of the level that is stated.
    validation_patches
        Patches of the held-out band that are scored with those of the held-out terrain.
    """

    coarse: DataPath
    reference: DataPath
    product: Name
    held_out: Annotated[tuple[float, float], Interval(0, 1, strict=True)]
    gap: Annotated[int, Within(0, 10_000)] = 24
    shift_m: tuple[Annotated[float, Within(-1e4, 1e4)], Annotated[float, Within(-1e4, 1e4)]] = (0.0, 0.0)
    blur_m: Annotated[float, Within(0, 1e4)] = 0.0
    scale: Annotated[int, Within(2, 64)] = 2
    patches: Share = 0.35
    errors: Share = 0.5
    by_slope: Share = 0.5
    level: Annotated[float, Within(0, 3)] = 0.7
    stated: Annotated[float, Within(0, 3)] = 0.3
    validation_patches: Count = 24


@dataclass(frozen=True, slots=True)
class PairPatch:
    """A patch of both files.

    Attributes
    ----------
    coarse, fine
        Heights in metres, (y, x) and (k·y, k·x).
    valid
        Cells that both files have, (y, x).
    sensor
        Sensor model of the product on these cells.
    pixel_size_m
        Metres along y and x of a coarse cell.
    """

    coarse: F64
    fine: F64
    valid: NDArray[np.bool_]
    sensor: SensorModel
    pixel_size_m: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PairCells:
    """Both files of a pair on the coarse grid, in memory.

    Attributes
    ----------
    table, product
        Settings of the pair, and the product of its coarse file.
    coarse, valid
        Coarse heights in metres with gaps filled, and the cells that both files have, (y, x).
    fine
        Reference in metres on k × k parts of the cells, (k·y, k·x).
    error
        Coarse minus blurred and averaged reference, metres, (y, x).
    slope
        Tangent of the slope of the averaged reference, (y, x).
    pixel_size_m
        Metres along y and x by row, (2, y).
    zones
        Rows [from, to) that may be drawn from.
    """

    table: RealPair
    product: Product
    coarse: F32
    valid: NDArray[np.bool_]
    fine: F32
    error: F32
    slope: F32
    pixel_size_m: F64
    zones: tuple[tuple[int, int], ...]

    def split(self) -> tuple[PairCells, PairCells]:
        """Return the pair without the held-out band and its margin, and the band alone.

        Raises
        ------
        DataError
            Where nothing is left to train on.
        """
        rows, gap = len(self.coarse), self.table.gap
        a, b = (round(f * rows) for f in self.table.held_out)
        rest = tuple(z for z in ((0, a - gap), (b + gap, rows)) if z[1] > z[0])
        if not rest:
            raise DataError(f"{self.table.coarse}: all rows are held out; expected some to train on")
        return self._only(rest), self._only(((a, b),))

    def whole(self) -> PairCells:
        """Return the same cells, from which every patch is drawn."""
        return replace(self, table=replace(self.table, patches=1.0, stated=0.0))

    def _only(self, zones: tuple[tuple[int, int], ...]) -> PairCells:
        return replace(self, zones=zones)

    def draw_patch(self, size: int, rng: np.random.Generator) -> PairPatch:
        """Draw a patch of both files, without the median of their difference.

        Parameters
        ----------
        size
            Coarse cells along it.
        rng
            Source of the draw.

        Returns
        -------
        PairPatch
            The patch.

        Raises
        ------
        DataError
            Where no window has enough cells of both files.
        """
        y, x = self._window(size, rng)
        k, at = self.table.scale, np.s_[y : y + size, x : x + size]
        fine = self.fine[k * y : k * (y + size), k * x : k * (x + size)].astype(np.float64)
        off = float(np.median(self.error[at][self.valid[at]]))
        cell = self._cell(y + size // 2)
        return PairPatch(self.coarse[at].astype(np.float64) - off, fine, self.valid[at], self._sensor(cell), cell)

    def draw_error(self, size: int, rng: np.random.Generator) -> RealError:
        """Draw a patch of errors, turned, mirrored and rescaled.

        Parameters
        ----------
        size
            Cells along it.
        rng
            Source of the draw.

        Returns
        -------
        RealError
            The errors.

        Raises
        ------
        DataError
            As in `draw_patch`.
        """
        y, x = self._window(size, rng)
        turn, by_slope = int(rng.integers(8)), bool(rng.random() < self.table.by_slope)
        factor = math.exp(rng.uniform(-self.table.level, self.table.level))
        stated = math.exp(self.table.stated * float(rng.normal()))
        at, cell = np.s_[y : y + size, x : x + size], self._cell(y + size // 2)
        side, sensor = math.sqrt(cell[0] * cell[1]), self._sensor(cell)
        growth = GROWTH_SLOPE * sensor.noise_slope_m / sensor.noise_flat_m
        found = np.where(self.valid[at], self.error[at] - np.median(self.error[at][self.valid[at]]), 0.0)
        if by_slope:
            found = found / growth_on(self.slope[at].astype(np.float64), growth)
        found = np.rot90(found.T if turn & 4 else found, turn & 3)
        return RealError(
            np.ascontiguousarray(found * (factor / side)),
            by_slope,
            factor * stated * sensor.noise_m(REFERENCE_SLOPE) / side,
            sensor.correlation_cells,
            growth,
        )

    def _cell(self, row: int) -> tuple[float, float]:
        return float(self.pixel_size_m[0, row]), float(self.pixel_size_m[1, row])

    def _sensor(self, cell: tuple[float, float]) -> SensorModel:
        return self.product.on_cells(cell).sensor

    def _window(self, size: int, rng: np.random.Generator) -> tuple[int, int]:
        """Corner of a window inside one zone with enough cells of both files."""
        width = self.coarse.shape[1]
        room = [max(0, b - a - size + 1) for a, b in self.zones]
        for _ in range(_TRIES):
            u, v = rng.random(2)
            if not sum(room) or width < size:
                break
            i = int(np.searchsorted(np.cumsum(room), u * sum(room), side="right"))
            y = self.zones[i][0] + int(u * sum(room) - sum(room[:i]))
            x = int(v * (width - size + 1))
            if self.valid[y : y + size, x : x + size].mean() >= _FEWEST:
                return y, x
        raise DataError(
            f"{self.table.coarse} and {self.table.reference}: no window of {size} × {size} cells is valid in both by "
            f"{100 * _FEWEST:.0f} % in {_TRIES} draws; expected more common ground in rows {list(self.zones)}"
        )


def load_pair(root: Path, table: RealPair) -> PairCells:
    """Read both files and resample the reference once to parts of the coarse cells.

    Parameters
    ----------
    root
        Data folder.
    table
        Settings of the pair.

    Returns
    -------
    PairCells
        The pair, all rows.

    Raises
    ------
    RecipeError
        For a product that is not known, or has no noise.
    SourceError, BandError, GridError
        For files that cannot be read or do not overlap.
    """
    from terrafine.raster.grid import subdivided
    from terrafine.raster.read.aligned import align_to
    from terrafine.raster.read.source import open_source  # GDAL, which a packed pair does without

    k, product = table.scale, _product(table)
    with open_source(root / table.coarse) as source:
        height, width = source.shape
        coarse, known = source.read("elevation", slice(0, height), slice(0, width))
        pixel = source.pixel_size_m(slice(0, height))
        dy, dx = pixel[:, height // 2]
        east, north = table.shift_m
        moved = subdivided(source.geobox.translate_pix(east / dx, -north / dy), k)
    fine = np.empty((k * height, k * width), np.float32)
    there = np.empty(fine.shape, bool)
    with align_to(open_source(root / table.reference), moved) as reference:
        for y in range(0, k * height, _CHUNK):
            rows = slice(y, min(y + _CHUNK, k * height))
            fine[rows], there[rows] = reference.read("elevation", rows, slice(0, k * width))
    valid = known & there.reshape(height, k, width, k).all(axis=(1, 3))
    return pair_cells(table, product, fill_voids(coarse, known), fill_voids(fine, there), valid, pixel)


def pair_cells(
    table: RealPair, product: Product, coarse: F32, fine: F32, valid: NDArray[np.bool_], pixel: F64
) -> PairCells:
    """Compute the errors of the sensor and the slope of the ground from both files on one grid.

    Parameters
    ----------
    table, product
        Settings of the pair, and the product of its coarse file.
    coarse, fine
        Heights in metres with gaps filled, (y, x) and (k·y, k·x).
    valid
        Cells that both files have, (y, x).
    pixel
        Metres along y and x by row, (2, y).

    Returns
    -------
    PairCells
        The pair, all rows.
    """
    k, (dy, dx) = table.scale, pixel[:, len(coarse) // 2]
    seen = gaussian_filter(fine, (k * table.blur_m / dy, k * table.blur_m / dx), truncate=3.0) if table.blur_m else fine
    ground, _ = block_mean(seen, None, k)
    slope = np.hypot(*np.gradient(ground.astype(np.float64), dy, dx)).astype(np.float32)
    error = np.where(valid, coarse - ground, 0.0).astype(np.float32)
    return PairCells(table, product, coarse, valid, fine, error, slope, pixel, ((0, len(coarse)),))


def _product(table: RealPair) -> Product:
    from terrafine.raster.products.registry import find_product  # pyproj, which a packed pair does without

    try:
        product = find_product(table.product)
    except UsageError as e:
        raise RecipeError(f"[pair] product: {e}") from e
    if not product.sensor.noise_flat_m > 0:
        raise RecipeError(f"[pair] product = {table.product!r}: has no noise on flat ground; expected a sensor's")
    return product
