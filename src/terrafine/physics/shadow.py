"""Cast shadow and cast layover of a radar, by rays over the surface.

numpy, no gradients. Heights (y, x) in metres, NaN at nodata, rows running south; pixel_size_m (2, y), metres along y
and x by row; angles in degrees as in `radar`. A ray runs from each cell in the direction of the sensor. It samples the
surface where it crosses grid lines (rows or columns, whichever it crosses more often), linearly between two cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["cast_layover", "cast_shadow", "RadarMasks", "radar_masks", "reach_m"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BLOCK = (64, 128)


@dataclass(frozen=True, slots=True)
class RadarMasks:
    """Layover and shadow masks of a surface.

    Attributes
    ----------
    layover, shadow
        Cells in layover and cells in shadow, bool (y, x).
    """

    layover: Mask
    shadow: Mask

    @property
    def either(self) -> Mask:
        """Cells in layover or shadow, whose echo carries no information on their own slope; bool (y, x)."""
        return self.layover | self.shadow


def reach_m(relief_m: float, incidence: float) -> tuple[float, float]:
    """Compute how far relief can cast a shadow and a layover over level ground: h tan θ and h/tan θ.

    Parameters
    ----------
    relief_m
        Height h in metres.
    incidence
        θ in degrees.

    Returns
    -------
    tuple[float, float]
        Reach of the shadow and of the layover, metres.
    """
    tangent = math.tan(math.radians(incidence))
    return relief_m * tangent, relief_m / tangent


def radar_masks(z: F64, pixel_size_m: F64, incidence: float | F64, azimuth: float) -> RadarMasks:
    """Compute layover and shadow of a surface, both by its own slope and cast.

    Parameters
    ----------
    z, pixel_size_m, incidence, azimuth
        As in `cast_shadow`.

    Returns
    -------
    RadarMasks
        Both masks.

    Raises
    ------
    ValueError
        As `cast_shadow`.
    """
    return RadarMasks(
        cast_layover(z, pixel_size_m, incidence, azimuth), cast_shadow(z, pixel_size_m, incidence, azimuth)
    )


def cast_shadow(z: F64, pixel_size_m: F64, incidence: float | F64, azimuth: float) -> Mask:
    """Find cells from which ground toward the sensor rises at more than 90° − θ.

    A wall of height h shades level ground behind it for h tan θ. Ground with LIA ≥ 90° shades itself. The cost is cells
    × steps, with steps up to the relief's reach. Earth's curvature is ignored (2 m in 5 km). Nodata shades nothing and
    is not in shadow.

    Parameters
    ----------
    z
        Heights in metres, (y, x), NaN at nodata.
    pixel_size_m
        Metres along y and x by row, (2, y).
    incidence
        θ in degrees, a number or (y, x).
    azimuth
        From the target to the sensor, degrees clockwise from the grid's north.

    Returns
    -------
    ndarray
        Bool (y, x).

    Raises
    ------
    ValueError
        For an incidence not between 0 and 90 degrees, or shapes that do not fit.
    """
    limit = 1 / _tangent(incidence)
    return np.asarray(_steepest_rise(z, pixel_size_m, azimuth, float(np.min(limit))) >= limit)


def cast_layover(z: F64, pixel_size_m: F64, incidence: float | F64, azimuth: float) -> Mask:
    """Find cells that share their slant range with other ground.

    Ground at distance d away from the sensor that is higher by d tan θ or more has its echo no later than the cell. The
    same holds for the cell relative to lower ground toward the sensor. The mask therefore covers the slope in layover,
    the ground at its foot and the ground behind its top. Cost and nodata are as for `cast_shadow`.

    Parameters
    ----------
    z, pixel_size_m, incidence, azimuth
        As in `cast_shadow`.

    Returns
    -------
    ndarray
        Bool (y, x).

    Raises
    ------
    ValueError
        As `cast_shadow`.
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


@dataclass(frozen=True, slots=True)
class _Ray:
    """The course of a ray over the grid.

    It moves by whole columns (or rows) in the direction `toward`, by `drift` rows (or columns) and `stride` metres a
    step, both by row, as long as the ground can rise by `least` metres per metre.
    """

    columns: bool
    toward: int
    drift: F64
    stride: F64
    least: float


def _steepest_rise(z: F64, pixel_size_m: F64, azimuth: float, least: float) -> F64:
    """Greatest rise per metre from each cell to any ground along the azimuth, as far as one above `least` can be.

    −∞ where there is no ground. Steps are whole columns, or whole rows where the ray crosses more of those; the ray's
    course in cells is that of the row it starts in. Cells are processed in small blocks: only a low block in high
    ground needs long rays, and a block stays in the processor's cache.
    """
    z = np.asarray(z)
    if z.ndim != 2 or pixel_size_m.shape != (2, z.shape[0]):
        raise ValueError(f"heights are {z.shape}, pixel sizes {pixel_size_m.shape}; expected (y, x) and (2, y)")
    east, north = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    dy, dx = pixel_size_m
    if abs(east) * dy.mean() >= abs(north) * dx.mean():
        stride = dx / abs(east)
        ray = _Ray(True, 1 if east > 0 else -1, -stride * north / dy, stride, least)
    else:
        stride = dy / abs(north)
        ray = _Ray(False, -1 if north > 0 else 1, stride * east / dx, stride, least)
    best = np.full(z.shape, -np.inf)
    high, low = np.where(np.isnan(z), -np.inf, z), np.where(np.isnan(z), np.inf, z)
    top = float(high.max())
    for y in range(0, z.shape[0], _BLOCK[0]):
        for x in range(0, z.shape[1], _BLOCK[1]):
            block = np.s_[y : min(y + _BLOCK[0], z.shape[0]), x : min(x + _BLOCK[1], z.shape[1])]
            floor = float(low[block].min())
            steps = _steps(top - floor, ray, z.shape)
            if steps:  # the highest ground within reach shortens it
                steps = _steps(float(high[_window(block, ray, steps, z.shape)].max()) - floor, ray, z.shape)
            for k in range(1, steps + 1):
                (_one_column if ray.columns else _one_row)(z, best, block, k, ray)
    return best


def _steps(relief: float, ray: _Ray, shape: tuple[int, ...]) -> int:
    """Number of steps after which no ground of that relief can rise by `least`."""
    if not relief > 0 or not math.isfinite(relief):
        return 0
    return min(int(relief / ray.least / float(ray.stride.min())) + 1, shape[1 if ray.columns else 0] - 1)


def _window(block: tuple[slice, slice], ray: _Ray, steps: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The cells that rays from a block can reach in a number of steps."""
    ahead, aside = steps + 1, int(steps * float(np.abs(ray.drift).max())) + 2
    margins = (aside, ahead) if ray.columns else (ahead, aside)
    y, x = (
        slice(max(0, part.start - margin), min(size, part.stop + margin))
        for part, margin, size in zip(block, margins, shape, strict=True)
    )
    return y, x


def _facing(part: slice, shift: int, size: int) -> tuple[slice, slice]:
    """The cells of a part whose neighbour at distance `shift` is inside the grid, and those neighbours."""
    start, stop = max(part.start, -shift), min(part.stop, size - shift)
    stop = max(stop, start)
    return slice(start, stop), slice(start + shift, stop + shift)


def _one_column(z: F64, best: F64, block: tuple[slice, slice], k: int, ray: _Ray) -> None:
    """Update `best` with step k across columns: the surface between two rows of one column."""
    here, there = _facing(block[1], k * ray.toward, z.shape[1])
    rows = np.arange(block[0].start, block[0].stop)
    upper, part, inside = _between(rows + k * ray.drift[block[0]], z.shape[0])
    rows, upper, part = rows[inside], upper[inside], part[inside, None]
    if not rows.size or here.start == here.stop:
        return
    lower = np.where(part[:, 0] > 0, upper + 1, upper)
    rise = z[lower, there] * part
    rise += z[upper, there] * (1 - part)
    rise -= z[rows, here]
    rise /= k * ray.stride[rows, None]
    best[rows, here] = np.fmax(best[rows, here], rise)


def _one_row(z: F64, best: F64, block: tuple[slice, slice], k: int, ray: _Ray) -> None:
    """Update `best` with step k across rows: the surface between two columns of one row."""
    here, there = _facing(block[0], k * ray.toward, z.shape[0])
    if here.start == here.stop:
        return
    columns = np.arange(block[1].start, block[1].stop)
    left, part, inside = _between(columns + k * ray.drift[here, None], z.shape[1])
    right = np.where(part > 0, left + 1, left)
    left, right = (np.where(inside, i, 0) for i in (left, right))
    row = np.arange(there.start, there.stop)[:, None]
    seen = z[row, left] * (1 - part) + z[row, right] * part
    rise = np.where(inside, (seen - z[here, block[1]]) / (k * ray.stride[here, None]), np.nan)
    best[here, block[1]] = np.fmax(best[here, block[1]], rise)


def _between(at: F64, size: int) -> tuple[NDArray[np.intp], F64, Mask]:
    """The cell before each position, the part of a cell beyond it, and whether both neighbours are inside."""
    near = np.round(at)
    at = np.where(np.abs(at - near) < 1e-9 * size, near, at)  # on a line of cells, its neighbour must not matter
    before = np.floor(at)
    part = at - before
    inside = (before >= 0) & (before + (part > 0) <= size - 1)
    return before.astype(np.intp), part, inside
