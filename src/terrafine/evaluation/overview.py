"""Pictures of an evaluation, gathered while blocks stream by: a small mean of the extent, and the window to show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Overview", "pooled"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Overview:
    """Means of surfaces over blocks of `factor` × `factor` cells.

    Incomplete blocks at the end are left out. Values that are not finite have no weight.

    Parameters
    ----------
    shape
        Rows and columns (y, x) of the grid.
    max_side
        Largest number of blocks along a side.

    Attributes
    ----------
    factor
        Cells per side of a block.
    """

    def __init__(self, shape: tuple[int, int], max_side: int = 512) -> None:
        self.factor = max(1, math.ceil(max(shape) / max_side))
        self.shape = (max(1, shape[0] // self.factor), max(1, shape[1] // self.factor))
        self._sums: dict[str, F64] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}

    def add(self, name: str, z: F64, at: tuple[int, int]) -> None:
        """Add a block; blocks do not overlap and come in any order.

        Parameters
        ----------
        name
            Name of the surface.
        z
            Values (y, x).
        at
            Row and column of the first cell.
        """
        seen = np.isfinite(z)
        sums = self._sums.setdefault(name, np.zeros(self.shape))
        counts = self._counts.setdefault(name, np.zeros(self.shape, np.int64))
        top, left = (start // self.factor for start in at)
        for total, values in ((sums, np.where(seen, z, 0.0)), (counts, seen.astype(np.int64))):
            part = _added(_added(values, at[0], self.factor, 0), at[1], self.factor, 1)
            part = part[: self.shape[0] - top, : self.shape[1] - left]
            total[top : top + part.shape[0], left : left + part.shape[1]] += part

    def mean(self, name: str) -> F64:
        """Return the picture of one surface.

        Parameters
        ----------
        name
            Name of the surface.

        Returns
        -------
        ndarray of float64, (y, x)
            NaN where nothing was valid.
        """
        counts = self._counts[name]
        return np.where(counts > 0, self._sums[name] / np.maximum(counts, 1), np.nan)

    def liveliest(self, name: str, side: int) -> tuple[slice, slice] | None:
        """Return the window with the largest spread of the mean.

        Parameters
        ----------
        name
            Name of the surface.
        side
            Cells along a side of the window.

        Returns
        -------
        tuple of two slices or None
            Rows and columns; None if the grid is hardly larger than the window.
        """
        if min(self.shape) * self.factor < 1.5 * side:
            return None
        picture, small = self.mean(name), max(2, side // self.factor)
        best, where = -1.0, (0, 0)
        for top in range(0, self.shape[0] - small + 1, max(small // 2, 1)):
            for left in range(0, self.shape[1] - small + 1, max(small // 2, 1)):
                block = picture[top : top + small, left : left + small]
                seen = block[np.isfinite(block)]
                spread = float(seen.std()) * seen.size / block.size if seen.size else 0.0
                if spread > best:
                    best, where = spread, (top * self.factor, left * self.factor)
        top, left = (min(at, n * self.factor - side) for at, n in zip(where, self.shape, strict=True))
        return slice(top, top + side), slice(left, left + side)

    def box(self, rows: slice, cols: slice) -> tuple[float, float, float, float]:
        """Return the position of a window as shares of the picture.

        Parameters
        ----------
        rows, cols
            The window.

        Returns
        -------
        tuple of four floats
            Left, top, right, bottom, 0 to 1.
        """
        high, wide = (n * self.factor for n in self.shape)
        return cols.start / wide, rows.start / high, min(cols.stop / wide, 1.0), min(rows.stop / high, 1.0)


def _added(values: NDArray[Any], start: int, factor: int, axis: int) -> NDArray[Any]:
    """Sums over the cells of one axis, the first numbered `start`, that share a block."""
    n = values.shape[axis]
    edges = np.r_[0, np.arange(factor - start % factor, n, factor)]
    return np.asarray(np.add.reduceat(values, edges, axis=axis))


def pooled(mask: Mask, overview: Overview) -> Mask:
    """Reduce a mask to the blocks of an overview.

    Parameters
    ----------
    mask
        bool (y, x) on the grid.
    overview
        The overview.

    Returns
    -------
    ndarray of bool, (y, x)
        True where any cell of the block is.
    """
    k, (rows, cols) = overview.factor, overview.shape
    cut = mask[: rows * k, : cols * k]
    cut = np.pad(cut, [(0, rows * k - cut.shape[0]), (0, cols * k - cut.shape[1])])
    return np.asarray(cut.reshape(rows, k, cols, k).any(axis=(1, 3)))
