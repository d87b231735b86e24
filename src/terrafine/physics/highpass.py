"""Local anomalies: values minus the mean over a window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["highpass"]


def highpass(values: Tensor, valid: Tensor, window: int) -> Tensor:
    """Subtract from each value the mean over the valid cells of a window around it.

    Parameters
    ----------
    values, valid
        Values and bool mask, (…, y, x).
    window
        Side of the window in cells, odd and at least 3.

    Returns
    -------
    Tensor
        Local anomalies, (…, y, x); 0 where not valid.

    Raises
    ------
    ValueError
        For a window that is even or smaller than 3 cells.
    """
    if window < 3 or window % 2 == 0:
        raise ValueError(f"a window of {window} cells; expected an odd number of at least 3")
    total = _box(_box(torch.where(valid, values, 0.0), window, -2), window, -1)
    if bool(valid.all()):  # then the product of the counts along each side is exact, since both are integers
        down, across = torch.ones_like(values[..., :1]), torch.ones_like(values[..., :1, :])
        count = _box(down, window, -2) * _box(across, window, -1)
    else:
        count = _box(_box(valid.to(values.dtype), window, -2), window, -1)
    return torch.where(valid, values - total / count.clamp_min(1.0), 0.0)


def _box(v: Tensor, window: int, dim: int) -> Tensor:
    """Sum over an odd window along one axis, with zeros beyond the border.

    Sums of 1, 2, 4 … cells are combined by the binary digits of the window: the cost grows with the logarithm of its
    side, and the order of a cell's sum does not depend on where a tile begins.
    """
    size, half = v.shape[dim], window // 2
    part = functional.pad(v, (half, half) if dim == -1 else (0, 0, half, half))
    total, at, length = torch.zeros_like(v), 0, 1
    while length <= window:
        if window & length:
            total = total + part.narrow(dim, at, size)
            at += length
        if (length := 2 * length) <= window:
            reach = part.shape[dim] - length // 2
            part = part.narrow(dim, 0, reach) + part.narrow(dim, length // 2, reach)
    return total
