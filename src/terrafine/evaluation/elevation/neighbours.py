"""The nine cells around a cell, as slices of one array; nodata spreads to all nine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["neighbour", "ring", "nodata_aware"]

F64 = NDArray[np.float64]


def neighbour(z: F64, dy: int, dx: int) -> F64:
    """Return the neighbour of every inner cell in one direction.

    Parameters
    ----------
    z
        Values (y, x).
    dy, dx
        Rows down and columns right, −1 to 1.

    Returns
    -------
    ndarray of float64, (y - 2, x - 2)
        The neighbours.
    """
    return z[1 + dy : z.shape[0] - 1 + dy, 1 + dx : z.shape[1] - 1 + dx]


def ring(inner: F64) -> F64:
    """Add a ring of NaN around an array.

    Parameters
    ----------
    inner
        Values (y, x).

    Returns
    -------
    ndarray of float64, (y + 2, x + 2)
        The padded array.
    """
    return np.pad(inner, 1, constant_values=np.nan)


def nodata_aware(z: NDArray[Any]) -> tuple[F64, F64]:
    """Return elevations as float64, and where a 3 × 3 neighbourhood is not complete.

    Parameters
    ----------
    z
        Values (y, x).

    Returns
    -------
    z, nodata : ndarrays of float64
        Elevations (y, x); an inner array (y - 2, x - 2) that is 0, or NaN where any of the nine cells is not finite.
    """
    z = np.asarray(z, dtype=np.float64)
    nodata = np.zeros((z.shape[0] - 2, z.shape[1] - 2))
    known = np.isfinite(z)
    if not known.all():
        rows = known[:-2] & known[1:-1] & known[2:]
        nodata[~(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])] = np.nan
    return z, nodata
