"""Samples of the reflectance of an image: what its statistics are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import EmptyError
from terrafine.raster.protocol import Measured
from terrafine.raster.read.images.sensors import COLOURS

__all__ = ["sample", "sample_windows"]

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

    Raises
    ------
    EmptyError
        If no window of a lazy image holds a valid cell: where it has some is not searched.
    """
    found = np.concatenate([image.numbers(COLOURS, *window) for window in sample_windows(image.shape)], axis=1)
    if not found.size and image.lazy:
        raise EmptyError(
            f"{image.paths[0]}: no cell has red, green and blue in {_SAMPLES**2} windows spread over it; expected one, "
            "by which a lazy image is checked. Crop it to what was measured, or load it: array.load()"
        )
    return found if found.size else _first(image)


def sample_windows(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return the windows that `sample` reads, which are spread evenly and do not depend on the numbers.

    Parameters
    ----------
    shape
        Rows and columns of the image.

    Returns
    -------
    list
        Rows and columns of each; 16 windows of 192 × 192 cells, fewer in small images.
    """
    rows, cols = ([slice(s, min(s + _SIDE, n)) for s in _starts(n)] for n in shape)
    return [(r, c) for r in rows for c in cols]


def _starts(size: int) -> list[int]:
    """First rows or columns of the windows."""
    return list(map(int, np.unique(np.linspace(0, max(0, size - _SIDE), _SAMPLES).astype(int))))


def _first(image: Measured) -> NDArray[np.float64]:
    """Return the reflectance of the first valid cells, where the windows of `sample` hold none: (3, cell)."""
    height, width = image.shape
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        found = image.numbers(COLOURS, slice(top, min(top + step, height)), slice(0, width))
        if found.size:
            return found
    return np.zeros((len(COLOURS), 0))
