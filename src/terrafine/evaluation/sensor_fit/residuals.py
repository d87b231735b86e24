"""Differences between coarse cells and a blurred reference for a row of blurs, kept for the fit and its bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.sensor_fit.pair import MARGIN, Pair
from terrafine.evaluation.sensor_fit.predict import blurred, gradient, high_passed
from terrafine.evaluation.sensor_fit.registration import Registration, compared
from terrafine.raster.products.noise import rounding_step
from terrafine.raster.warp.resample import block_mean

__all__ = ["BLOCK", "BLURS", "Residuals", "collect"]

F64 = NDArray[np.float64]
BLURS: F64 = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7, 2.2])
"""Variances of the blur in cells² that are tried."""
BLOCK = 32
"""Cells along a side of a bootstrap block."""
_MIDDLE = 4  # the blur whose surface gives slopes


@dataclass(frozen=True, slots=True)
class Residuals:
    """High-passed differences of every window.

    Attributes
    ----------
    off
        (window, blur, y, x) metres.
    slope
        (window, y, x) tangent of the slope of the predicted surface.
    cells
        (window, y, x) cells that are compared.
    blocks
        (window, y, x) number of the bootstrap block of each cell.
    step
        Step of the coarse heights in metres, 0 for none.
    stretch
        Cells (y, x) per cell of the same area: blur and correlation are equal in metres along both axes.
    """

    off: NDArray[np.float32]
    slope: F64
    cells: NDArray[np.bool_]
    blocks: NDArray[np.int64]
    step: float
    stretch: tuple[float, float]


def collect(pair: Pair, shift: Registration) -> Residuals:
    """Compute the differences of a registered pair for a series of blurs.

    Parameters
    ----------
    pair
        The two DEMs.
    shift
        Their registration.

    Returns
    -------
    Residuals
        The differences.
    """
    cell = float(np.sqrt(pair.size[0] * pair.size[1]))
    stretch = cell / pair.size[0], cell / pair.size[1]
    inside = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    off, slope, cells, heights = [], [], [], []
    for window in pair.read((shift.rows, shift.cols)):
        ground, before, row = window.ground, 0.0, []
        for i, variance in enumerate(BLURS.tolist()):
            sigma = float(np.sqrt(variance - before)) * pair.k
            ground, before = blurred(ground, (sigma * stretch[0], sigma * stretch[1])), variance
            surface = block_mean(ground, None, pair.k)[0].astype(np.float64)
            row.append(high_passed(window.coarse - surface, window.valid)[inside])
            if i == _MIDDLE:
                slope.append(np.hypot(*gradient(surface, window.size))[inside])
        off.append(np.array(row, np.float32))
        cells.append(compared(window)[inside])
        heights.append(window.coarse[inside][cells[-1]])
    side = slope[0].shape[0]
    across = -(-side // BLOCK)
    index = np.arange(side) // BLOCK
    one = index[:, None] * across + index[None, :]
    blocks = one[None] + across**2 * np.arange(len(off))[:, None, None]
    return Residuals(
        np.array(off), np.array(slope), np.array(cells), blocks, rounding_step(np.concatenate(heights)), stretch
    )
