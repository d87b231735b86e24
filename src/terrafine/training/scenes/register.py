"""Displacement of an image against labels of the same ground, found by NDVI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from terrafine.raster.warp.registration import estimate_offset

__all__ = ["Displacement", "displacement"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_FINE = 4  # label cells along an image cell
_REACH = 8  # label cells searched in each direction
_SLOW = 32.0  # label cells; slower variation is removed from both
_LEAST = 0.05  # correlation below which nothing is found


@dataclass(frozen=True, slots=True)
class Displacement:
    """How far the content of an image lies from the ground that labels describe.

    Attributes
    ----------
    right, down
        Displacement in image cells.
    correlation
        Correlation of NDVI with the share of ground that is not labelled, at that displacement.
    found
        Whether the correlation is strong enough to be used.
    """

    right: float
    down: float
    correlation: float
    found: bool


def displacement(ndvi: F32, valid: Mask, share: F32, known: Mask) -> Displacement:
    """Find the displacement at which NDVI falls most with the share of labelled ground.

    Both are compared on the labels' grid of a quarter of an image cell, without variation slower than eight image
    cells, within two image cells.

    Parameters
    ----------
    ndvi, valid
        Index of the image and where it was observed, (y, x).
    share, known
        Share of impervious or built ground and where it is known, (4·y, 4·x).

    Returns
    -------
    Displacement
        The displacement; 0 and not found where the correlation is below 0.05.

    Raises
    ------
    EmptyError
        Where fewer than 400 cells are valid and known.
    """
    fine = zoom(ndvi.astype(np.float32), _FINE, order=3, mode="nearest", grid_mode=True)
    both = np.kron(valid, np.ones((_FINE, _FINE), np.bool_)) & known
    at = estimate_offset(_fast(fine, both), _fast(1 - share, both), both, _REACH)
    if at.correlation < _LEAST:
        return Displacement(0.0, 0.0, at.correlation, False)
    return Displacement(at.dx / _FINE, at.dy / _FINE, at.correlation, True)


def _fast(values: F32, seen: Mask) -> F32:
    """Values without slow variation, 0 where not seen."""
    weight = gaussian_filter(seen.astype(np.float32), _SLOW)
    mean = gaussian_filter(np.where(seen, values, 0).astype(np.float32), _SLOW) / np.maximum(weight, 1e-3)
    return np.where(seen, values - mean, 0).astype(np.float32)
