"""Resampling by whole factors in numpy, with masks: a coarse cell is k × k fine cells with the same corner."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from terrafine.errors import EmptyError, UsageError
from terrafine.raster.warp.kernels import cubic, fine_centres, lanczos, linear

__all__ = ["back_project", "block_mean", "block_sum", "fill_voids", "repeat_mask", "upsample"]

Method = Literal["nearest", "bilinear", "cubic", "lanczos"]
Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

_REACH = {"nearest": 0, "bilinear": 1, "cubic": 2, "lanczos": 3}


def block_mean(fine: Floats, valid: Mask | None, k: int) -> tuple[Floats, Mask]:
    """Return block means of a fine grid, weighted by validity and summed in float64.

    Parameters
    ----------
    fine
        Values (..., y, x).
    valid
        Validity (..., y, x) or (y, x); None means all valid.
    k
        Fine cells per side of a block.

    Returns
    -------
    mean, valid : ndarrays, (..., y/k, x/k)
        A block without a valid cell is 0 and not valid.

    Raises
    ------
    UsageError
        If k does not divide the shape.
    """
    height, width = fine.shape[-2:]
    if k < 1 or height % k or width % k:
        raise UsageError(f"blocks of {k} x {k} cells do not tile a grid of {height} x {width}")
    if valid is None or bool(valid.all()):
        mean = block_sum(fine, k) / k**2
        return mean.astype(fine.dtype), np.ones(mean.shape, np.bool_)
    known = np.broadcast_to(valid, fine.shape)
    n = block_sum(known, k)
    return (block_sum(np.where(known, fine, 0), k) / np.maximum(n, 1)).astype(fine.dtype), n > 0


def block_sum(fine: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Return sums over blocks of k × k cells that tile the grid.

    Parameters
    ----------
    fine
        Values (..., y, x).
    k
        Fine cells per side of a block.

    Returns
    -------
    ndarray of float64, (..., y/k, x/k)
        The sums.
    """
    rows = fine[..., 0::k, :].astype(np.float64)
    for i in range(1, k):
        rows += fine[..., i::k, :]
    total = rows[..., 0::k].copy()
    for j in range(1, k):
        total += rows[..., j::k]
    return total


def repeat_mask(valid: Mask, k: int) -> Mask:
    """Repeat the validity of each coarse cell for its k × k fine cells.

    Parameters
    ----------
    valid
        Validity (..., y, x).
    k
        Fine cells per side of a coarse one.

    Returns
    -------
    ndarray of bool, (..., k·y, k·x)
        Validity of the fine cells.
    """
    return valid.repeat(k, axis=-2).repeat(k, axis=-1)


def upsample(coarse: Floats, k: int, method: Method = "cubic", a: float = -0.5, valid: Mask | None = None) -> Floats:
    """Interpolate at the centres of the k × k fine cells of every cell.

    Beyond the edge the surface is continued by point reflection, so a linear ramp stays linear up to the last cell.
    Invalid cells are first filled from their neighbours (`fill_voids`) and never contribute their own value; mask the
    result with `repeat_mask`.

    Parameters
    ----------
    coarse
        Values (..., y, x).
    k
        Fine cells per side of a coarse one.
    method
        `cubic` is Keys' kernel; `lanczos` has three lobes and normalised weights.
    a
        Parameter of the cubic kernel.
    valid
        Validity (..., y, x) or (y, x); None means all valid.

    Returns
    -------
    ndarray, (..., k·y, k·x)
        The fine surface.

    Raises
    ------
    UsageError
        If k is below 1, or the method is unknown.
    EmptyError
        If no cell is valid.

    References
    ----------
    Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711
    """
    if k < 1:
        raise UsageError(f"a scale is 1 or more; found {k}")
    if method not in _REACH:
        raise UsageError(f"no interpolation is called {method!r}; known are {', '.join(_REACH)}")
    if valid is not None and not valid.all():
        coarse = _filled(coarse, valid)
    if k == 1:
        return coarse.copy()
    if method == "nearest":
        return coarse.repeat(k, axis=-2).repeat(k, axis=-1)
    weights, first = _phases(k, method, a)
    for axis in (-2, -1):
        coarse = _stretch(coarse, weights.astype(coarse.dtype), first, axis)
    return coarse


def _filled(coarse: Floats, valid: Mask) -> Floats:
    flat = coarse.reshape(-1, *coarse.shape[-2:])
    masks = np.broadcast_to(valid, coarse.shape).reshape(flat.shape)
    return np.stack([fill_voids(v, m) for v, m in zip(flat, masks, strict=True)]).reshape(coarse.shape)


def _kernel(x: NDArray[np.float64], method: str, a: float) -> NDArray[np.float64]:
    return cubic(x, a) if method == "cubic" else lanczos(x) if method == "lanczos" else linear(x)


def _phases(k: int, method: str, a: float) -> tuple[NDArray[np.float64], list[int]]:
    """Return the weights (k, taps) of each fine cell, and the offset of its first tap from the coarse cell."""
    reach = _REACH[method]
    weights, first = np.empty((k, 2 * reach)), []
    for phase, centre in enumerate(fine_centres(k)):
        start = math.floor(centre) - reach + 1
        row = _kernel(np.arange(start, start + 2 * reach) - centre, method, a)
        weights[phase] = row / row.sum()
        first.append(start)
    return weights, first


def _stretch(values: Floats, weights: Floats, first: list[int], axis: int) -> Floats:
    moved = np.moveaxis(values, axis, -1)
    n, (k, taps) = moved.shape[-1], weights.shape
    pad = taps // 2
    padded = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(pad, pad)], mode="reflect", reflect_type="odd")
    out = np.zeros((*moved.shape[:-1], n, k), values.dtype)
    for phase in range(k):
        for tap in range(taps):
            start = pad + first[phase] + tap
            out[..., phase] += weights[phase, tap] * padded[..., start : start + n]
    return np.moveaxis(out.reshape(*moved.shape[:-1], n * k), -1, axis)


def back_project(
    fine: Floats, coarse: Floats, k: int, rounds: int = 10, valid: Mask | None = None, method: Method = "cubic"
) -> Floats:
    """Return the fine surface whose block means approach `coarse`: each round adds the upsampled difference.

    Parameters
    ----------
    fine
        Start surface (..., k·y, k·x).
    coarse
        Block means to reach (..., y, x).
    k
        Fine cells per side of a coarse one.
    rounds
        Number of iterations.
    valid
        Coarse cells that count, (..., y, x) or (y, x); None means all.
    method
        Interpolation of the difference.

    Returns
    -------
    ndarray, (..., k·y, k·x)
        The corrected surface.

    Raises
    ------
    UsageError
        As `upsample`.

    References
    ----------
    Irani & Peleg 1991, https://doi.org/10.1016/1049-9652(91)90045-L
    """
    fine = fine.copy()
    for _ in range(rounds):
        gap = coarse - block_mean(fine, None, k)[0]
        if valid is not None:
            gap = np.where(valid, gap, gap.dtype.type(0))
        fine += upsample(gap, k, method)
    return fine


def fill_voids(values: Floats, valid: Mask, *, slope: bool = True) -> Floats:
    """Fill invalid cells so that they continue their surroundings; valid cells are unchanged.

    An invalid cell c with the nearest valid cell p takes the point reflection 2 x[p] - x[2p - c], so that terrain
    continues its slope past coasts and raster edges; or without slope the mirrored value x[2p - c] itself, which stays
    in the range of the values. Where 2p - c is not inside and valid, it takes x[p].

    Parameters
    ----------
    values, valid
        Values (y, x) and their validity.
    slope
        Whether values continue their slope, as heights do; reflectance does not, which would become negative beside
        bright ground.

    Returns
    -------
    ndarray, (y, x)
        A value in every cell.

    Raises
    ------
    EmptyError
        If no cell is valid.
    """
    if valid.all():
        return values.copy()
    ys, xs = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if ys.size == 0:
        raise EmptyError("a window without a valid cell cannot be filled; expected at least one")
    box = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    if valid[box].all():
        return _continued(values[box], values.shape, int(ys[0]), int(xs[0]), slope=slope)
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    void_y, void_x = np.nonzero(~valid)
    py, px = nearest[0][void_y, void_x], nearest[1][void_y, void_x]
    qy, qx = 2 * py - void_y, 2 * px - void_x
    height, width = values.shape
    inside = (qy >= 0) & (qy < height) & (qx >= 0) & (qx < width)
    qy, qx = np.where(inside, qy, py), np.where(inside, qx, px)
    known = valid[qy, qx]
    base, mirror = values[py, px], values[qy, qx]
    out = values.copy()
    out[void_y, void_x] = np.where(known, 2 * base - mirror if slope else mirror, base)
    return out


def _continued(block: Floats, shape: tuple[int, ...], top: int, left: int, *, slope: bool = True) -> Floats:
    """Do `fill_voids` for valid cells in one rectangle: the same values without a distance transform."""
    y, x = np.arange(shape[0]) - top, np.arange(shape[1]) - left
    py, px = np.clip(y, 0, block.shape[0] - 1), np.clip(x, 0, block.shape[1] - 1)
    qy, qx = 2 * py - y, 2 * px - x
    known_y, known_x = (qy >= 0) & (qy < block.shape[0]), (qx >= 0) & (qx < block.shape[1])
    base = block[np.ix_(py, px)]
    mirror = block[np.ix_(np.where(known_y, qy, py), np.where(known_x, qx, px))]
    return np.where(known_y[:, None] & known_x[None, :], 2 * base - mirror if slope else mirror, base)
