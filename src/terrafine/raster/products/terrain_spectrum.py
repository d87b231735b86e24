"""Power spectra of terrain as a sensor samples it, and of its noise, averaged over rings of frequency.

Terrain is a power law f ** -beta in two dimensions, blurred by a Gaussian, averaged over cells and sampled, so that
what lies beyond the lattice's own frequencies folds back; noise is white noise smoothed by a Gaussian.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.products.noise import axis_correlation

__all__ = ["BETAS", "BLURS", "CORRELATIONS", "RINGS", "noise_table", "ring_of", "terrain_table"]

F64 = NDArray[np.float64]
BETAS: F64 = np.round(np.arange(3.4, 5.61, 0.2), 2)
BLURS: F64 = np.round(np.arange(0.0, 1.41, 0.1), 2)
CORRELATIONS: F64 = np.round(np.arange(0.0, 0.91, 0.15), 2)
"""Beyond these, correlated noise looks like terrain."""
RINGS: F64 = np.array([0.045, 0.06, 0.08, 0.1, 0.125, 0.155, 0.19, 0.225, 0.26, 0.3, 0.34, 0.38, 0.42, 0.46, 0.5])
"""Edges of the rings in cycles per cell of the same area; below them windows are too small."""
_N = 64
_FOLDS = 1


def ring_of(n: int, stretch: tuple[float, float]) -> NDArray[np.int64]:
    """Ring of each frequency of an n × n transform, int64 (n, n); -1 outside all rings.

    `stretch` is cells of the same area per cell along (y, x), so that rings are circles on the ground.
    """
    f = np.fft.fftfreq(n)
    radius = np.hypot(f[:, None] * stretch[0], f[None, :] * stretch[1])
    inside = (np.abs(f)[:, None] <= 0.5) & (radius < RINGS[-1])
    ring = np.searchsorted(RINGS, radius, side="right") - 1
    return np.where(inside & (ring >= 0), ring, -1).astype(np.int64)


def _ring_means(power: F64, ring: NDArray[np.int64]) -> F64:
    use = ring >= 0
    count = np.bincount(ring[use], minlength=RINGS.size - 1)
    total = np.bincount(ring[use], power[use], RINGS.size - 1)
    return np.asarray(total / np.maximum(count, 1))


@lru_cache(maxsize=8)
def terrain_table(stretch: tuple[float, float]) -> F64:
    """Power of terrain by (beta, blur, ring); the amplitude is that of the ground at 0.1 cycles per cell."""
    ring = ring_of(_N, stretch)
    f = np.fft.fftfreq(_N)
    out = np.zeros((BETAS.size, BLURS.size, RINGS.size - 1))
    for fold_y in range(-_FOLDS, _FOLDS + 1):
        for fold_x in range(-_FOLDS, _FOLDS + 1):
            fy, fx = f[:, None] + fold_y, f[None, :] + fold_x
            radius = np.maximum(np.hypot(fy * stretch[0], fx * stretch[1]), 0.5 / _N)
            cell = (np.sinc(fy) * np.sinc(fx)) ** 2
            for j, blur in enumerate(BLURS):
                passed = cell * np.exp(-((2.0 * np.pi * blur * radius) ** 2))
                if float(passed[ring >= 0].max()) < 1e-7:
                    continue
                for i, beta in enumerate(BETAS):
                    out[i, j] += _ring_means(passed * (radius / 0.1) ** -beta, ring)
    return out


@lru_cache(maxsize=8)
def noise_table(stretch: tuple[float, float]) -> F64:
    """Power of noise of unit variance by (correlation, ring)."""
    ring, f, lags = ring_of(_N, stretch), np.fft.fftfreq(_N), np.arange(-_N // 2, _N // 2)
    rows = []
    for sigma in CORRELATIONS.tolist():
        axes = [
            np.maximum(np.cos(2.0 * np.pi * f[:, None] * lags[None, :]) @ axis_correlation(sigma * s, lags), 0.0)
            for s in stretch
        ]
        rows.append(_ring_means(axes[0][:, None] * axes[1][None, :], ring))
    return np.array(rows)
