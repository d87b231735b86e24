"""Merge observations of one ground cell by cell: median, geometric median, the first clear one, the mean power."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError

__all__ = ["best_clear", "median_day", "geomedian", "mean_db", "median", "merge"]

F32 = NDArray[np.float32]
_STEPS, _TOLERANCE = 50, 1e-5  # of the geometric median, in units of reflectance


def merge(method: str, stack: F32, days: NDArray[np.int64], clearness: F32) -> F32:
    """Merge observations, and count them.

    Parameters
    ----------
    method
        `median`, `geomedian` or `best-clear`.
    stack
        (time, band, y, x), NaN where not clear; a cell is NaN in all bands or in none.
    days
        Day of each observation, from 1970-01-01.
    clearness
        Clearness of each observation, (time, y, x), for `best-clear`; of equal ones the first counts.

    Returns
    -------
    ndarray of float32, (band + 2, y, x)
        The bands, how many observations were clear, and the day: of the chosen observation, else the median of the
        days of the clear ones. NaN where none was clear; the count is 0 there.
    """
    clear = np.asarray(np.isfinite(stack).all(axis=1), np.bool_)
    if method == "best-clear":
        values, day = best_clear(stack, clear, days, clearness)
    elif method in ("median", "geomedian"):
        values = median(stack) if method == "median" else geomedian(stack)
        day = median_day(clear, days)
    else:
        raise UsageError(f"composite {method!r}; expected median, geomedian or best-clear")
    count = clear.sum(axis=0).astype(np.float32)
    return np.concatenate([values, count[None], day[None]])


def median(stack: F32) -> F32:
    """Return the median over time of each band, NaN left out.

    Parameters
    ----------
    stack
        (time, ...), NaN where missing.

    Returns
    -------
    ndarray of float32, (...)
        NaN where all are missing.
    """
    ordered = np.sort(stack, axis=0)  # NaN last
    count = np.isfinite(stack).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.where(count > 0, np.minimum(high, np.maximum(count - 1, 0)), 0)
    pick = [np.take_along_axis(ordered, i[None], axis=0)[0] for i in (low, high)]
    return np.asarray((pick[0] + pick[1]) / 2, np.float32)


def geomedian(stack: F32) -> F32:
    """Return the geometric median over time: the spectrum with the least sum of distances to all observations.

    Weiszfeld's iteration from the band-wise median.

    Parameters
    ----------
    stack
        (time, band, y, x), NaN where missing.

    Returns
    -------
    ndarray of float32, (band, y, x)
        NaN where all are missing.

    References
    ----------
    Roberts, Mueller, McIntyre 2017, https://doi.org/10.1109/TGRS.2017.2723896
    """
    clear = np.isfinite(stack).all(axis=1, keepdims=True)
    values = np.where(clear, stack, 0.0).astype(np.float64)
    centre = np.nan_to_num(median(stack)).astype(np.float64)
    done = np.zeros(centre.shape[1:], bool)
    for _ in range(_STEPS):
        distance = np.sqrt(((values - centre) ** 2).sum(axis=1, keepdims=True))
        weight = np.where(clear, 1.0 / np.maximum(distance, 1e-7), 0.0)
        total = np.maximum(weight.sum(axis=0), 1e-12)
        moved = (weight * values).sum(axis=0) / total
        change = np.abs(moved - centre).max(axis=0)
        centre = np.where(done, centre, moved)
        done |= change < _TOLERANCE  # cell by cell, so that a cell does not depend on which others are merged with it
        if done.all():
            break
    return np.where(clear.any(axis=0), centre, np.nan).astype(np.float32)


def best_clear(stack: F32, clear: NDArray[np.bool_], days: NDArray[np.int64], clearness: F32) -> tuple[F32, F32]:
    """Return the spectrum of the clearest clear observation of each cell, and its day.

    Parameters
    ----------
    stack, clear
        (time, band, y, x) and (time, y, x).
    days
        Day of each observation.
    clearness
        Clearness of each observation, (time, y, x); of equal ones the first counts.

    Returns
    -------
    values : ndarray of float32, (band, y, x)
        NaN where none is clear.
    day : ndarray of float32, (y, x)
        NaN where none is clear.
    """
    at = np.argmax(np.where(clear, np.round(clearness, 3), np.float32(-1)), axis=0)
    values = np.take_along_axis(stack, at[None, None], axis=0)[0]
    seen = clear.any(axis=0)
    return np.where(seen, values, np.nan).astype(np.float32), np.where(seen, days[at], np.nan).astype(np.float32)


def median_day(clear: NDArray[np.bool_], days: NDArray[np.int64]) -> F32:
    """Return the median day of the clear observations of each cell.

    Parameters
    ----------
    clear
        (time, y, x).
    days
        Day of each observation.

    Returns
    -------
    ndarray of float32, (y, x)
        Days from 1970-01-01, NaN where none was clear.
    """
    dates = np.where(clear, days[:, None, None].astype(np.float32), np.float32(np.nan))
    return np.rint(median(dates))


def mean_db(stack: F32) -> F32:
    """Return the mean over time of backscatter in dB, taken of the power.

    Parameters
    ----------
    stack
        (time, ...) in dB, NaN where missing.

    Returns
    -------
    ndarray of float32, (...)
        dB, NaN where all are missing.
    """
    clear = np.isfinite(stack)
    power = np.where(clear, 10.0 ** (stack.astype(np.float64) / 10.0), 0.0)
    count = clear.sum(axis=0)
    mean = power.sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, 10.0 * np.log10(np.maximum(mean, 1e-12)), np.nan).astype(np.float32)
