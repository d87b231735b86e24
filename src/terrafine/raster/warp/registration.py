"""Estimate the sub-pixel shift of a guide, or report that it is not identifiable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter

from terrafine.errors import EmptyError, UsageError

__all__ = ["Offset", "estimate_offset"]

F64 = NDArray[np.float64]
_SMOOTH = 1.0  # standard deviation in cells of the smoothing that suppresses speckle
_ENOUGH = 400
_PROMINENT = 6.0
_ALIKE = 0.5
_FAR = 3  # correlations at lags from reach + 3 to 3 · reach + 3 measure what chance gives


@dataclass(frozen=True, slots=True)
class Offset:
    """The shift of a guide: its features lie `dy` cells below and `dx` right of where the model places them.

    Attributes
    ----------
    dy, dx
        The shift in cells.
    correlation
        Correlation at the best lag.
    prominence
        Its distance from the mean correlation at lags beyond those searched, in standard deviations.
    """

    dy: float
    dx: float
    correlation: float
    prominence: float

    @property
    def trusted(self) -> bool:
        """Whether correlation or prominence is too high for chance; unrelated images stay below both thresholds."""
        return self.prominence > _PROMINENT or self.correlation > _ALIKE


def estimate_offset(
    guide: NDArray[np.floating], model: NDArray[np.floating], valid: NDArray[np.bool_], reach: int = 4
) -> Offset:
    """Find the lag, at most `reach` cells along y and x, at which a guide correlates best with its model.

    Normalised correlation over the cells valid in both at every whole lag, then the top of a paraboloid through the
    nine lags around the best, at most half a cell from it. Unlike phase correlation it works where the two are alike
    only in part, as radar and its simulation are. Slow variation should have been removed from both.

    Parameters
    ----------
    guide, model
        Arrays (y, x) on one grid.
    valid
        Cells valid in both, bool (y, x).
    reach
        Largest lag in cells.

    Returns
    -------
    Offset
        The shift of the guide, to be used if it is `trusted`.

    Raises
    ------
    EmptyError
        If fewer than 400 cells are valid.
    UsageError
        If the shapes differ or `reach` is below 1.

    References
    ----------
    Padfield 2012, https://doi.org/10.1109/TIP.2011.2181402
    """
    if reach < 1:
        raise UsageError(f"a reach of {reach} cells; expected 1 or more")
    if guide.shape != model.shape or guide.shape != valid.shape:
        raise UsageError(f"guide {guide.shape}, model {model.shape} and mask {valid.shape}; expected one grid")
    if int(valid.sum()) < _ENOUGH:
        raise EmptyError(f"an offset needs {_ENOUGH} valid cells; found {int(valid.sum())}")
    seen = valid.astype(np.float64)
    first, second = (_smoothed(np.asarray(a, np.float64), seen) for a in (guide, model))
    wide = 3 * reach + _FAR
    surface = _correlations(first, second, seen, wide)
    middle = surface[wide - reach : wide + reach + 1, wide - reach : wide + reach + 1]
    y, x = (int(i) for i in np.unravel_index(int(np.argmax(middle)), middle.shape))
    row, col = y + wide - reach, x + wide - reach
    lags = np.abs(np.arange(-wide, wide + 1))
    far = np.maximum(lags[:, None], lags[None, :]) >= reach + _FAR
    spread = float(surface[far].std())
    up, right = _summit(surface[row - 1 : row + 2, col - 1 : col + 2])
    prominence = (float(surface[row, col]) - float(surface[far].mean())) / max(spread, 1e-12)
    return Offset(row - wide + up, col - wide + right, float(surface[row, col]), prominence)


def _smoothed(values: F64, seen: F64) -> F64:
    weight = gaussian_filter(seen, _SMOOTH)
    mean = gaussian_filter(np.where(seen > 0, values, 0.0), _SMOOTH) / np.maximum(weight, 1e-9)
    return np.asarray(np.where(seen > 0, mean, 0.0))


def _correlations(a: F64, b: F64, seen: F64, wide: int) -> F64:
    """Return the correlation of a(p + lag) with b(p) over cells valid in both, for lags of ±wide along y and x."""
    shape = tuple(int(next_fast_len(n + wide, real=True)) for n in a.shape)

    def spectrum(values: F64) -> NDArray[np.complex128]:
        return np.asarray(np.fft.rfft2(values, shape))

    def lagged(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> F64:
        full = np.fft.irfft2(left * np.conj(right), shape)
        order = np.arange(-wide, wide + 1)
        return np.asarray(full[np.ix_(order, order)])

    m, fa, fb = spectrum(seen), spectrum(a), spectrum(b)
    n = np.maximum(lagged(m, m), 1.0)
    sum_a, sum_b = lagged(fa, m), lagged(m, fb)
    var_a = lagged(spectrum(a * a), m) - sum_a**2 / n
    var_b = lagged(m, spectrum(b * b)) - sum_b**2 / n
    scale = np.sqrt(np.maximum(var_a * var_b, 0.0))
    top = max(float(scale.max()), 1e-300)
    return np.asarray((lagged(fa, fb) - sum_a * sum_b / n) / np.maximum(scale, 1e-9 * top))


def _summit(nine: F64) -> tuple[float, float]:
    """Return the top of the least-squares paraboloid through 3 × 3 values, at most half a cell from the middle."""
    y, x = np.mgrid[-1:2, -1:2]
    design = np.stack([np.ones(9), *(t.ravel() for t in (y, x, y * y, x * x, y * x))], axis=1)
    _, gy, gx, yy, xx, yx = np.linalg.lstsq(design, nine.ravel(), rcond=None)[0].tolist()
    determinant = 4 * yy * xx - yx * yx
    if determinant <= 0 or yy >= 0:
        return 0.0, 0.0
    dy, dx = (yx * gx - 2 * xx * gy) / determinant, (yx * gy - 2 * yy * gx) / determinant
    return max(-0.5, min(0.5, dy)), max(-0.5, min(0.5, dx))
