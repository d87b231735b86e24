"""Agreement of class maps as accumulators: confusion by spatial block and by region, and agreement along boundaries.

Rows of a confusion matrix are predicted by the candidate, columns are the reference. Precision is user's accuracy
and recall producer's accuracy of the map literature (Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015); kappa is
Cohen 1960, doi:10.1177/001316446002000104; boundary IoU is Cheng et al. 2021, arXiv:2103.16562, with distances in
metres between cell centres.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from terrafine.errors import BandError

__all__ = ["Boundaries", "Confusion", "boundary_reach", "measures", "require_few_classes"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pair = tuple[int, int]
_MOST_CLASSES = 256


def measures(matrix: F64) -> dict[str, F64]:
    """Measures of a confusion matrix (..., candidate, reference); NaN where a denominator is 0.

    overall_accuracy and kappa (...), and by class (..., k) precision, recall, f1, iou, and area_bias: what the
    candidate has of the class over what the reference has, minus 1.
    """
    m = np.asarray(matrix, np.float64)
    right = np.diagonal(m, axis1=-2, axis2=-1)
    predicted, true = m.sum(axis=-1), m.sum(axis=-2)
    total = m.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right.sum(axis=-1) / total
        chance = (predicted * true).sum(axis=-1) / total**2
        return {
            "overall_accuracy": accuracy,
            "kappa": (accuracy - chance) / (1 - chance),
            "precision": right / predicted,
            "recall": right / true,
            "f1": 2 * right / (predicted + true),
            "iou": right / (predicted + true - right),
            "area_bias": predicted / true - 1,
        }


def require_few_classes(path: str | os.PathLike[str], found: Collection[int]) -> None:
    """Raise BandError for more numbers than a legend has: heights, counts or names of single objects."""
    if len(found) > _MOST_CLASSES:
        some = ", ".join(map(str, sorted(found)[:3]))
        raise BandError(
            f"{path}: holds more than {_MOST_CLASSES} different numbers ({some}, ...); expected class numbers. If they "
            'are measurements, state what the files are with kind="elevation" or kind="image"'
        )


@dataclass
class Confusion:
    """Cells by (candidate's class, reference's class) in square blocks of the grid, and their ground area in m².

    side  cells along a block; `add` takes windows that do not overlap, in any order; tallies of one grid merge
    """

    shape: tuple[int, int]
    side: int
    cells: dict[Pair, F64] = field(default_factory=dict)
    areas_m2: dict[Pair, float] = field(default_factory=dict)
    regions: dict[int, dict[Pair, int]] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """How many blocks the grid has."""
        return math.prod(-(-n // self.side) for n in self.shape)

    def add(
        self,
        candidate: NDArray[np.int64],
        reference: NDArray[np.int64],
        known: Mask,
        at: tuple[int, int],
        cell_m2: F64,
        regions: NDArray[np.int64] | None = None,
    ) -> None:
        """Add the known cells of a window (y, x) whose first cell is `at`; `cell_m2` (y,) is the area of a cell."""
        across = -(-self.shape[1] // self.side)
        rows = (at[0] + np.arange(known.shape[0])) // self.side
        cols = (at[1] + np.arange(known.shape[1])) // self.side
        block = (rows[:, None] * across + cols[None, :])[known]
        area = np.broadcast_to(cell_m2[:, None], known.shape)[known]
        c, r = candidate[known], reference[known]
        where = None if regions is None else regions[known]
        for key in sorted(set(zip(*(v.tolist() for v in np.unique(np.stack((c, r)), axis=1)), strict=True))):
            here = (c == key[0]) & (r == key[1])
            counts = np.bincount(block[here], minlength=self.blocks).astype(np.float64)
            self.cells[key] = self.cells.get(key, np.zeros(self.blocks)) + counts
            self.areas_m2[key] = self.areas_m2.get(key, 0.0) + float(area[here].sum())
            if where is not None:
                self._by_region(key, where[here])

    def _by_region(self, key: Pair, where: NDArray[np.int64]) -> None:
        for region, count in zip(*np.unique(where[where >= 0], return_counts=True), strict=True):
            table = self.regions.setdefault(int(region), {})
            table[key] = table.get(key, 0) + int(count)

    def merge(self, other: Confusion) -> Confusion:
        """Both tallies, of one grid and block side, as one."""
        out = Confusion(self.shape, self.side)
        for part in (self, other):
            for key, counts in part.cells.items():
                out.cells[key] = out.cells.get(key, np.zeros(self.blocks)) + counts
                out.areas_m2[key] = out.areas_m2.get(key, 0.0) + part.areas_m2[key]
            for region, table in part.regions.items():
                mine = out.regions.setdefault(region, {})
                for key, count in table.items():
                    mine[key] = mine.get(key, 0) + count
        return out

    @property
    def classes(self) -> list[int]:
        """Every class that either side names."""
        return sorted({c for key in self.cells for c in key})

    def occupied(self) -> Mask:
        """Blocks that hold a known cell."""
        return np.asarray(sum(self.cells.values(), start=np.zeros(self.blocks)) > 0)

    def matrix(self, classes: Sequence[int]) -> F64:
        """Cells (candidate, reference)."""
        return _square({key: float(counts.sum()) for key, counts in self.cells.items()}, classes)

    def area_matrix(self, classes: Sequence[int]) -> F64:
        """Square metres (candidate, reference)."""
        return _square(self.areas_m2, classes)

    def region_matrix(self, region: int, classes: Sequence[int]) -> F64:
        """Cells (candidate, reference) of one region."""
        return _square(self.regions[region], classes)

    def drawn(self, classes: Sequence[int], weights: F64) -> F64:
        """One matrix for each row of bootstrap weights (draw, block): (draw, candidate, reference)."""
        out = np.zeros((len(weights), len(classes), len(classes)))
        for i, a in enumerate(classes):
            for j, b in enumerate(classes):
                if (a, b) in self.cells:
                    out[:, i, j] = weights @ self.cells[a, b]
        return out


def _square(table: Mapping[Pair, float], classes: Sequence[int]) -> F64:
    return np.array([[float(table.get((a, b), 0.0)) for b in classes] for a in classes], np.float64)


def boundary_reach(distances_m: Sequence[float], pixel_m: tuple[float, float]) -> int:
    """Cells around a window that its boundaries depend on."""
    return math.ceil(max(distances_m, default=0.0) / min(pixel_m)) + 1


@dataclass
class Boundaries:
    """Intersection and union, in cells, of the inner rims of each class on either side; mergeable.

    A cell is in a class's rim of d metres where it is of the class and the centre of a known cell of another class
    lies within d. What is not known is no boundary. A distance shorter than a cell leaves no rim: its IoU is None.
    """

    distances_m: tuple[float, ...]
    sums: dict[tuple[int, float], tuple[int, int]] = field(default_factory=dict)

    def add(
        self,
        candidate: NDArray[np.int64],
        reference: NDArray[np.int64],
        known: Mask,
        inner: tuple[slice, slice],
        pixel_m: tuple[float, float],
    ) -> None:
        """Add the inside of a window (y, x) of cells of `pixel_m` (y, x) metres, its halo `boundary_reach` wide."""
        for value in np.unique(np.concatenate((candidate[known], reference[known]))).tolist():
            rims = [_depth(labels == value, known, pixel_m)[inner] for labels in (candidate, reference)]
            for distance in self.distances_m:
                a, b = (depth <= distance * (1 + 1e-9) for depth in rims)
                both, either = int(np.count_nonzero(a & b)), int(np.count_nonzero(a | b))
                before = self.sums.get((value, distance), (0, 0))
                self.sums[value, distance] = (before[0] + both, before[1] + either)

    def merge(self, other: Boundaries) -> Boundaries:
        """Both sums as one."""
        sums = dict(self.sums)
        for key, (both, either) in other.sums.items():
            before = sums.get(key, (0, 0))
            sums[key] = (before[0] + both, before[1] + either)
        return Boundaries(self.distances_m, sums)

    def iou(self, value: int, distance_m: float) -> float | None:
        """Boundary IoU of a class; None where neither side has a rim."""
        both, either = self.sums.get((value, distance_m), (0, 0))
        return both / either if either else None


def _depth(mine: Mask, known: Mask, pixel_m: tuple[float, float]) -> F64:
    """Metres from each known cell of a class to the nearest known cell of another; infinite elsewhere."""
    other = known & ~mine
    if not other.any():
        return np.full(mine.shape, np.inf)
    distance = np.asarray(distance_transform_edt(~other, sampling=pixel_m), np.float64)
    return np.where(mine & known, distance, np.inf)
