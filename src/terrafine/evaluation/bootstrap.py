"""Spatial block bootstrap: how often each block of the grid is drawn, and intervals of the resulting statistics.

Blocks, not cells, are taken as independent, as long as they are longer than the correlation range of the errors.

References
----------
Lahiri 2003, Resampling Methods for Dependent Data, https://doi.org/10.1007/978-1-4757-3803-2
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["block_side", "interval", "resample_weights"]

F64 = NDArray[np.float64]


def block_side(shape: tuple[int, int], given: int | None = None) -> int:
    """Return the cells along a side of a bootstrap block.

    Parameters
    ----------
    shape
        Rows and columns (y, x) of the grid.
    given
        The side that the user states; None for a sixteenth of the longer side of the grid, at least 8.

    Returns
    -------
    int
        Cells.
    """
    return given or max(8, -(-max(shape) // 16))


def resample_weights(occupied: NDArray[np.bool_], draws: int, seed: int) -> F64:
    """Draw blocks with replacement, as many as are occupied.

    Parameters
    ----------
    occupied : ndarray of bool, (block,)
        Blocks that hold a compared cell.
    draws : int
        Number of bootstrap samples.
    seed : int
        Seed of the random generator; the same weights serve all candidates, so that comparisons are paired.

    Returns
    -------
    ndarray of float64, (draw, block)
        How often each block is drawn.
    """
    where = np.flatnonzero(occupied)
    weights = np.zeros((draws, occupied.size))
    if where.size:
        drawn = np.random.default_rng(seed).integers(0, where.size, size=(draws, where.size))
        for i, row in enumerate(drawn):
            weights[i, where] = np.bincount(row, minlength=where.size)
    return weights


def interval(samples: F64, level: float = 0.95) -> list[float] | None:
    """Return the percentiles that hold a share of the finite samples.

    Parameters
    ----------
    samples
        Bootstrap samples (draw,).
    level
        The share.

    Returns
    -------
    list of two floats or None
        [lower, upper]; None for fewer than two finite samples.
    """
    s = samples[np.isfinite(samples)]
    if s.size < 2:
        return None
    tail = (1 - level) / 2
    return [float(v) for v in np.quantile(s, [tail, 1 - tail])]
