"""Separable linear operators on square patches as matrices, so that one code runs on every device in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terrafine.physics.sensor_model import gaussian
from terrafine.raster.warp.kernels import cubic

__all__ = ["apply", "block_means", "blur", "enlarge", "move", "on_device", "patch_device"]

F64 = NDArray[np.float64]


def patch_device(device: torch.device) -> torch.device:
    """Return where patches are made for a network on a device: there, or on the CPU where it has no float64.

    Parameters
    ----------
    device
        Device of the network.

    Returns
    -------
    torch.device
        Device of the patches.
    """
    return torch.device("cpu") if device.type == "mps" else device


def on_device(values: NDArray[np.floating] | F64, device: torch.device) -> Tensor:
    """Move an array to a device as float64.

    Parameters
    ----------
    values
        Any shape.
    device
        Where it goes.

    Returns
    -------
    Tensor
        float64, the same shape.
    """
    return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(device)


def blur(values: Tensor, sigma: float, *, wrap: bool = False, truncate: float = 3.0) -> Tensor:
    """Blur by a sampled Gaussian; edges are repeated, or wrapped around.

    Parameters
    ----------
    values
        (y, x).
    sigma
        Standard deviation in cells.
    wrap
        Whether the patch goes on at its other side.
    truncate
        Where the Gaussian is cut, in standard deviations.

    Returns
    -------
    Tensor
        (y, x).
    """
    reach = int(truncate * sigma + 0.5)
    if reach == 0:
        return values
    offsets = np.arange(-reach, reach + 1)
    taps = gaussian(offsets.astype(np.float64), sigma)
    taps /= taps.sum()

    def matrix(n: int) -> F64:
        at = np.arange(n)[:, None] + offsets
        return _filled(n, n, at % n if wrap else at.clip(0, n - 1), np.broadcast_to(taps, at.shape))

    return apply(values, matrix)


def move(values: Tensor, along: tuple[float, float]) -> Tensor:
    """Shift by a part of a cell along y and x, by cubic convolution; edges are repeated.

    Parameters
    ----------
    values
        (y, x).
    along
        Cells along y and x.

    Returns
    -------
    Tensor
        (y, x).
    """
    matrices = []
    for n, by in zip(values.shape, along, strict=True):
        where = np.arange(n) - by
        at = np.floor(where).astype(int)[:, None] + np.arange(-1, 3)
        matrices.append(_filled(n, n, at.clip(0, n - 1), cubic(where[:, None] - at)))
    rows, cols = (on_device(m, values.device) for m in matrices)
    return rows @ values @ cols.T


def enlarge(values: Tensor, k: int) -> Tensor:
    """Interpolate linearly to k cells along each cell, between cell centres.

    Parameters
    ----------
    values
        (y, x).
    k
        Fine cells along a cell.

    Returns
    -------
    Tensor
        (k·y, k·x).
    """

    def matrix(n: int) -> F64:
        where = ((np.arange(n * k) + 0.5) / k - 0.5).clip(0, n - 1)
        low = np.floor(where).astype(int).clip(0, max(n - 2, 0))
        at = np.stack([low, np.minimum(low + 1, n - 1)], axis=1)
        share = where - low
        return _filled(n * k, n, at, np.stack([1 - share, share], axis=1))

    return apply(values, matrix)


def block_means(values: Tensor, k: int) -> Tensor:
    """Mean over blocks of k × k cells.

    Parameters
    ----------
    values
        (k·y, k·x).
    k
        Cells along a block.

    Returns
    -------
    Tensor
        (y, x).
    """
    y, x = values.shape[0] // k, values.shape[1] // k
    return values[: y * k, : x * k].reshape(y, k, x, k).mean(dim=(1, 3))


def apply(values: Tensor, matrix: Callable[[int], F64]) -> Tensor:
    """Apply a linear operator along both axes.

    Parameters
    ----------
    values
        (y, x).
    matrix
        Function from the number of cells to the matrix of the operator.

    Returns
    -------
    Tensor
        (rows of the matrix for y, rows of the matrix for x).
    """
    y, x = values.shape
    rows = on_device(matrix(y), values.device)
    cols = rows if x == y else on_device(matrix(x), values.device)
    found: Tensor = rows @ values @ cols.T
    return found


def _filled(rows: int, cols: int, at: NDArray[np.integer], weights: F64) -> F64:
    """Matrix with `weights` of each row at the columns `at`, both (rows, taps); weights at one column add up."""
    made = np.zeros((rows, cols))
    np.add.at(made, (np.arange(rows)[:, None], at), weights)
    return made
