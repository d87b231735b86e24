"""Shared parts of the terrain laws: cell sizes, neighbours of a cell, and means over the cells that count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Sizes", "cell_sizes", "compared", "extended", "inner_valid", "mean_over", "neighbour"]

Sizes = Tensor | float | Sequence[float]
"""Metres along y and x: one number, (y, x), (2, y) by row, or (…, 2, y, 1) and (…, 2, y, x) by cell."""


def cell_sizes(pixel_size_m: Sizes, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the size of a cell in metres along y and along x, in shapes that broadcast against the heights.

    Parameters
    ----------
    pixel_size_m
        In any form of `Sizes`.
    z
        Heights, (…, y, x).

    Returns
    -------
    tuple[Tensor, Tensor]
        Sizes along y and along x.

    Raises
    ------
    ValueError
        For a shape that does not fit the heights.
    """
    size = torch.as_tensor(pixel_size_m, dtype=z.dtype, device=z.device)
    if size.ndim == 0:
        return size, size
    if size.ndim <= 2:
        if size.shape[0] != 2 or (size.ndim == 2 and size.shape[1] != z.shape[-2]):
            raise ValueError(f"pixel sizes are {tuple(size.shape)}; expected (2,) or (2, {z.shape[-2]}): along y and x")
        return (size[0], size[1]) if size.ndim == 1 else (size[0, :, None], size[1, :, None])
    fits = size.shape[-3] == 2 and size.shape[-2] in (1, z.shape[-2]) and size.shape[-1] in (1, z.shape[-1])
    if not fits or size.ndim not in (z.ndim, z.ndim + 1):
        raise ValueError(f"pixel sizes are {tuple(size.shape)} for heights {tuple(z.shape)}; expected (…, 2, y, 1)")
    if size.ndim == z.ndim:  # heights with a channel axis
        return size[..., 0:1, :, :], size[..., 1:2, :, :]
    return size[..., 0, :, :], size[..., 1, :, :]


def neighbour(z: Tensor, dy: int, dx: int) -> Tensor:
    """Return the neighbour of every inner cell in one direction.

    Parameters
    ----------
    z
        Values, (…, y, x).
    dy, dx
        Rows south and columns east, each −1, 0 or 1.

    Returns
    -------
    Tensor
        (…, y - 2, x - 2).
    """
    return z[..., 1 + dy : z.shape[-2] - 1 + dy, 1 + dx : z.shape[-1] - 1 + dx]


def extended(z: Tensor) -> Tensor:
    """Add a ring of cells, extrapolated linearly, so that a plane stays a plane.

    Parameters
    ----------
    z
        Heights, (…, y, x), at least 2 rows and 2 columns.

    Returns
    -------
    Tensor
        (…, y + 2, x + 2).

    Raises
    ------
    ValueError
        For fewer rows or columns.
    """
    if z.ndim < 2 or min(z.shape[-2:]) < 2:
        raise ValueError(f"heights are {tuple(z.shape)}; expected (…, y, x) with at least 2 rows and 2 columns")
    z = torch.cat([2 * z[..., :1, :] - z[..., 1:2, :], z, 2 * z[..., -1:, :] - z[..., -2:-1, :]], dim=-2)
    return torch.cat([2 * z[..., :1] - z[..., 1:2], z, 2 * z[..., -1:] - z[..., -2:-1]], dim=-1)


def inner_valid(valid: Tensor) -> Tensor:
    """Find the inner cells whose neighbourhood of nine cells is valid throughout.

    Parameters
    ----------
    valid
        Bool, (…, y, x).

    Returns
    -------
    Tensor
        Bool (…, y - 2, x - 2).
    """
    rows = valid[..., :-2, :] & valid[..., 1:-1, :] & valid[..., 2:, :]
    return rows[..., :-2] & rows[..., 1:-1] & rows[..., 2:]


def compared(prediction: Tensor, truth: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Prepare two surfaces for comparison over their valid inner cells.

    Parameters
    ----------
    prediction, truth
        Surfaces of one shape, (…, y, x), at least 3 rows and 3 columns.
    valid
        Bool mask; all cells where None.

    Returns
    -------
    tuple[Tensor, Tensor, Tensor]
        Both surfaces with 0 at nodata, and the inner cells that may be compared, bool (…, y - 2, x - 2).

    Raises
    ------
    ValueError
        Where shapes differ, where there is no inner cell, where a surface has none that is valid, or for a mask that is
        not bool.
    """
    if prediction.shape != truth.shape or prediction.ndim < 2 or min(prediction.shape[-2:]) < 3:
        raise ValueError(
            f"prediction is {tuple(prediction.shape)}, truth {tuple(truth.shape)}; expected one shape (…, y, x) of at "
            "least 3 rows and 3 columns"
        )
    if valid is None:
        y, x = prediction.shape[-2:]
        return (
            prediction,
            truth,
            torch.ones((y - 2, x - 2), dtype=torch.bool, device=truth.device).expand(*truth.shape[:-2], y - 2, x - 2),
        )
    if valid.dtype != torch.bool:
        raise ValueError(f"the mask is {valid.dtype}; expected bool, True where valid")
    valid = valid.expand_as(truth)
    inner = inner_valid(valid)
    if not bool(inner.flatten(-2).any(-1).all()):
        raise ValueError("no cell has nine valid cells around it, so there is nothing to compare; leave the patch out")
    zero = truth.new_zeros(())
    return torch.where(valid, prediction, zero), torch.where(valid, truth, zero), inner


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Compute the mean of each surface's values over the cells that count.

    Parameters
    ----------
    values
        Values, (…, y, x).
    where
        Bool mask or weights, (…, y, x).

    Returns
    -------
    Tensor
        (…); 0 for a surface whose weights are all 0.
    """
    weight = where.to(values.dtype).expand_as(values)
    return (values * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(torch.finfo(values.dtype).tiny)
