"""Histogram matching: give one image the distribution of values of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["match_histogram", "matching_curve"]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


def matching_curve(values: NDArray[np.floating], like: NDArray[np.floating], knots: int = 101) -> tuple[F64, F64]:
    """Return the increasing curve that gives values the histogram of others.

    Parameters
    ----------
    values, like
        (n,) and (m,), of any two lengths.
    knots
        Quantiles from 0.5 to 99.5 % at which the two are matched, so that a few outliers do not bend the curve.

    Returns
    -------
    tuple[ndarray, ndarray]
        Positions of the knots, and the values there.
    """
    share = np.linspace(0.005, 0.995, knots)
    at, to = np.quantile(values, share), np.quantile(like, share)
    keep = np.concatenate(([True], np.diff(at) > 0))
    return np.asarray(at[keep]), np.asarray(to[keep])


def match_histogram(values: NDArray[np.floating], curve: tuple[F64, F64]) -> F32:
    """Map values through a curve of `matching_curve`.

    Parameters
    ----------
    values
        Array of any shape.
    curve
        Positions of the knots and the values there; beyond its knots the curve continues with slope 1.

    Returns
    -------
    ndarray
        float32, shape of `values`.
    """
    at, to = curve
    inside = np.interp(values, at, to)
    beyond = np.minimum(values - at[0], 0) + np.maximum(values - at[-1], 0)
    return np.asarray(inside + beyond, np.float32)
