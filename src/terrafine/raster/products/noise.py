"""Noise of a sensor model: white noise on the cells, smoothed by a sampled Gaussian; its correlation and spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["axis_correlation", "mean_variance", "rounding_step"]

F64 = NDArray[np.float64]
_STEPS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.25, 0.2, 0.1, 0.05)


def axis_correlation(sigma: float, lags: NDArray[np.integer]) -> F64:
    """Correlation at whole lags along one axis of white noise smoothed by a sampled Gaussian.

    Parameters
    ----------
    sigma
        Standard deviation of the Gaussian in cells; 0 for white noise.
    lags
        Lags in cells, any shape.

    Returns
    -------
    float64 of the same shape
        1 at lag 0. The correlation at a lag (y, x) is the product of both axes.
    """
    lags = np.abs(np.asarray(lags))
    if sigma <= 0:
        return np.asarray(lags == 0, np.float64)
    reach = int(np.ceil(5 * sigma)) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    full = np.convolve(kernel, kernel)
    middle = full.size // 2
    padded = np.concatenate([full[middle:] / full[middle], np.zeros(int(lags.max(initial=0)) + 1)])
    return np.asarray(padded[lags])


def mean_variance(sigma: float, cells: tuple[float, float]) -> float:
    """Variance of the mean over a rectangle of that many cells (y, x), per variance of one cell."""
    product = 1.0
    for n in cells:
        m = max(1, round(n))
        index = np.arange(m)
        product *= float(axis_correlation(sigma, index[:, None] - index[None, :]).mean()) * (m / max(n, 1.0))
    return product


def rounding_step(values: NDArray[np.floating]) -> float:
    """The largest step of which heights are whole multiples, in metres; 0 where they are not rounded.

    Float32 resolves half a millimetre at 5,000 m, so that steps below 0.05 m are not identifiable.
    """
    flat = np.asarray(values, np.float64).ravel()
    if flat.size == 0 or float(np.ptp(flat)) == 0.0:
        return 0.0
    for step in _STEPS:
        parts = flat / step
        if float(np.abs(parts - np.round(parts)).max()) < 0.02:
            return step
    return 0.0
