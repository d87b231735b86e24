"""Real pairs: a coarse DEM of one sensor and a reference of the same ground, registered by one shift."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from scipy import ndimage, optimize

from benchmarks.common import F64, Mask, bicubic, block_mean, fill_nearest, ground_pixel_size

EDGE = 8  # coarse cells left out at the border of the coarse file
SCALES = (2, 3, 4)


@dataclass(frozen=True)
class Pair:
    """Two files of one ground, the scale, the product of the coarse file, and whether the pair is for tuning.

    Without a product, that of the file is recognised as `terrafine dem` does it. `rows` are fractions of the coarse
    file's rows, [from, to), where not all of it is scored.
    """

    coarse: str
    reference: str
    scale: int
    product: str | None
    tuning: bool = False
    rows: tuple[float, float] = (0.0, 1.0)


PAIRS: Mapping[str, Pair] = {
    "davos_totalp": Pair("real_pairs/davos_totalp_srtm1_30m.tif", "real_pairs/davos_totalp_10m.tif", 3, "srtm1"),
    "rofental": Pair("dem/test/oetztal_90m.tif", "real_pairs/rofental_lidar_50m.tif", 2, "srtm3"),
    "weald": Pair("real_pairs/weald_srtm3_90m.tif", "real_pairs/weald_os_50m.tif", 2, "srtm3"),
    "borders": Pair(
        "dem/train/srtm3_n55w003.tif", "dem/train/gb_borders_50m.tif", 2, "srtm3", tuning=True, rows=(0.0, 0.25)
    ),
}


@dataclass
class Ground:
    """A pair in memory: coarse heights, reference heights, and where each reference cell lies in coarse cells."""

    coarse: F64
    reference: F64
    at: tuple[F64, F64]
    cells: Mask
    size: F64
    scale: int
    shift: tuple[float, float] = (0.0, 0.0)

    def sampled(self, fine: NDArray[Any], shift: tuple[float, float] | None = None) -> F64:
        """A fine surface at the centres of the reference, by cubic spline."""
        dy, dx = self.shift if shift is None else shift
        where = [(self.at[0] + dy) * self.scale - 0.5, (self.at[1] + dx) * self.scale - 0.5]
        return np.asarray(ndimage.map_coordinates(np.asarray(fine, np.float64), where, order=3, mode="nearest"))

    def error(self, fine: NDArray[Any], shift: tuple[float, float] | None = None) -> F64:
        """Fine surface minus reference without the median, NaN outside the scored cells; (y, x)."""
        found = np.where(self.cells, self.sampled(fine, shift) - self.reference, np.nan)
        return np.asarray(found - np.nanmedian(found))


def load(data: Path, pair: Pair) -> Ground:
    """Read a pair and fit its shift on the bicubic surface."""
    with rasterio.open(data / pair.coarse) as src:
        known = src.read_masks(1) > 0
        coarse = fill_nearest(src.read(1).astype(np.float64), known)
        inverse, crs, shape = ~src.transform, src.crs, src.shape
        cell = ground_pixel_size(crs, src.transform, np.array([src.height // 2]))
    with rasterio.open(data / pair.reference) as src:
        own = ground_pixel_size(src.crs, src.transform, np.array([src.height // 2]))
        k = max(1, round(float(np.sqrt(cell.prod() / own.prod())) / pair.scale))
        reference, valid = _averaged(src.read(1).astype(np.float64), src.read_masks(1) > 0, k)
        transform = src.transform * src.transform.scale(k)
        rows, cols = np.mgrid[0 : reference.shape[0], 0 : reference.shape[1]] + 0.5
        x, y = transform * (cols, rows)
        size = ground_pixel_size(src.crs, transform, np.arange(reference.shape[0]))
        if src.crs != crs:
            x, y = Transformer.from_crs(src.crs, crs, always_xy=True).transform(x, y)
    col, row = inverse * (np.asarray(x), np.asarray(y))
    low, high = (round(f * shape[0]) for f in pair.rows)
    inside = (row > low + EDGE) & (row < high - EDGE) & (col > EDGE) & (col < shape[1] - EDGE)
    near_void = ndimage.binary_dilation(~known, iterations=EDGE)
    at = tuple(np.clip(a.astype(int), 0, n - 1) for a, n in zip((row, col), shape, strict=True))
    cells = valid & inside & ~near_void[at]
    if not cells.any():
        raise SystemExit(f"{pair.coarse} and {pair.reference} have no cell in common; expected two DEMs of one ground")
    ground = Ground(coarse, np.where(valid, reference, np.nan), (row, col), cells, size, pair.scale)
    surface = bicubic(coarse, pair.scale)
    found = optimize.minimize(
        lambda v: float(np.nanstd(ground.error(surface, (v[0], v[1])))),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 0.01, "fatol": 1e-3, "initial_simplex": [[0, 0], [0.3, 0], [0, 0.3]]},
    )
    ground.shift = (float(found.x[0]), float(found.x[1]))
    return ground


def _averaged(z: F64, valid: Mask, k: int) -> tuple[F64, Mask]:
    """A reference of finer cells, averaged to about those of the output; valid where all parts of a cell are."""
    if k == 1:
        return z, valid
    y, x = z.shape[0] // k * k, z.shape[1] // k * k
    whole = valid[:y, :x].reshape(y // k, k, x // k, k).all(axis=(1, 3))
    return block_mean(np.where(valid, z, 0.0)[:y, :x], k), whole


def stated_pair(text: str) -> tuple[str, Pair]:
    """A pair of the command line: NAME=COARSE,REFERENCE,SCALE[,PRODUCT]."""
    name, mark, rest = text.partition("=")
    parts = rest.split(",")
    if not mark or not name or len(parts) not in (3, 4) or not all(parts) or parts[2] not in map(str, SCALES):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=COARSE.tif,REFERENCE.tif,SCALE[,PRODUCT], with a scale of 2, 3 or 4"
        )
    return name, Pair(parts[0], parts[1], int(parts[2]), parts[3] if parts[3:] else None)


def chosen(names: list[str] | None, stated: list[tuple[str, Pair]] | None, folder: Path) -> Mapping[str, Pair]:
    """The pairs of the table that are named, and those of the command line; all of the table where neither is given."""
    more = dict(stated or [])
    if both := sorted(set(more) & set(PAIRS)):
        raise SystemExit(f"--pair {both[0]}: a pair of the table has this name; expected another one")
    for name, pair in more.items():
        found = [_found(file, folder) for file in (pair.coarse, pair.reference)]
        more[name] = replace(pair, coarse=found[0], reference=found[1])
    return {name: PAIRS[name] for name in names or ([] if more else PAIRS)} | more


def _found(file: str, folder: Path) -> str:
    """The path of a file of the data folder or, where it has none of that name, of the current folder."""
    for path in (folder / file, Path(file)):
        if path.is_file():
            return str(path.resolve())
    raise SystemExit(f"{file}: no such file; expected a path, or one under the data folder {folder}")
