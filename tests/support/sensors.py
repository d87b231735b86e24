"""Ground that is known, and what a sensor with a known model makes of it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def fractal(side: int, beta: float = 3.6, relief: float = 60.0, seed: int = 0) -> np.ndarray:
    """Periodic terrain (side, side) whose power falls as frequency ** -beta; relief is its sd in metres."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    f[0, 0] = 1.0
    z = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) * f ** (-beta / 2), (side, side))
    return 1000.0 + relief * (z - z.mean()) / z.std()


def means(fine: np.ndarray, k: int) -> np.ndarray:
    """Means over k×k cells."""
    return fine.reshape(fine.shape[0] // k, k, fine.shape[1] // k, k).mean(axis=(1, 3))


def noise(shape: tuple[int, int], correlation: float, seed: int = 1) -> np.ndarray:
    """White noise smoothed by a Gaussian, of unit variance."""
    white = np.random.default_rng(seed).normal(size=shape)
    smooth = white if correlation == 0 else gaussian_filter(white, correlation, mode="wrap")
    return smooth / smooth.std()


def observed(
    ground: np.ndarray,
    k: int,
    *,
    cell: float,
    psf: float = 0.0,
    flat: float = 0.0,
    slope: float = 0.0,
    correlation: float = 0.0,
    rounding: float = 0.0,
    seed: int = 1,
) -> np.ndarray:
    """Coarse cells of a sensor: blur in coarse cells, means over k×k, noise by slope, rounding."""
    blurred = ground if psf == 0 else gaussian_filter(ground, psf * k, mode="wrap")
    cells = means(blurred, k)
    tangent = np.hypot(*np.gradient(cells, cell))
    cells = cells + (flat + slope * tangent) * noise(cells.shape, correlation, seed)
    return np.round(cells / rounding) * rounding if rounding else cells
