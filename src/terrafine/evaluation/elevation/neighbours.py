"""The nine cells around a cell, as slices of one array; nodata spreads over all nine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["neighbour", "ring", "nodata_aware"]

F64 = NDArray[np.float64]


def neighbour(z: F64, dy: int, dx: int) -> F64:
    """The neighbour at (dy, dx) of every inner cell; (y, x) -> (y - 2, x - 2)."""
    return z[1 + dy : z.shape[0] - 1 + dy, 1 + dx : z.shape[1] - 1 + dx]


def ring(inner: F64) -> F64:
    """With a ring of NaN around it; (y, x) -> (y + 2, x + 2)."""
    return np.pad(inner, 1, constant_values=np.nan)


def nodata_aware(z: NDArray[Any]) -> tuple[F64, F64]:
    """Elevation as float64, and an inner array that is 0, or NaN where any of the nine cells is not finite."""
    z = np.asarray(z, dtype=np.float64)
    nodata = np.zeros((z.shape[0] - 2, z.shape[1] - 2))
    known = np.isfinite(z)
    if not known.all():
        rows = known[:-2] & known[1:-1] & known[2:]
        nodata[~(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])] = np.nan
    return z, nodata
