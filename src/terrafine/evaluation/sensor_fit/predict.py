"""Predict what a noise-free sensor would state: the blur of the ground; slopes and high-pass filtering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, gaussian_filter, gaussian_filter1d

__all__ = ["HIGH_PASS", "blurred", "gradient", "high_passed"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
HIGH_PASS = 5.0
"""Cells (1 sigma) of the local mean that is removed from differences: canopy, tilt and waves are not noise of cells."""


def blurred(values: F64, sigma: tuple[float, float]) -> F64:
    """Blur an array by a Gaussian; exact in variance, also far below one cell.

    Parameters
    ----------
    values
        Values (y, x).
    sigma
        Standard deviation in cells (y, x).

    Returns
    -------
    ndarray of float64, (y, x)
        The blurred values.
    """
    out = values
    for axis, s in enumerate(sigma):
        if s >= 1.0:
            out = gaussian_filter1d(out, s, axis=axis, mode="nearest")
        elif s > 0.0:
            w = s * s / 4.0  # two passes of (w, 1 - 2w, w), of variance 2w each
            for _ in range(2):
                out = correlate1d(out, np.array([w, 1.0 - 2.0 * w, w]), axis=axis, mode="nearest")
    return np.asarray(out)


def gradient(surface: F64, size: tuple[float, float]) -> tuple[F64, F64]:
    """Return central differences.

    Parameters
    ----------
    surface
        Values (y, x).
    size
        Size (y, x) of a cell.

    Returns
    -------
    down, right : ndarrays of float64, (y, x)
        Differences per unit.
    """
    down, right = (np.asarray(np.gradient(surface, axis=axis), np.float64) for axis in (0, 1))
    return down / size[0], right / size[1]


def high_passed(values: F64, valid: Mask) -> F64:
    """Subtract the Gaussian mean over the valid cells around each cell.

    Parameters
    ----------
    values, valid
        Values (y, x) and where they are valid.

    Returns
    -------
    ndarray of float64, (y, x)
        0 where not valid.
    """
    weight = gaussian_filter(valid.astype(np.float64), HIGH_PASS, mode="constant", truncate=3.0)
    total = gaussian_filter(np.where(valid, values, 0.0), HIGH_PASS, mode="constant", truncate=3.0)
    return np.where(valid, values - total / np.maximum(weight, 1e-9), 0.0)
