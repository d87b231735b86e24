"""Elevation change between two epochs: its standard error cell by cell, and volumes with intervals.

Errors of elevation models are correlated over tens to thousands of metres, so the error of a mean does not shrink with
the number of cells. As Rolstad et al. 2009 and Hugonnet et al. 2022 do, the correlation is estimated from stable ground
by a variogram, here the sum of two spherical models, and the variance of a zone's mean is the mean covariance of pairs
of its cells.

References: Rolstad et al. 2009, doi:10.3189/002214309789470950; Hugonnet et al. 2022, doi:10.1109/JSTARS.2022.3188922;
Dowd 1984, doi:10.1007/978-94-009-3699-7_6, for the robust estimator of a semivariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from terrafine.evaluation.quantiles import NMAD_FACTOR

__all__ = ["Correlation", "Spread", "Volume", "fit_correlation", "fit_spread", "nmad", "volume_of"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
_PAIRS = 200_000
_LAGS = 24
_SLOPES = 6
_ENOUGH = 200
_DOWD = 2.198
Z95 = 1.959963984540054


def nmad(values: F64) -> float:
    """1.4826 times the median absolute deviation from the median: a standard deviation that outliers do not move."""
    return float(NMAD_FACTOR * np.median(np.abs(values - np.median(values))))


@dataclass(frozen=True)
class Spread:
    """Standard error of the change by slope, from stable ground.

    Attributes
    ----------
    slopes, sigma
        Middle of each class of slope in degrees, and the standard error there in metres.
    """

    slopes: F64
    sigma: F64

    def at(self, slope: F64) -> F64:
        """Standard error at slopes, linear between the classes and constant beyond; the steepest where unknown."""
        known = np.where(np.isfinite(slope), slope, self.slopes[-1])
        return np.asarray(np.interp(known, self.slopes, self.sigma))


def fit_spread(change: F64, slope: F64, stable: Mask) -> Spread:
    """NMAD of the change on stable ground in classes of slope of equal size.

    Parameters
    ----------
    change, slope, stable
        Metres, degrees and stable cells, (y, x).

    Returns
    -------
    Spread
    """
    known = stable & np.isfinite(change) & np.isfinite(slope)
    dz, angle = change[known], slope[known]
    classes = max(1, min(_SLOPES, dz.size // _ENOUGH))
    edges = np.quantile(angle, np.linspace(0, 1, classes + 1))
    number = np.clip(np.searchsorted(edges, angle, side="right") - 1, 0, classes - 1)
    used = [k for k in range(classes) if np.count_nonzero(number == k) >= 2]
    middles = np.array([float(np.median(angle[number == k])) for k in used])
    sigma = np.array([max(nmad(dz[number == k]), 1e-6) for k in used])
    order = np.argsort(middles)
    return Spread(middles[order], sigma[order])


@dataclass(frozen=True)
class Correlation:
    """Correlation of errors by distance: two spherical models and an uncorrelated rest.

    Attributes
    ----------
    shares
        Shares of the variance of the two models, the rest being uncorrelated.
    ranges_m
        Distances at which their correlation ends.
    lags_m, semivariance
        The empirical variogram of standardised errors.
    """

    shares: tuple[float, float]
    ranges_m: tuple[float, float]
    lags_m: tuple[float, ...] = ()
    semivariance: tuple[float, ...] = ()

    def at(self, distance_m: F64) -> F64:
        """Correlation at distances; 1 at 0."""
        out = np.zeros_like(distance_m)
        for share, reach in zip(self.shares, self.ranges_m, strict=True):
            h = np.minimum(distance_m / reach, 1.0)
            out += share * (1 - 1.5 * h + 0.5 * h**3)
        return np.where(distance_m <= 0, 1.0, out)


def fit_correlation(standardised: F64, stable: Mask, pixel_m: tuple[float, float], seed: int = 0) -> Correlation:
    """Fit the correlation of standardised errors on stable ground.

    Pairs at log-spaced distances from one cell to half the extent; Dowd's estimator, 2.198 · median(|difference|)² / 2,
    of each class of distance; least squares weighted by the number of pairs.

    Parameters
    ----------
    standardised
        Change minus its median, over its standard error, (y, x).
    stable
        Stable cells.
    pixel_m
        Size of a cell (y, x).
    seed
        Of the random pairs.

    Returns
    -------
    Correlation
        Without correlation where there are too few pairs to tell.
    """
    rng = np.random.default_rng(seed)
    known = stable & np.isfinite(standardised)
    rows, cols = np.nonzero(known)
    if rows.size < _ENOUGH:
        return Correlation((0.0, 0.0), (1.0, 1.0))
    reach = 0.5 * np.hypot(np.ptp(rows) * pixel_m[0], np.ptp(cols) * pixel_m[1])
    edges = np.geomspace(min(pixel_m) * 0.9, max(reach, 3 * max(pixel_m)), _LAGS + 1)
    start = rng.integers(0, rows.size, _PAIRS)
    distance = np.exp(rng.uniform(np.log(edges[0]), np.log(edges[-1]), _PAIRS))
    angle = rng.uniform(0, 2 * np.pi, _PAIRS)
    r = rows[start] + np.rint(distance * np.sin(angle) / pixel_m[0]).astype(int)
    c = cols[start] + np.rint(distance * np.cos(angle) / pixel_m[1]).astype(int)
    inside = (r >= 0) & (r < known.shape[0]) & (c >= 0) & (c < known.shape[1])
    start, r, c = start[inside], r[inside], c[inside]
    both = known[r, c] & ((r != rows[start]) | (c != cols[start]))
    start, r, c = start[both], r[both], c[both]
    true = np.hypot((r - rows[start]) * pixel_m[0], (c - cols[start]) * pixel_m[1])
    step = np.abs(standardised[rows[start], cols[start]] - standardised[r, c])
    number = np.searchsorted(edges, true) - 1
    found = [
        (
            float(np.mean(true[number == k])),
            _DOWD * float(np.median(step[number == k])) ** 2 / 2,
            int((number == k).sum()),
        )
        for k in range(_LAGS)
        if (number == k).sum() >= 30
    ]
    if len(found) < 5:
        return Correlation((0.0, 0.0), (1.0, 1.0))
    lags, gamma, count = (np.array(v, np.float64) for v in zip(*found, strict=True))
    shares, ranges = _fitted(lags, gamma, count)
    return Correlation(shares, ranges, tuple(lags.tolist()), tuple(gamma.tolist()))


def _fitted(lags: F64, gamma: F64, count: F64) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shares of the variance and ranges of the two models that fit a variogram best."""
    weight = np.sqrt(count / count.max())

    def model(p: F64) -> F64:
        nugget, one, two = np.abs(p[:3])
        short, long = np.exp(p[3]), np.exp(p[3]) + np.exp(p[4])
        out = np.full_like(lags, nugget)
        for sill, reach in ((one, short), (two, long)):
            h = np.minimum(lags / reach, 1.0)
            out += sill * (1.5 * h - 0.5 * h**3)
        return out

    def misfit(p: F64) -> F64:
        return np.asarray(weight * (model(p) - gamma))

    best: Any = None
    for first in np.geomspace(lags[0] * 2, lags[-1] / 4, 4):
        begin = np.array([0.1, 0.5, 0.4, np.log(first), np.log(lags[-1] / 2)])
        fit = least_squares(misfit, begin, loss="soft_l1", f_scale=0.1, max_nfev=400)
        best = fit if best is None or fit.cost < best.cost else best
    p = best.x
    nugget, one, two = np.abs(p[:3])
    total = max(nugget + one + two, 1e-12)
    short = float(np.exp(p[3]))
    return (float(one / total), float(two / total)), (short, short + float(np.exp(p[4])))


@dataclass(frozen=True)
class Volume:
    """Change of a zone.

    Attributes
    ----------
    area_m2, known_m2
        Area of the zone, and of its cells in which both epochs hold a height.
    mean_m, mean_error_m
        Mean change of these cells, and its standard error.
    volume_m3, gain_m3, loss_m3
        Net volume, and that of cells that rose and sank.
    error_m3
        Standard error of the net volume.
    effective
        How many uncorrelated cells have a mean of that standard error.
    """

    area_m2: float
    known_m2: float
    mean_m: float
    mean_error_m: float
    volume_m3: float
    gain_m3: float
    loss_m3: float
    error_m3: float
    effective: float

    @property
    def interval_m3(self) -> tuple[float, float]:
        """The 95 % interval of the net volume."""
        return self.volume_m3 - Z95 * self.error_m3, self.volume_m3 + Z95 * self.error_m3


def volume_of(
    change: F64,
    sigma: F64,
    inside: Mask,
    cell_m2: F64,
    pixel_m: tuple[float, float],
    correlation: Correlation,
    bias_error_m: float,
    seed: int = 0,
) -> Volume | None:
    """Volume of a zone, and its standard error.

    Parameters
    ----------
    change, sigma, inside
        Metres, standard error and cells of the zone, (y, x).
    cell_m2
        Ground area of a cell in each row, (y,).
    pixel_m
        Size of a cell (y, x).
    correlation
        Of the errors.
    bias_error_m
        Standard error of the level that was taken off the whole change.
    seed
        Of the random pairs.

    Returns
    -------
    Volume or None
        None where no cell of the zone holds a change.
    """
    area = np.broadcast_to(cell_m2[:, None], inside.shape)
    known = inside & np.isfinite(change) & np.isfinite(sigma)
    if not known.any():
        return None
    weight, dz, error = area[known], change[known], sigma[known]
    total = float(weight.sum())
    rows, cols = np.nonzero(known)
    covariance = mean_covariance(rows, cols, weight, error, pixel_m, correlation, seed)
    mean_error = float(np.sqrt(covariance + bias_error_m**2))
    volume = float((weight * dz).sum())
    variance = float((weight * error**2).sum() / total)
    return Volume(
        float(area[inside].sum()),
        total,
        volume / total,
        mean_error,
        volume,
        float((weight * np.maximum(dz, 0)).sum()),
        float((weight * np.minimum(dz, 0)).sum()),
        mean_error * total,
        variance / max(covariance, 1e-300),
    )


def mean_covariance(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    weight: F64,
    error: F64,
    pixel_m: tuple[float, float],
    correlation: Correlation,
    seed: int = 0,
) -> float:
    """Variance of the weighted mean of cells: the mean covariance of their pairs, a cell with itself included.

    All pairs of up to 1,500 cells; of more, random pairs and the exact share of a cell with itself.
    """
    share = weight / weight.sum()
    n = rows.size
    if n <= 1_500:
        distance = np.hypot((rows[:, None] - rows[None]) * pixel_m[0], (cols[:, None] - cols[None]) * pixel_m[1])
        each = share * error
        return float(each @ correlation.at(distance) @ each)
    rng = np.random.default_rng(seed)
    first, second = rng.choice(n, _PAIRS, p=share), rng.choice(n, _PAIRS, p=share)
    other = first != second
    first, second = first[other], second[other]
    distance = np.hypot((rows[first] - rows[second]) * pixel_m[0], (cols[first] - cols[second]) * pixel_m[1])
    own = float((share**2 * error**2).sum())
    pairs = float(np.mean(correlation.at(distance) * error[first] * error[second]))
    return own + pairs * (1 - float((share**2).sum()))
