"""Domain of weights: how the bands of their training images are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SEEN_BATCHES", "SHARES", "band_quantiles"]

SEEN_BATCHES = 64
"""Training batches whose cells are taken."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Shares of the cells below the quantiles."""


def band_quantiles(values: NDArray[Any]) -> Mapping[str, Mapping[str, float]]:
    """Compute the quantiles of red, green and blue.

    Parameters
    ----------
    values
        Reflectance, (band, cell), of at least the three bands.

    Returns
    -------
    Mapping[str, Mapping[str, float]]
        Band -> share -> quantile; empty without cells.
    """
    if not values.shape[1]:
        return {}
    found = np.quantile(values[:3], SHARES, axis=1)
    return {
        band: {f"{p:.2f}": round(float(q), 5) for p, q in zip(SHARES, found[:, i], strict=True)}
        for i, band in enumerate(("red", "green", "blue"))
    }
