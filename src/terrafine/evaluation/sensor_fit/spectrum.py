"""Covariances of the noise of a sensor model after the high-pass and a blur, from its spectrum on the lattice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.sensor_fit.predict import HIGH_PASS
from terrafine.physics.sensor_model import gaussian_transfer
from terrafine.raster.products.noise import axis_correlation

__all__ = ["LAGS", "high_passed_covariance"]

F64 = NDArray[np.float64]
LAGS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2))
"""Lags (y, x) in cells at which residuals are compared with the model."""
_N = 64


def high_passed_covariance(
    sigma: tuple[float, float], blur: tuple[float, float] = (0.0, 0.0), lags: tuple[tuple[int, int], ...] = LAGS
) -> F64:
    """Covariance at each lag of noise of unit variance, after a blur and the high-pass.

    Parameters
    ----------
    sigma
        Correlation of the noise along (y, x), in cells.
    blur
        Standard deviation of a Gaussian blur along (y, x), in cells.
    lags
        Lags (y, x).

    Returns
    -------
    ndarray of float64, (lag,)
        Covariances.
    """
    f = np.fft.fftfreq(_N).astype(np.float64)
    own = [_axis_spectrum(s, f) * gaussian_transfer(f**2, b) ** 2 for s, b in zip(sigma, blur, strict=True)]
    low = gaussian_transfer(f**2, HIGH_PASS)
    power = own[0][:, None] * own[1][None, :] * (1.0 - low[:, None] * low[None, :]) ** 2
    waves = [np.cos(2.0 * np.pi * (f[:, None] * y + f[None, :] * x)) for y, x in lags]
    return np.array([float((power * wave).mean()) for wave in waves])


def _axis_spectrum(sigma: float, f: F64) -> F64:
    lags = np.arange(-_N // 2, _N // 2)
    correlation = axis_correlation(sigma, lags)
    return np.maximum(np.cos(2.0 * np.pi * f[:, None] * lags[None, :]) @ correlation, 0.0)
