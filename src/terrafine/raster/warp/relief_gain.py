"""How far a relief is to be believed: what a coarse elevation model says of the shapes that both of them show.

Shapes of three cells of the anchor are seen by it and by the relief. How the relief's must be multiplied there to be
the anchor's nearest, by least squares, is taken to hold for the finer shapes too, which the relief alone knows. A
relief that has nothing to do with the ground is so taken down to nothing, and one that is too faint is raised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["ReliefGain", "local_anomaly"]

_BLOCK = 16  # coarse cells along a block of the lattice that evidence is summed on; a gain is read from 3 × 3 of them
_PRIOR = 50.0  # cells of evidence that the relief is right as it is
_MOST = 2.0

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


def local_anomaly(means: F64, known: Mask) -> F64:
    """Cells (y, x) less the mean of the known ones in 3 × 3 around; 0 where not known."""
    values = np.where(known, means, 0.0)
    total, count = (ndimage.uniform_filter(v, 3, mode="constant") for v in (values, known.astype(np.float64)))
    return np.where(known, values - total / np.maximum(count, 1e-9), 0.0)


class ReliefGain:
    """A number from 0 to 2 for each cell of the anchor, smooth, from sums on a lattice of 16 × 16 cells."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._sums = np.zeros((3, *(-(-n // _BLOCK) for n in shape)))

    def add(self, top: int, relief: F64, anchor: F64, known: Mask) -> None:
        """Evidence of whole rows of cells from `top` on: departures of both (y, x), and where both are known."""
        row = np.arange(top, top + len(known)) // _BLOCK
        col = np.arange(known.shape[1]) // _BLOCK
        for total, values in zip(self._sums, (relief * anchor, relief * relief, known), strict=True):
            across = np.zeros((len(row), total.shape[1]))
            np.add.at(across.T, col, np.where(known, values, 0.0).T)
            np.add.at(total, row, across)

    def lattice(self) -> F64:
        """The gain of each block of the lattice."""
        both, own, cells = (9 * ndimage.uniform_filter(s, 3, mode="constant") for s in self._sums)
        prior = _PRIOR * own / np.maximum(cells, 1.0)
        gain = np.divide(both + prior, own + prior, out=np.ones_like(own), where=own + prior > 0)
        return np.asarray(np.clip(gain, 0.0, _MOST))

    def rows(self, rows: slice, k: int) -> F64:
        """The gain on k × k fine cells for each coarse one, bilinear between the blocks' middles: (k·y, k·x)."""
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
