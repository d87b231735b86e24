"""Register a coarse DEM to its reference by one sub-pixel shift, by least squares on the interpolated reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from terrafine.errors import GridError
from terrafine.evaluation.quantiles import NMAD_FACTOR
from terrafine.evaluation.sensor_fit.pair import MARGIN, Pair, Window
from terrafine.evaluation.sensor_fit.predict import blurred, gradient, high_passed
from terrafine.raster.warp.resample import block_mean

__all__ = ["Registration", "compared", "register"]

F64 = NDArray[np.float64]
_GUESS = 0.4  # cells of blur until it is measured
_ROUNDS = 8
_CONVERGED = 0.005
_FARTHEST = 3.0
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Registration:
    """The shift that moves a coarse grid onto its reference.

    Attributes
    ----------
    rows, cols
        Cells down and right.
    correlation
        Correlation of the high-passed coarse heights with those that the reference predicts.
    """

    rows: float
    cols: float
    correlation: float


def compared(window: Window) -> NDArray[np.bool_]:
    """Return the cells inside the margin that are valid in both and not levelled: edited flat water has no noise.

    Parameters
    ----------
    window
        The window.

    Returns
    -------
    ndarray of bool, (y, x)
        Cells to compare.
    """
    flat = maximum_filter(window.coarse, 3) == minimum_filter(window.coarse, 3)
    inside = np.zeros(window.valid.shape, np.bool_)
    inside[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    return np.asarray(window.valid & inside & ~flat)


def register(pair: Pair) -> Registration:
    """Estimate the shift by Gauss-Newton: differences are regressed on the gradient, steep cells damped.

    Parameters
    ----------
    pair
        The two DEMs.

    Returns
    -------
    Registration
        The shift.

    Raises
    ------
    GridError
        If it is not identifiable: no relief, other ground, or more than three cells.
    """
    at = np.zeros(2)
    alike = 0.0
    for _ in range(_ROUNDS):
        normal, right, sums = np.zeros((2, 2)), np.zeros(2), np.zeros(3)
        for window in pair.read((float(at[0]), float(at[1]))):
            _accumulate(pair.k, window, normal, right, sums)
        alike = float(sums[0] / math.sqrt(max(sums[1] * sums[2], 1e-12)))
        if np.linalg.cond(normal) > 1e6:
            break
        step = np.clip(np.linalg.solve(normal, right), -1.0, 1.0)
        at += step
        if float(np.hypot(*at)) > _FARTHEST:
            break
        if float(np.hypot(*step)) < _CONVERGED:
            if alike < _ALIKE:
                break
            return Registration(float(at[0]), float(at[1]), alike)
    raise GridError(
        f"{pair.coarse.paths[0]}: its shift against {pair.reference.paths[0]} is not identifiable (correlation of the "
        f"relief {alike:.2f}, {at[0]:+.1f} rows, {at[1]:+.1f} columns); expected two models of the same ground with "
        f"relief, at most {_FARTHEST:g} cells apart. Check their CRS and georeference"
    )


def _accumulate(k: int, window: Window, normal: F64, right: F64, sums: F64) -> None:
    surface = block_mean(blurred(window.ground, (_GUESS * k, _GUESS * k)), None, k)[0].astype(np.float64)
    cells = compared(window)
    if not cells.any():
        return
    shape = [high_passed(v, window.valid) for v in gradient(surface, (1.0, 1.0))]
    slope = np.hypot(*shape)
    damped = 1.0 / (1.0 + slope[cells] / max(float(slope[cells].mean()), 1e-9)) ** 2
    off = high_passed(window.coarse - surface, window.valid)[cells]
    spread = NMAD_FACTOR * float(np.median(np.abs(off))) / np.sqrt(damped)
    weight = damped * (np.abs(off) <= 5.0 * spread)
    design = np.stack([v[cells] for v in shape])
    normal += (design * weight) @ design.T
    right += (design * weight) @ off
    seen, made = (high_passed(v, window.valid)[cells] for v in (window.coarse, surface))
    sums += np.array([(seen * made).sum(), (seen**2).sum(), (made**2).sum()])
