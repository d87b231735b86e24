"""Fixed linear operators between a coarse cell and its k×k fine cells, written on neighbour differences.

A fine surface is stored as `subcells`: (n, k², y, x), where channel i*k + j is fine row i, column j inside each coarse
cell. In that form the block mean is a mean over channels, and registration is exact by construction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.warp.kernels import cubic, fine_centres, linear

if TYPE_CHECKING:
    import torch

__all__ = [
    "consistent_cubic",
    "context_kernel",
    "cubic_taps",
    "forward_differences",
    "linear_taps",
    "nearest_taps",
    "on_differences",
]

F64 = NDArray[np.float64]


def cubic_taps(k: int, a: float = -0.5) -> F64:
    """Return the taps of Keys' cubic convolution at the k fine centres of a cell.

    Fine centre p lies (p + 0.5)/k - 0.5 coarse cells from the coarse centre.

    Parameters
    ----------
    k
        Fine cells along a coarse cell.
    a
        Parameter of the kernel; -0.5 gives third-order accuracy, as in GDAL.

    Returns
    -------
    ndarray
        (k, 5), taps at coarse offsets -2…2; rows sum to one.

    References
    ----------
    Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    return cubic(_offsets(k), a)


def consistent_cubic(k: int, radius: int = 7, a: float = -0.5) -> F64:
    """Return the taps of the cubic interpolation whose block means equal the coarse values.

    It is the limit of back-projecting the cubic surface repeatedly, U (A U)⁻¹ with U the interpolation and A the block
    mean. Both are separable, so the limit is computed in one dimension.

    Parameters
    ----------
    k, a
        As in `cubic_taps`.
    radius
        Coarse cells at which the taps are cut off; at 7 they are below 1e-6.

    Returns
    -------
    ndarray
        (k, 2·radius + 1), rows sum to one.
    """
    taps = cubic_taps(k, a)
    ring = 128
    mean = np.zeros(ring)
    mean[np.arange(-2, 3)] = taps.mean(axis=0)
    inverse = np.fft.ifft(1.0 / np.fft.fft(mean)).real
    kernel = np.zeros((k, 2 * radius + 1))
    for i, offset in enumerate(range(-radius, radius + 1)):
        # A tap at offset o gathers interpolation taps d with prefilter taps o - d.
        kernel[:, i] = sum(taps[:, d + 2] * inverse[(offset - d) % ring] for d in range(-2, 3))
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def context_kernel(window: int) -> F64:
    """Return the taps of a one-dimensional box mean.

    Parameters
    ----------
    window
        Width in cells, odd.

    Returns
    -------
    ndarray
        (1, window), weights that sum to one.
    """
    return np.full((1, window), 1.0 / window)


def on_differences(rows: F64, cols: F64, radius: int) -> F64:
    """Rewrite Σ r_i c_j (x_ij - x_00) as a correlation with forward differences.

    A height enters only as a sum of neighbour differences, so a constant added to the heights changes nothing and
    float32 keeps full precision on any summit. The path leads along column 0 to row i, then along row i to column j.

    Parameters
    ----------
    rows, cols
        Taps along y and x, (m, 2r + 1), each row summing to one; all pairs (i, j) are formed, y slowest.
    radius
        Radius of the result in coarse cells.

    Returns
    -------
    ndarray
        (m², 2, 2·radius + 1, 2·radius + 1), weights on dy[y] = x[y+1] - x[y] and on dx likewise.

    Raises
    ------
    ValueError
        For taps wider than the result.
    """
    size = 2 * radius + 1
    row_taps, col_taps = _centred(rows, size), _centred(cols, size)
    row_steps, col_steps = _steps(row_taps), _steps(col_taps)
    m = len(row_taps)
    out = np.zeros((m, len(col_taps), 2, size, size))
    out[:, :, 0, :, radius] = row_steps[:, None, :]
    out[:, :, 1] = row_taps[:, None, :, None] * col_steps[None, :, None, :]
    return out.reshape(-1, 2, size, size)


def forward_differences(x: torch.Tensor) -> torch.Tensor:
    """Compute the differences x[y+1] - x[y] and x[x+1] - x[x], zero past the last row and column.

    Parameters
    ----------
    x
        Heights, (n, 1, y, x).

    Returns
    -------
    torch.Tensor
        (n, 2, y, x), along y and along x.
    """
    import torch

    dy = torch.nn.functional.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 1))
    dx = torch.nn.functional.pad(x[:, :, :, 1:] - x[:, :, :, :-1], (0, 1, 0, 0))
    return torch.cat((dy, dx), dim=1)


def _centred(taps: F64, size: int) -> F64:
    pad = (size - taps.shape[1]) // 2
    if pad < 0:
        raise ValueError(f"taps of width {taps.shape[1]} do not fit in {size}")
    return np.pad(taps, ((0, 0), (pad, pad)))


def _steps(taps: F64) -> F64:
    """Weight of each forward difference in Σ t_j (x_j - x_0): tails to the right, minus heads to the left."""
    size = taps.shape[1]
    centre = size // 2
    steps = np.zeros_like(taps)
    for j in range(size):
        steps[:, j] = taps[:, j + 1 :].sum(axis=1) if j >= centre else -taps[:, : j + 1].sum(axis=1)
    return steps


def linear_taps(k: int) -> F64:
    """Return the taps of linear interpolation at the k fine centres of a cell.

    Parameters
    ----------
    k
        Fine cells along a coarse cell.

    Returns
    -------
    ndarray
        (k, 5), taps at coarse offsets -2…2; rows sum to one.
    """
    return linear(_offsets(k))


def _offsets(k: int) -> F64:
    """From the coarse cells at offsets -2…2 to the k fine centres of a cell, in coarse cells; (k, 5)."""
    return fine_centres(k)[:, None] - np.arange(-2, 3)[None, :]


def nearest_taps(k: int) -> F64:
    """Return the taps that give each fine centre the height of its own cell.

    Parameters
    ----------
    k
        Fine cells along a coarse cell.

    Returns
    -------
    ndarray
        (k, 5), taps at coarse offsets -2…2.
    """
    return np.tile(np.array([0.0, 0.0, 1.0, 0.0, 0.0]), (k, 1))
