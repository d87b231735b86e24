"""Interpolation kernels, as functions of the distance in cells; numpy alone, so that networks use the same ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cubic", "cubic_weights", "fine_centres", "lanczos", "linear"]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


def cubic(distance: F64, a: float = -0.5) -> F64:
    """Return Keys' cubic convolution kernel.

    Parameters
    ----------
    distance
        From the sample, in cells; any shape and sign.
    a
        Slope at distance 1; -0.5 is the third-order kernel, as in GDAL.

    References
    ----------
    Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def cubic_weights(t: F32) -> list[F32]:
    """Return Keys' weights, a = -0.5, of the four cells around points that lie `t` (0 to 1) beyond the second.

    These are `cubic` at 1 + t, t, 1 - t and 2 - t in factored form, which keeps float32 exact where a weight vanishes.
    """
    one, half, three_halves, five_halves = (np.float32(v) for v in (1.0, 0.5, 1.5, 2.5))
    s = one - t
    return [
        -half * t * s * s,
        one + t * t * (three_halves * t - five_halves),
        one + s * s * (three_halves * s - five_halves),
        -half * s * t * t,
    ]


def linear(distance: F64) -> F64:
    """Return the triangle of bilinear interpolation."""
    return np.maximum(0.0, 1.0 - np.abs(distance))


def lanczos(distance: F64) -> F64:
    """Return the windowed sinc of three lobes; its weights are to be normalised."""
    x = np.abs(distance)
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def fine_centres(k: int) -> F64:
    """Return where the centres of k fine cells lie in their coarse cell, from its centre, in coarse cells; (k,)."""
    return (np.arange(k) + 0.5) / k - 0.5
