"""Surfaces with known properties, for the tests of evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def terrain(side: int = 128, seed: int = 0, rough: float = 1.6, relief: float = 100.0) -> F64:
    """A fractal surface (power-law spectrum), periodic, (side, side), metres."""
    rng = np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    f[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal((side, side))) / f**rough
    spectrum[0, 0] = 0
    z = np.fft.ifft2(spectrum).real
    return np.asarray(z / z.std() * relief + 500.0)


def cells(side: int, size: float = 30.0) -> F64:
    """Square cells of `size` metres as `pixel_size_m`, (2, side)."""
    return np.full((2, side), size)
