"""Samples of the reflectance of an image: what its statistics are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.protocol import Measured
from terrafine.raster.read.images.sensors import COLOURS

__all__ = ["sample"]

_SAMPLES, _SIDE = 4, 192  # windows along each side, and cells along a window
_STRIP = 1 << 20  # cells read at a time


def sample(image: Measured) -> NDArray[np.float64]:
    """Return the reflectance of valid cells from windows spread over an image.

    Parameters
    ----------
    image
        An open image.

    Returns
    -------
    ndarray of float64, (3, cell)
        Red, green and blue; empty if the image has no valid cell.
    """
    height, width = image.shape
    tops, lefts = (np.unique(np.linspace(0, max(0, n - _SIDE), _SAMPLES).astype(int)).tolist() for n in image.shape)
    parts = [
        image.numbers(COLOURS, slice(top, min(top + _SIDE, height)), slice(left, min(left + _SIDE, width)))
        for top in tops
        for left in lefts
    ]
    found = np.concatenate(parts, axis=1)
    return found if found.size else _first(image)


def _first(image: Measured) -> NDArray[np.float64]:
    """Return the reflectance of the first valid cells, where the windows of `sample` hold none: (3, cell)."""
    height, width = image.shape
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        found = image.numbers(COLOURS, slice(top, min(top + step, height)), slice(0, width))
        if found.size:
            return found
    return np.zeros((len(COLOURS), 0))
