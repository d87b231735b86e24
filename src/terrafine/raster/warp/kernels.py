"""Interpolation kernels as functions of the distance in cells; plain numpy, so that networks use the same ones."""

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

    Returns
    -------
    F64
        Weights of the shape of `distance`; 0 from distance 2 on.

    References
    ----------
    Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def cubic_weights(t: F32) -> list[F32]:
    """Return Keys' weights, a = -0.5, of the four cells around points.

    These are `cubic` at 1 + t, t, 1 - t and 2 - t in factored form, which keeps float32 exact where a weight vanishes.

    Parameters
    ----------
    t
        Distance of each point beyond the second cell, 0 to 1; any shape.

    Returns
    -------
    list of four ndarrays of float32
        Weights of the shape of `t`.

    References
    ----------
    Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711
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
    """Return the triangle kernel of bilinear interpolation.

    Parameters
    ----------
    distance
        From the sample, in cells; any shape and sign.

    Returns
    -------
    F64
        Weights of the shape of `distance`; 0 from distance 1 on.
    """
    return np.maximum(0.0, 1.0 - np.abs(distance))


def lanczos(distance: F64) -> F64:
    """Return the windowed sinc kernel with three lobes; its weights must be normalised.

    Parameters
    ----------
    distance
        From the sample, in cells; any shape and sign.

    Returns
    -------
    F64
        Weights of the shape of `distance`; 0 from distance 3 on.

    References
    ----------
    Duchon 1979, https://doi.org/10.1175/1520-0450(1979)018%3C1016:LFIOAT%3E2.0.CO;2
    """
    x = np.abs(distance)
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def fine_centres(k: int) -> F64:
    """Return the centres of k fine cells relative to the centre of their coarse cell, in coarse cells.

    Parameters
    ----------
    k
        Fine cells per side of a coarse one.

    Returns
    -------
    ndarray of float64, (k,)
        From -0.5 to 0.5.
    """
    return (np.arange(k) + 0.5) / k - 0.5
