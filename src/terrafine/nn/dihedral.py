"""The eight reflections and rotations of a square grid, for tensors and arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["COUNT", "inverse", "transform", "transform_sizes"]

COUNT = 8
"""Number of transforms; each has a code from 0 (identity) to 7."""

Grid = TypeVar("Grid", Tensor, NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8])


def transform(x: Grid, code: int) -> Grid:
    """Apply one of the eight transforms to the last two axes.

    Parameters
    ----------
    x
        Tensor or array (..., y, x).
    code
        Sum of 1 (transpose), 2 (flip y) and 4 (flip x), applied in that order.

    Returns
    -------
    Grid
        The transformed grid, of the same type; an array is a view of its input.
    """
    if code & 1:
        x = x.swapaxes(-1, -2)
    axes = tuple(axis for axis, bit in ((-2, 2), (-1, 4)) if code & bit)
    if not axes:
        return x
    return x.flip(axes) if isinstance(x, Tensor) else np.flip(x, axes)


def inverse(code: int) -> int:
    """Return the code of the transform that undoes the given one; a transpose exchanges the two flips.

    Parameters
    ----------
    code
        As in `transform`.

    Returns
    -------
    int
        Code from 0 to 7.
    """
    return 1 | (code & 2) << 1 | (code & 4) >> 1 if code & 1 else code


def transform_sizes(pixel_size_m: Tensor, code: int) -> Tensor:
    """Transform the pixel sizes of a grid, which are exchanged where rows become columns.

    Parameters
    ----------
    pixel_size_m
        Metres along y and x of each cell, (n, 2, y, x).
    code
        As in `transform`.

    Returns
    -------
    Tensor
        Metres along y and x of the transformed grid, shaped likewise.
    """
    sizes = transform(pixel_size_m, code)
    return (sizes.flip(1) if code & 1 else sizes).contiguous()
