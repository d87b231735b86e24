"""The gain of a relief: how strongly a coarse elevation model supports the shapes that both of them show.

Shapes of three anchor cells are visible in both the anchor and the relief. The factor that brings those of the relief
closest to those of the anchor, by least squares, is applied to the finer shapes as well, which only the relief shows. A
relief that is unrelated to the ground is so reduced to nothing, and one that is too faint is amplified.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["ReliefGain", "local_anomaly"]

_BLOCK = 16  # coarse cells per side of a block that sums are kept for; a gain is computed from 3 × 3 blocks
_PRIOR = 50.0  # weight, in cells, of the prior that the gain is 1
_MOST = 2.0

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


def local_anomaly(means: F64, known: Mask) -> F64:
    """Return cells minus the mean of the known ones in a window of 3 × 3 cells.

    Parameters
    ----------
    means, known
        Values (y, x) and where they are valid.

    Returns
    -------
    ndarray of float64, (y, x)
        0 where not valid.
    """
    values = np.where(known, means, 0.0)
    total, count = (ndimage.uniform_filter(v, 3, mode="constant") for v in (values, known.astype(np.float64)))
    return np.where(known, values - total / np.maximum(count, 1e-9), 0.0)


class ReliefGain:
    """A factor from 0 to 2 for each cell of the anchor, smooth, from sums over blocks of 16 × 16 cells.

    Parameters
    ----------
    shape
        Rows and columns (y, x) of the anchor.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._sums = np.zeros((3, *(-(-n // _BLOCK) for n in shape)))

    def add(self, top: int, relief: F64, anchor: F64, known: Mask) -> None:
        """Add whole rows of cells to the sums.

        Parameters
        ----------
        top
            First row.
        relief, anchor
            Local anomalies (y, x) of the relief and of the anchor, metres.
        known
            Cells where both are valid, bool (y, x).
        """
        row = np.arange(top, top + len(known)) // _BLOCK
        col = np.arange(known.shape[1]) // _BLOCK
        for total, values in zip(self._sums, (relief * anchor, relief * relief, known), strict=True):
            across = np.zeros((len(row), total.shape[1]))
            np.add.at(across.T, col, np.where(known, values, 0.0).T)
            np.add.at(total, row, across)

    def lattice(self) -> F64:
        """Return the gain of each block of 16 × 16 cells."""
        both, own, cells = (9 * ndimage.uniform_filter(s, 3, mode="constant") for s in self._sums)
        prior = _PRIOR * own / np.maximum(cells, 1.0)
        gain = np.divide(both + prior, own + prior, out=np.ones_like(own), where=own + prior > 0)
        return np.asarray(np.clip(gain, 0.0, _MOST))

    def rows(self, rows: slice, k: int) -> F64:
        """Return the gain on the fine cells of some rows, bilinear between the centres of the blocks.

        Parameters
        ----------
        rows
            First and one past the last coarse row.
        k
            Fine cells per side of a coarse one.

        Returns
        -------
        ndarray of float64, (k·y, k·x)
            Factors from 0 to 2.
        """
        lattice = self.lattice()
        for axis, (start, stop) in enumerate(((rows.start, rows.stop), (0, self.shape[1]))):
            at = ((np.arange(start * k, stop * k) + 0.5) / k / _BLOCK - 0.5).clip(0, lattice.shape[axis] - 1)
            low = np.minimum(at.astype(int), max(lattice.shape[axis] - 2, 0))
            share = np.expand_dims(at - low, 1 - axis)
            high = np.minimum(low + 1, lattice.shape[axis] - 1)
            lattice = lattice.take(low, axis) * (1 - share) + lattice.take(high, axis) * share
        return lattice

    def __str__(self) -> str:
        seen = self._sums[2] > 0
        lattice = self.lattice()[seen] if seen.any() else np.ones(1)
        return f"{np.median(lattice):.2f} (from {lattice.min():.2f} to {lattice.max():.2f})"
