"""Find the sub-pixel shift between two surfaces on one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, map_coordinates, spline_filter

from terrafine.errors import EmptyError
from terrafine.raster.resample import fill_voids

__all__ = ["Shift", "estimate_shift"]

Surface = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shift:
    """How far features of b lie below (`dy`) and right (`dx`) of those of a, in cells; `confidence` from 0 to 1."""

    dy: float
    dx: float
    confidence: float


def estimate_shift(
    a: NDArray[np.floating], b: NDArray[np.floating], valid: NDArray[np.bool_] | None = None, rounds: int = 12
) -> Shift:
    """The (dy, dx) for which b(y + dy, x + dx) = a(y, x) + constant, and how well the shifted slopes agree.

    Whole cells by phase correlation of the gradients (Kuglin & Hines 1975), the rest by least squares on them (Lucas &
    Kanade 1981, https://dl.acm.org/doi/10.5555/1623264.1623280). Confidence is the correlation of the slopes once
    shifted, 0 where that is negative. Raises EmptyError where fewer than 64 cells are valid.
    """
    known = np.ones(a.shape, np.bool_) if valid is None else valid
    if int(known.sum()) < 64:
        raise EmptyError(f"a shift needs 64 cells that are valid in both surfaces; found {int(known.sum())}")
    first, second = (np.asarray(fill_voids(s.astype(np.float64), known), np.float64) for s in (a, b))
    solid = np.asarray(binary_erosion(known, np.ones((5, 5), np.bool_), border_value=1), np.bool_)
    dy, dx = _whole_cells(first, second, solid)
    spline = spline_filter(second, order=3)
    rows, cols = np.meshgrid(np.arange(a.shape[0]), np.arange(a.shape[1]), indexing="ij")
    agreement = 0.0
    for _ in range(rounds):
        at = np.stack([rows + dy, cols + dx])
        moved = np.asarray(map_coordinates(spline, at, order=3, prefilter=False, mode="nearest"), np.float64)
        there = np.asarray(map_coordinates(solid.astype(np.float64), at, order=1, mode="nearest")) > 0.99
        inner = solid & there & _inside(a.shape, dy, dx)
        if int(inner.sum()) < 64:
            return Shift(0.0, 0.0, 0.0)
        gy, gx = (np.asarray(g, np.float64) for g in np.gradient(moved))
        gap: Surface = np.subtract(first, moved)
        design = np.stack([gy[inner], gx[inner], np.ones(int(inner.sum()))], axis=1)
        step, *_ = np.linalg.lstsq(design, gap[inner], rcond=None)
        agreement = _agreement(first, moved, inner)
        down, across = (max(-1.0, min(1.0, s)) for s in np.asarray(step).tolist()[:2])
        dy, dx = dy + down, dx + across
        if max(abs(down), abs(across)) < 1e-4:
            break
    return Shift(dy, dx, agreement)


def _inside(shape: tuple[int, ...], dy: float, dx: float) -> NDArray[np.bool_]:
    y, x = np.arange(shape[0]) + dy, np.arange(shape[1]) + dx
    return ((y >= 2) & (y <= shape[0] - 3))[:, None] & ((x >= 2) & (x <= shape[1] - 3))[None, :]


def _agreement(a: Surface, b: Surface, inner: NDArray[np.bool_]) -> float:
    pairs = [(p[inner], q[inner]) for p, q in zip(np.gradient(a), np.gradient(b), strict=True)]
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return max(0.0, float(left @ right) / scale) if scale > 0 else 0.0


def _whole_cells(a: Surface, b: Surface, solid: NDArray[np.bool_]) -> tuple[float, float]:
    window = np.hanning(a.shape[0])[:, None] * np.hanning(a.shape[1])[None, :]
    spectra = []
    for surface in (a, b):
        gy, gx = np.gradient(surface)
        spectra.append(np.fft.fft2((gx + 1j * gy) * window * solid))
    cross = spectra[1] * np.conj(spectra[0])
    # Half-whitened: full phase correlation hears the edge of a mask, which does not move, as loudly as the terrain.
    size = np.sqrt(np.abs(cross))
    peak = np.abs(np.fft.ifft2(cross / np.maximum(size, 1e-12 * max(float(size.max()), 1e-300))))
    y, x = np.unravel_index(int(np.argmax(peak)), peak.shape)
    height, width = a.shape
    dy, dx = (int(y) + height // 2) % height - height // 2, (int(x) + width // 2) % width - width // 2
    return float(dy), float(dx)
