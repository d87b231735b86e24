"""Fit point spread, noise and correlation of a sensor to the residuals of a registered pair, with a block bootstrap.

The blur is the one that leaves the smallest squares; noise does not depend on the ground, so it cannot bias that
choice. What remains is noise: its spread is linear in the slope, and its correlation that of white noise smoothed by a
Gaussian. Both are corrected for the high-pass, the rounding, and the noise of a reference whose own product is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import EmptyError
from terrafine.evaluation.bootstrap import resample_weights
from terrafine.evaluation.quantiles import NMAD_FACTOR
from terrafine.evaluation.sensor_fit.residuals import BLURS, Residuals
from terrafine.evaluation.sensor_fit.spectrum import LAGS, high_passed_covariance
from terrafine.raster.products.model import SensorModel
from terrafine.raster.products.noise import mean_variance

__all__ = ["Known", "SensorSamples", "fit_sensor"]

F64 = NDArray[np.float64]
_BINS = 8
_CUT = 4.0  # standard deviations beyond which a difference is a change of the ground or a gross error
_ENOUGH = 2_000
_SIGMAS = np.round(np.arange(0.0, 2.51, 0.05), 2)


@dataclass(frozen=True, slots=True)
class Known:
    """The noise of the reference.

    Attributes
    ----------
    sensor
        Its sensor model; None for no noise.
    ratio
        Its cells (y, x) per coarse cell.
    """

    sensor: SensorModel | None
    ratio: tuple[float, float]

    def variance(self, slope: F64) -> F64:
        """Return the variance of the reference's noise in a coarse cell.

        Parameters
        ----------
        slope
            Tangent of the slope.

        Returns
        -------
        ndarray of float64
            Square metres, of the shape of `slope`.
        """
        if self.sensor is None:
            return np.zeros_like(slope)
        one = self.sensor.noise_flat_m + self.sensor.noise_slope_m * slope
        return np.asarray(one**2 * mean_variance(self.sensor.correlation_cells, self.ratio))

    @property
    def sigma(self) -> tuple[float, float]:
        """Return the correlation of the reference's noise in coarse cells (y, x)."""
        own = 0.0 if self.sensor is None else self.sensor.correlation_cells
        return own / max(self.ratio[0], 1.0), own / max(self.ratio[1], 1.0)


@dataclass(frozen=True, slots=True)
class SensorSamples:
    """One value for the whole sample and one for each bootstrap draw: float64 (1 + draw,).

    Attributes
    ----------
    blur
        Variance of the blur relative to the reference, in cells²; may be negative.
    flat, slope
        Noise on flat ground in metres, and its increase with the slope.
    correlation
        Correlation of the noise in cells.
    cells, blocks
        Cells and bootstrap blocks compared.
    claimed
        Share of the variance of the differences that the reference's own noise explains.
    """

    blur: F64
    flat: F64
    slope: F64
    correlation: F64
    cells: int
    blocks: int
    claimed: float


def fit_sensor(found: Residuals, reference: Known, draws: int, seed: int) -> SensorSamples:
    """Fit the sensor of a pair, and of resamplings of its blocks.

    Parameters
    ----------
    found
        The residuals.
    reference
        Noise of the reference.
    draws
        Bootstrap samples.
    seed
        Their seed.

    Returns
    -------
    SensorSamples
        The fitted values.

    Raises
    ------
    EmptyError
        If the pair shares fewer than 2,000 cells.
    """
    flat_cells = found.cells.ravel()
    if flat_cells.sum() < _ENOUGH:
        raise EmptyError(f"the pair shares {int(flat_cells.sum()):,} cells that can be compared; expected {_ENOUGH:,}")
    slope, blocks = found.slope[found.cells], found.blocks[found.cells]
    off = np.moveaxis(found.off, 1, 0)[:, found.cells].astype(np.float64)
    best = int(np.argmin((np.clip(off, *_limits(off[0])) ** 2).sum(axis=1)))
    edges = np.quantile(slope, np.linspace(0, 1, _BINS + 1))
    which = np.clip(np.searchsorted(edges, slope, side="right") - 1, 0, _BINS - 1)
    keep, line = _spread(off[best], slope, which)
    sd = line[0] + line[1] * slope
    count = int(blocks.max()) + 1

    def by_block(values: F64) -> F64:
        return np.bincount(blocks[keep], values[keep], count).astype(np.float64)

    noise = reference.variance(slope) / sd**2
    curves = np.array([by_block((row / sd) ** 2) for row in off])
    binned = [
        np.array([by_block(v * (which == b)) for b in range(_BINS)]) for v in (np.ones_like(sd), slope, off[best] ** 2)
    ]
    covariances = _lagged(found, best, keep, sd, count)
    others = np.array([by_block(noise), by_block((found.step**2 / 12.0) / sd**2), by_block(np.ones_like(sd))])
    occupied = np.bincount(blocks[keep], minlength=count) > 0
    weights = np.vstack([np.ones(count), resample_weights(occupied, draws, seed)])
    model = _Models(found.stretch, reference.sigma, BLURS)
    rows = [_one(w, curves, binned, covariances, others, model) for w in weights]
    blur, flat, steep, correlation = np.array(rows).T
    claimed = float(noise[keep].mean() * model.reference[0] / ((off[best] / sd)[keep] ** 2).mean())
    return SensorSamples(blur, flat, steep, correlation, int(keep.sum()), int(occupied.sum()), claimed)


def _limits(off: F64) -> tuple[float, float]:
    most = 6.0 * NMAD_FACTOR * float(np.median(np.abs(off)))
    return -most, most


def _spread(off: F64, slope: F64, which: NDArray[np.int64]) -> tuple[NDArray[np.bool_], tuple[float, float]]:
    """Cells within four standard deviations, and the standard deviation as a line over slope."""
    size = np.array([NMAD_FACTOR * np.median(np.abs(off[which == b])) for b in range(_BINS) if (which == b).any()])
    keep = np.abs(off) < _CUT * np.maximum(size, np.median(size) * 0.1)[np.minimum(which, size.size - 1)]
    line = (0.0, 0.0)
    for _ in range(3):
        sums = [np.bincount(which[keep], v[keep], _BINS).astype(np.float64) for v in (np.ones_like(off), slope, off**2)]
        line = _line(*sums)
        keep = np.abs(off) < _CUT * (line[0] + line[1] * slope)
    return keep, line


def _line(n: F64, slopes: F64, squares: F64) -> tuple[float, float]:
    """Intercept and increase, neither negative, of the standard deviation over slope from sums in bins."""
    use = n > 0
    t, sd, w = slopes[use] / n[use], np.sqrt(squares[use] / n[use]), n[use]
    mean_t, mean_sd = float((w * t).sum() / w.sum()), float((w * sd).sum() / w.sum())
    spread = float((w * (t - mean_t) ** 2).sum())
    rise = max(0.0, float((w * (t - mean_t) * (sd - mean_sd)).sum()) / spread) if spread > 1e-12 else 0.0
    start = mean_sd - rise * mean_t
    if start <= 0.0:
        start, rise = 1e-6, float((w * t * sd).sum() / (w * t * t).sum())
    return start, rise


def _lagged(found: Residuals, best: int, keep: NDArray[np.bool_], sd: F64, count: int) -> tuple[F64, F64]:
    """Sums by block of products of normalised residuals at each lag, and how many: two arrays (lag, block)."""
    z = np.zeros(found.cells.shape)
    use = np.zeros(found.cells.shape, np.bool_)
    use[found.cells] = keep
    z[found.cells] = np.where(keep, found.off[:, best][found.cells] / sd, 0.0)
    sums, pairs = np.zeros((len(LAGS), count)), np.zeros((len(LAGS), count))
    height, width = found.cells.shape[1], found.cells.shape[2]
    for i, (y, x) in enumerate(LAGS):
        here, there = np.s_[:, : height - y, : width - x], np.s_[:, y:, x:]
        both = use[here] & use[there]
        at = found.blocks[here][both]
        sums[i] = np.bincount(at, (z[here] * z[there])[both], count)
        pairs[i] = np.bincount(at, minlength=count)
    return sums, pairs


class _Models:
    """Tables of covariances: of each correlation, of rounding, of the reference, and of its blurred noise."""

    def __init__(self, stretch: tuple[float, float], reference: tuple[float, float], blurs: F64) -> None:
        sigmas = _SIGMAS.tolist()
        self.of = np.array([high_passed_covariance((s * stretch[0], s * stretch[1])) for s in sigmas])
        self.white = high_passed_covariance((0.0, 0.0))
        self.reference = high_passed_covariance(reference)
        widths = [(float(np.sqrt(v)) * stretch[0], float(np.sqrt(v)) * stretch[1]) for v in blurs]
        self.blurred = np.array([high_passed_covariance(reference, w, ((0, 0),))[0] for w in widths])


def _one(
    weight: F64, curves: F64, binned: list[F64], covariances: tuple[F64, F64], others: F64, model: _Models
) -> tuple[float, float, float, float]:
    """(variance of the blur, noise on flat ground, its increase, correlation) for blocks of those weights."""
    noise, rounding, n = others @ weight
    blur = _minimum(BLURS, curves @ weight - noise * model.blurred)
    start, rise = _line(*(b @ weight for b in binned))
    seen = (covariances[0] @ weight) / np.maximum(covariances[1] @ weight, 1.0)
    rest = seen - noise / n * model.reference - rounding / n * model.white
    rest[0] = max(rest[0], 1e-4)
    power = rest[0] / model.of[:, 0]
    misfit = ((power[:, None] * model.of[:, 1:] - rest[1:]) ** 2).sum(axis=1)
    correlation = float(np.clip(_minimum(_SIGMAS, misfit), 0.0, _SIGMAS[-1]))
    factor = float(np.sqrt(np.interp(correlation, _SIGMAS, power) / seen[0]))
    return blur, start * factor, rise * factor, correlation


def _minimum(x: F64, y: F64) -> float:
    """Where the parabola through the smallest value and its neighbours is smallest; beyond the first, extrapolated."""
    i = int(np.clip(int(np.argmin(y)), 1, x.size - 2))
    curve = np.polyfit(x[i - 1 : i + 2], y[i - 1 : i + 2], 2)
    if curve[0] <= 0:
        return float(x[int(np.argmin(y))])
    return float(np.clip(-curve[1] / (2.0 * curve[0]), x[0] - 0.5, x[-1]))
