"""Interpolate a masked window at arbitrary points, by kernel or as the mean of the parts of a cell."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.warp.kernels import cubic_weights

__all__ = ["averaged", "interpolated"]

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]
Method = Literal["cubic", "bilinear", "nearest"]


def interpolated(
    values: Values, valid: Mask, y: Points, x: Points, corner: tuple[int, int], method: Method
) -> tuple[Values, Mask]:
    """Interpolate at points; a point is valid where the cell that contains it is.

    Invalid cells have no weight, and the other weights are scaled to sum to 1.

    Parameters
    ----------
    values, valid
        A window (y, x) that reaches two cells beyond every valid point.
    y, x
        Points of any shape, in cells of the whole raster from its corner.
    corner
        Row and column of the window's first cell.
    method
        `cubic` is Keys' kernel with a = -0.5.

    Returns
    -------
    values, valid : ndarrays of float32 and bool, of the points' shape
        Values: 0 where not valid.

    References
    ----------
    Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711
    """
    cell, ok = _cells(valid, y, x, corner)
    if method == "nearest":
        return np.where(ok, values.ravel()[cell], np.float32(0)), ok
    (y0, wy), (x0, wx) = (_taps(p, ok, first, method) for p, first in zip((y, x), corner, strict=True))
    width = valid.shape[1]
    base = y0 * width + x0
    flat = np.where(valid, values, np.float32(0)).ravel()
    out = _weighted(flat, base, width, wy, wx)
    if not valid.all():
        whole = _all_under(valid, len(wy)).take(base) | ~ok
        total = _weighted(valid.ravel().astype(np.float32), base, width, wy, wx)
        out /= np.where(whole, np.float32(1), total)
    out[~ok] = 0.0
    return out, ok


def _taps(p: Points, ok: Mask, first: int, method: Method) -> tuple[NDArray[np.intp], list[Values]]:
    """Return the first cell under the kernel, from the window's corner, and the weights from that cell on."""
    centred = np.where(ok, p, first + 2.5) - 0.5
    before = np.floor(centred)
    start = before.astype(np.intp) - first - (1 if method == "cubic" else 0)
    return start, _weights((centred - before).astype(np.float32), method)


def _all_under(valid: Mask, size: int) -> Mask:
    """Return whether all size × size cells from each one on are valid, flat; False where they leave the window."""
    out = np.zeros(valid.shape, np.bool_)
    high, wide = valid.shape[0] - size + 1, valid.shape[1] - size + 1
    out[:high, :wide] = True
    for i in range(size):
        for j in range(size):
            out[:high, :wide] &= valid[i : i + high, j : j + wide]
    return out.ravel()


def _weighted(flat: Values, base: NDArray[np.intp], width: int, wy: list[Values], wx: list[Values]) -> Values:
    out = np.zeros(base.shape, np.float32)
    for i, down in enumerate(wy):
        line = np.zeros(base.shape, np.float32)
        for j, across in enumerate(wx):
            line += across * flat[i * width + j :].take(base)
        out += down * line
    return out


def averaged(
    values: Values, valid: Mask, y: Points, x: Points, corner: tuple[int, int], parts: int
) -> tuple[Values, Mask]:
    """Average over the parts of each cell, weighted by validity.

    Parts are read bilinearly, so that a slope keeps its place whatever the ratio of the cell sizes. Where each part
    lies on one source cell, as with whole ratios, this is the block mean. A cell is valid where at least half of its
    parts are.

    Parameters
    ----------
    values, valid
        A window (y, x) that reaches two cells beyond every valid point.
    y, x
        Centres of the parts, (y · parts, x · parts), in cells of the whole raster from its corner.
    corner
        Row and column of the window's first cell.
    parts
        Parts per side of a cell.

    Returns
    -------
    values, valid : ndarrays of float32 and bool, (y, x)
        Values: 0 where not valid.
    """
    found, ok = interpolated(values, valid, y, x, corner, "bilinear")
    shape = (y.shape[0] // parts, parts, y.shape[1] // parts, parts)
    total = found.astype(np.float64).reshape(shape).sum(axis=(1, 3))
    n = ok.reshape(shape).sum(axis=(1, 3))
    kept = 2 * n >= parts * parts
    return np.where(kept, total / np.maximum(n, 1), 0.0).astype(np.float32), kept


def _cells(valid: Mask, y: Points, x: Points, corner: tuple[int, int]) -> tuple[NDArray[np.intp], Mask]:
    """Return the flat index of the cell that contains each point (0 outside), and whether that cell is valid."""
    height, width = valid.shape
    top, left = corner
    with np.errstate(invalid="ignore"):
        inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    row = np.floor(np.where(inside, y, top)).astype(np.intp) - top
    col = np.floor(np.where(inside, x, left)).astype(np.intp) - left
    cell = row * width + col
    return cell, inside & valid.ravel().take(cell)


def _weights(t: Values, method: Method) -> list[Values]:
    """Return the kernel's weights of the cells around points that lie `t` (0 to 1) between two centres."""
    return [np.float32(1) - t, t] if method == "bilinear" else cubic_weights(t)
