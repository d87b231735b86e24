"""What terrain hides from a radar: cast shadow and cast layover, by rays over the surface.

numpy, no gradients. Heights (y, x) in metres, NaN where void, rows running south; pixel_size_m (2, y), metres along y
and x by row; angles in degrees as in `radar`. A ray goes from each cell in the direction of the sensor and reads the
surface where it crosses the lines of the grid, rows or columns, whichever it crosses more often, linearly between two
cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hidden", "cast_layover", "cast_shadow", "radar_masks", "reach_m"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Cells in layover and cells in shadow; bool (y, x)."""

    layover: Mask
    shadow: Mask

    @property
    def either(self) -> Mask:
        """Cells whose echo says nothing of their own slope."""
        return self.layover | self.shadow


def reach_m(relief_m: float, incidence: float) -> tuple[float, float]:
    """How far relief can cast a shadow and a layover over level ground, metres: h tan θ and h/tan θ."""
    tangent = math.tan(math.radians(incidence))
    return relief_m * tangent, relief_m / tangent


def radar_masks(z: F64, pixel_size_m: F64, incidence: float | F64, azimuth: float) -> Hidden:
    """Layover and shadow of a surface, the ground's own and what it casts."""
    return Hidden(cast_layover(z, pixel_size_m, incidence, azimuth), cast_shadow(z, pixel_size_m, incidence, azimuth))


def cast_shadow(z: F64, pixel_size_m: F64, incidence: float | F64, azimuth: float) -> Mask:
    """Cells from which ground toward the sensor stands higher than 90° − θ; bool (y, x).

    A wall of height h shades level ground behind it for h tan θ. Ground with LIA ≥ 90° shades itself. Cost: cells ×
    steps, steps up to the relief's reach; Earth's curvature is left out (2 m in 5 km). Voids shade nothing and are not
    in shadow. incidence: a number or (y, x).
    """
    limit = 1 / _tangent(incidence)
    return np.asarray(_steepest_rise(z, pixel_size_m, azimuth, float(np.min(limit))) >= limit)


def cast_layover(z: F64, pixel_size_m: F64, incidence: float | F64, azimuth: float) -> Mask:
    """Cells whose slant range some other ground shares; bool (y, x).

    Ground at distance d away from the sensor and higher by d tan θ or more comes in no later than the cell does, as
    does the cell itself with ground toward the sensor that is lower by as much. So the slope that is turned over, what
    lies at its foot and what lies behind its top are all found. Cost and voids as for `cast_shadow`.
    """
    limit = _tangent(incidence)
    lowest = float(np.min(limit))
    behind = _steepest_rise(z, pixel_size_m, azimuth + 180, lowest) >= limit
    return np.asarray(behind | (_steepest_rise(-z, pixel_size_m, azimuth, lowest) >= limit))


def _tangent(incidence: float | F64) -> F64:
    theta = np.asarray(incidence, np.float64)
    if not ((theta > 0) & (theta < 90)).all():
        raise ValueError(f"incidence from {theta.min()} to {theta.max()} degrees; expected between 0 and 90")
    return np.tan(np.radians(theta))


def _steepest_rise(z: F64, pixel_size_m: F64, azimuth: float, least: float) -> F64:
    """Greatest rise per metre from each cell to any ground along the azimuth, as far as one above `least` can be.

    −∞ where there is no ground. Steps are whole columns, or whole rows where the ray crosses more of those; the ray's
    course in cells is that of the row it starts in.
    """
    z = np.asarray(z)
    if z.ndim != 2 or pixel_size_m.shape != (2, z.shape[0]):
        raise ValueError(f"heights are {z.shape}, pixel sizes {pixel_size_m.shape}; expected (y, x) and (2, y)")
    best = np.full(z.shape, -np.inf)
    if not np.isfinite(z).any():
        return best
    relief = float(np.nanmax(z) - np.nanmin(z))
    east, north = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    dy, dx = pixel_size_m
    columns = abs(east) * dy.mean() >= abs(north) * dx.mean()
    stride = dx / abs(east) if columns else dy / abs(north)
    most = z.shape[1] if columns else z.shape[0]
    drift = -stride * north / dy if columns else stride * east / dx
    one = _one_column if columns else _one_row
    toward = (1 if east > 0 else -1) if columns else (-1 if north > 0 else 1)
    for k in range(1, min(most, int(relief / least / float(stride.min())) + 2)):
        one(z, best, k, toward, drift, stride)
    return best


def _one_column(z: F64, best: F64, k: int, toward: int, drift: F64, stride: F64) -> None:
    """Take step k across columns into `best`: the surface between two rows of one column."""
    upper, part, inside = _between(np.arange(z.shape[0]) + k * drift, z.shape[0])
    here, there = (np.s_[:-k], np.s_[k:]) if toward > 0 else (np.s_[k:], np.s_[:-k])
    lower = np.where(part > 0, upper + 1, upper)
    seen = z[upper[inside], there] * (1 - part[inside, None]) + z[lower[inside], there] * part[inside, None]
    rise = (seen - z[inside, here]) / (k * stride[inside, None])
    best[inside, here] = np.fmax(best[inside, here], rise)


def _one_row(z: F64, best: F64, k: int, toward: int, drift: F64, stride: F64) -> None:
    """Take step k across rows into `best`: the surface between two columns of one row."""
    here, there = (np.s_[:-k], np.s_[k:]) if toward > 0 else (np.s_[k:], np.s_[:-k])
    at = np.arange(z.shape[1]) + k * drift[here, None]
    left, part, inside = _between(at, z.shape[1])
    right = np.where(part > 0, left + 1, left)
    left, right = (np.where(inside, i, 0) for i in (left, right))
    row = z[there]
    seen = np.take_along_axis(row, left, 1) * (1 - part) + np.take_along_axis(row, right, 1) * part
    rise = np.where(inside, (seen - z[here]) / (k * stride[here, None]), np.nan)
    best[here] = np.fmax(best[here], rise)


def _between(at: F64, size: int) -> tuple[NDArray[np.intp], F64, Mask]:
    """The cell before each position, the part of a cell beyond it, and whether both neighbours are inside."""
    near = np.round(at)
    at = np.where(np.abs(at - near) < 1e-9 * size, near, at)  # on a line of cells, its neighbour must not matter
    before = np.floor(at)
    part = at - before
    inside = (before >= 0) & (before + (part > 0) <= size - 1)
    return before.astype(np.intp), part, inside
