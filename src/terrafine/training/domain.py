"""Domain of weights: how the bands of their training images are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.training.batches import Domain

__all__ = ["SEEN_BATCHES", "SHARES", "band_quantiles"]

SEEN_BATCHES = 64
"""Training batches whose cells are taken."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Shares of the cells below the quantiles."""


def band_quantiles(values: NDArray[Any], bands: Sequence[str] = ("red", "green", "blue")) -> Domain:
    """Compute the quantiles of bands.

    Parameters
    ----------
    values
        Reflectance, (band, cell); bands after the named ones are not used.
    bands
        Names of the first bands.

    Returns
    -------
    Domain
        Band -> share -> quantile; empty without cells.
    """
    if not values.shape[1]:
        return {}
    found = np.quantile(values[: len(bands)], SHARES, axis=1)
    return {
        band: {f"{p:.2f}": round(float(q), 5) for p, q in zip(SHARES, found[:, i], strict=True)}
        for i, band in enumerate(bands)
    }
