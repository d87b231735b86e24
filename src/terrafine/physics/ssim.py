"""Structural similarity of two images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from terrafine.errors import UsageError

__all__ = ["WINDOW", "ssim"]

F64 = NDArray[np.float64]

WINDOW = 11
_SIGMA, _K1, _K2 = 1.5, 0.01, 0.03


def ssim(a: F64, b: F64, data_range: float = 1.0) -> F64:
    """Compute the map of structural similarity where the Gaussian window of 11 cells (σ 1.5) is whole.

    Parameters
    ----------
    a, b
        Images (..., y, x) of one shape.
    data_range
        Largest minus smallest value that the data can take; K1 is 0.01 and K2 0.03.

    Returns
    -------
    ndarray
        (..., y - 10, x - 10); 1 where the two are equal.

    Raises
    ------
    UsageError
        For fewer than 11 cells along a side.

    References
    ----------
    Wang et al. 2004, doi:10.1109/TIP.2003.819861, equation 13.
    """
    if min(a.shape[-2:]) < WINDOW:
        raise UsageError(f"an image of {a.shape[-2]} × {a.shape[-1]} cells; SSIM needs {WINDOW} along a side")
    half = WINDOW // 2
    sigma = (*(0.0,) * (a.ndim - 2), _SIGMA, _SIGMA)

    def mean(x: F64) -> F64:
        return np.asarray(gaussian_filter(x, sigma, truncate=half / _SIGMA))[..., half:-half, half:-half]

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
