"""The sensor model of a DEM of unknown origin, from its own spectrum in a few windows; or that it is not identifiable.

Power is averaged over rings of frequency and explained as terrain (a power law, blurred, averaged over cells and
sampled), noise (smoothed white noise) and rounding, in three groups of windows from smooth to rough. Terrain is a power
law only roughly, so noise counts as seen only where it outweighs the terrain in the smoothest ground, and blur only
where it is strong. The thresholds were set on simulated block means of terrain models with and without blur and noise,
and on SRTM tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.products.model import SensorModel
from terrafine.raster.products.noise import rounding_step
from terrafine.raster.products.terrain_spectrum import (
    BETAS,
    BLURS,
    CORRELATIONS,
    RINGS,
    noise_table,
    ring_of,
    terrain_table,
)
from terrafine.raster.protocol import Readable

__all__ = [
    "FEWEST_WINDOWS",
    "Estimate",
    "GroupNoise",
    "default_sensor",
    "estimate_sensor",
    "group_noise",
    "sample_windows",
]

F64 = NDArray[np.float64]
Verdict = Literal["noisy", "blurred", "exact", "unknown"]
_SIDE = 64
_MOST = 30
FEWEST_WINDOWS = 6
"""Windows below which nothing is measured."""
_TRIES = 9  # windows along one side that are looked at
_GROUPS = 3
_MODEL_ERROR = 0.08  # of the power in a ring: terrain is no exact power law
_BETA = (4.6, 0.3)  # exponent of terrain and its spread, from the models that simulations start from
_HIGH = slice(7, 12)  # rings from 0.225 to 0.42 cycles per cell
_SHARE = 0.75  # of the power there that noise makes in the smoothest ground, to count as seen
_LEAST = 0.01  # noise as a share of the cell size, to count as seen
_BLURRED = (0.7, 0.2)  # blur in cells, and its largest standard error, to count as seen
_FILTER = (0.7, 1.5)  # blur per correlation: the filter of a sensor works on terrain and noise alike
_RISE = 2.0  # noise per unit of slope, per noise on flat ground, where only smooth ground shows noise
_NOTHING = 1e-9  # square metres: power of a plane
_SHARP = (0.45, 0.3)  # largest blur, and largest share of noise, of cells that are block means


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a spectrum shows.

    Attributes
    ----------
    sensor
        The sensor model; a mild default where nothing is identifiable.
    verdict
        `noisy` or `blurred` where that is seen, `exact` where the spectrum is that of block means, else `unknown`.
    step
        Step of the heights in metres; 0 for none.
    noise_share
        Share of the power at high frequency in the smoothest ground that noise explains.
    """

    sensor: SensorModel
    verdict: Verdict
    step: float
    noise_share: float


def default_sensor(cell_m: float, step: float = 0.0) -> SensorModel:
    """A mild sensor for a DEM of which nothing is known: slight blur, noise of 1 % of the cell size."""
    return SensorModel(0.25, round(0.01 * cell_m, 3), round(0.02 * cell_m, 3), 0.5, step, exact=False)


def sample_windows(source: Readable, band: str = "elevation") -> list[NDArray[np.float32]]:
    """At most 30 windows of 64 × 64 cells without a missing or levelled cell, spread evenly; always the same ones."""
    rows, cols = source.shape
    if min(rows, cols) < _SIDE:
        return []
    found = []
    tops, lefts = (
        np.linspace(0, n - _SIDE, min(_TRIES, n // _SIDE)).round().astype(int).tolist() for n in (rows, cols)
    )
    places = [(top, left) for top in tops for left in lefts]
    stride = max(1, len(places) // (2 * _MOST))
    for start in range(stride):  # a sparse pass first, then the places between, until there are enough
        for top, left in places[start::stride]:
            values, valid = source.read(band, slice(top, top + _SIDE), slice(left, left + _SIDE))
            if valid.all() and np.isfinite(values).all() and float((np.diff(values, axis=0) == 0.0).mean()) < 0.9:
                found.append(values)
        if len(found) >= _MOST:
            break
    pick = np.linspace(0, len(found) - 1, min(_MOST, len(found))).round().astype(int)
    return [found[i] for i in pick.tolist()]


def estimate_sensor(windows: Sequence[NDArray[np.floating]], size_m: tuple[float, float]) -> Estimate:
    """The sensor model of a DEM from its own heights.

    Parameters
    ----------
    windows
        Windows (64, 64) of heights in metres without a missing cell, as `sample_windows` gives them.
    size_m
        Metres of a cell (y, x).

    Returns
    -------
    Estimate
    """
    cell = math.sqrt(size_m[0] * size_m[1])
    step = rounding_step(np.concatenate([np.ravel(w) for w in windows[::3]])) if windows else 0.0
    if len(windows) < FEWEST_WINDOWS:
        return Estimate(default_sensor(cell, step), "unknown", step, 0.0)
    stretch = round(math.sqrt(size_m[1] / size_m[0]), 2), round(math.sqrt(size_m[0] / size_m[1]), 2)
    power, slopes = _powers(windows, size_m, stretch)
    groups = np.array_split(np.argsort(slopes, kind="stable"), _GROUPS)
    fit = _fit([power[g].mean(axis=0) for g in groups], [len(g) for g in groups], step, stretch)
    tangents = [float(slopes[g].mean()) for g in groups]
    return _judged(fit, tangents, cell, step)


@dataclass(frozen=True, slots=True)
class GroupNoise:
    """Noise of a group of windows: mean tangent of their slope, standard deviation in metres, share of the power."""

    slope: float
    noise_m: float
    share: float


def group_noise(
    windows: Sequence[NDArray[np.floating]],
    size_m: tuple[float, float],
    sensor: SensorModel,
    errors: tuple[float, float],
) -> list[GroupNoise]:
    """Noise in three groups of windows from smooth to rough, with the point spread and correlation of a product.

    Parameters
    ----------
    windows
        Windows (64, 64) of heights in metres, as `sample_windows` gives them.
    size_m
        Metres of a cell (y, x).
    sensor
        Sensor model of the product on these cells; its noise is not used.
    errors
        Standard errors of its point spread and correlation, in cells: how far the spectrum may decide otherwise.

    Returns
    -------
    list[GroupNoise]
        Empty where a group is a plane.
    """
    stretch = round(math.sqrt(size_m[1] / size_m[0]), 2), round(math.sqrt(size_m[0] / size_m[1]), 2)
    power, slopes = _powers(windows, size_m, stretch)
    groups = np.array_split(np.argsort(slopes, kind="stable"), _GROUPS)
    seen = [power[g].mean(axis=0) for g in groups]
    if not min(float(own.min()) for own in seen) > _NOTHING:
        return []
    blur, correlation = (max(error, 0.05) for error in errors)
    total = ((BLURS - sensor.psf_cells) / blur)[:, None] ** 2
    total = total + ((CORRELATIONS - sensor.correlation_cells) / correlation) ** 2
    amounts: list[F64] = []
    for own, group in zip(seen, groups, strict=True):
        misfit, amount = _of_group(own, len(group), sensor.rounding_m, stretch)
        total, amounts = total + misfit, [*amounts, amount]
    belief = np.exp(-0.5 * (total - total.min()))
    belief /= belief.sum()
    made = np.einsum("jk,kr->r", belief, noise_table(stretch))[_HIGH]
    found = []
    for own, group, amount in zip(seen, groups, amounts, strict=True):
        noise = float((belief * amount).sum())
        share = float((made * noise**2 / own[_HIGH]).mean())
        found.append(GroupNoise(float(slopes[group].mean()), noise, share))
    return found


def _of_group(own: F64, windows: int, step: float, stretch: tuple[float, float]) -> tuple[F64, F64]:
    """Misfit and noise of one group by (blur, correlation), averaged over the exponents of terrain."""
    weight = 1.0 / (_MODEL_ERROR**2 + 2.5 / (_modes(stretch) * windows))
    misfit, variance = _two(
        terrain_table(stretch) / own, noise_table(stretch) / own, (own - step**2 / 12.0) / own, weight
    )
    misfit = misfit + (((BETAS - _BETA[0]) / _BETA[1]) ** 2)[:, None, None]
    belief = np.exp(-0.5 * (misfit - misfit.min(axis=0)))
    noise = (belief * np.sqrt(variance)).sum(axis=0) / belief.sum(axis=0)
    return misfit.min(axis=0) - 2.0 * np.log(belief.mean(axis=0)), noise


def _modes(stretch: tuple[float, float]) -> NDArray[np.int64]:
    """Number of frequencies in each ring."""
    ring = ring_of(_SIDE, stretch)
    return np.bincount(ring[ring >= 0], minlength=RINGS.size - 1)


def _powers(
    windows: Sequence[NDArray[np.floating]], size_m: tuple[float, float], stretch: tuple[float, float]
) -> tuple[F64, F64]:
    """Power by (window, ring) without the window's plane, and the mean slope of each window."""
    ring = ring_of(_SIDE, stretch)
    use = ring >= 0
    count = np.bincount(ring[use], minlength=RINGS.size - 1)
    taper = np.hanning(_SIDE + 1)[:-1]
    weight = np.outer(taper, taper)
    line = np.linspace(-1.0, 1.0, _SIDE)
    norm = float((line**2).mean())
    power, slopes = [], []
    for window in windows:
        z = np.asarray(window, np.float64)
        z = z - z.mean()
        z = z - line[:, None] * float((z * line[:, None]).mean() / norm) - line * float((z * line).mean() / norm)
        full = np.abs(np.fft.fft2(z * weight)) ** 2 / float((weight**2).sum())
        power.append(np.bincount(ring[use], full[use], RINGS.size - 1) / count)
        down, right = np.gradient(np.asarray(window, np.float64), *size_m)
        slopes.append(float(np.hypot(down, right).mean()))
    return np.array(power), np.array(slopes)


@dataclass(frozen=True, slots=True)
class _Fit:
    blur: float
    blur_error: float
    correlation: float
    noise: F64  # metres by group
    shares: F64  # of the power at high frequency, by group


def _fit(power: Sequence[F64], counts: Sequence[int], step: float, stretch: tuple[float, float]) -> _Fit:
    """Terrain and noise of each group by least squares of relative power, over all exponents, blurs, correlations."""
    terrain, noise = terrain_table(stretch), noise_table(stretch)
    modes = _modes(stretch)
    misfit = np.repeat(((BETAS - _BETA[0]) / _BETA[1])[:, None, None] ** 2, BLURS.size, axis=1)
    misfit = np.repeat(misfit, CORRELATIONS.size, axis=2)
    amounts: list[F64] = []
    for own, n in zip(power, counts, strict=True):
        weight = 1.0 / (_MODEL_ERROR**2 + 2.5 / (modes * n))
        more, amount = _two(terrain / own, noise / own, (own - step**2 / 12.0) / own, weight)
        misfit = misfit + more
        amounts.append(np.sqrt(amount))
    belief = np.exp(-0.5 * (misfit - misfit.min()))
    belief /= belief.sum()
    amount = np.array([(belief * a).sum() for a in amounts])
    blur = float((belief * BLURS[None, :, None]).sum())
    error = math.sqrt(float((belief * (BLURS[None, :, None] - blur) ** 2).sum()))
    correlation = float((belief * CORRELATIONS).sum())
    made = noise[int(np.argmin(np.abs(CORRELATIONS - correlation)))][_HIGH]
    shares = np.array([float((made * a**2 / own[_HIGH]).mean()) for a, own in zip(amount, power, strict=True)])
    return _Fit(blur, error, correlation, amount, shares)


def _two(terrain: F64, noise: F64, seen: F64, weight: F64) -> tuple[F64, F64]:
    """Misfit and variance of the noise by (beta, blur, correlation), neither terrain nor noise negative."""
    tt = (terrain**2 @ weight)[:, :, None]
    nn = (noise**2 @ weight)[None, None, :]
    tn = np.einsum("ijr,kr->ijk", terrain, noise * weight)
    ts, ns = (terrain @ (weight * seen))[:, :, None], (noise @ (weight * seen))[None, None, :]
    det = np.maximum(tt * nn - tn**2, 1e-9 * tt * nn)
    b = (tt * ns - tn * ts) / det
    a = (nn * ts - tn * ns) / det
    b, a = np.where(b < 0, 0.0, np.where(a < 0, ns / nn, b)), np.where(b < 0, ts / tt, np.maximum(a, 0.0))
    misfit = (weight * seen**2).sum() - 2 * (a * ts + b * ns) + a * a * tt + b * b * nn + 2 * a * b * tn
    return misfit, b


def _judged(fit: _Fit, slopes: Sequence[float], cell: float, step: float) -> Estimate:
    share, smooth = float(fit.shares[0]), float(fit.noise[0])
    blur, correlation = round(fit.blur, 2), round(fit.correlation, 2)
    if share > _SHARE and smooth > _LEAST * cell:
        flat, rise = _line(slopes, fit)
        blur = round(float(np.clip(fit.blur, _FILTER[0] * correlation, _FILTER[1] * correlation)), 2)
        noisy = SensorModel(blur, round(flat, 3), round(rise, 3), correlation, step, exact=False)
        return Estimate(noisy, "noisy", step, share)
    mild = default_sensor(cell, step)
    if fit.blur > _BLURRED[0] and fit.blur_error < _BLURRED[1]:
        blurred = SensorModel(blur, mild.noise_flat_m, mild.noise_slope_m, 0.5, step, exact=False)
        return Estimate(blurred, "blurred", step, share)
    if step < 1.0 and fit.blur < _SHARP[0] and (share < _SHARP[1] or smooth < _LEAST * cell):
        return Estimate(SensorModel(0.0, 0.0, 0.0, 0.0, step, exact=True), "exact", step, share)
    return Estimate(mild, "unknown", step, share)


def _line(slopes: Sequence[float], fit: _Fit) -> tuple[float, float]:
    """Noise on flat ground and its increase, from the groups where noise is seen."""
    use = fit.shares > _SHARE
    x, y = np.array(slopes)[use], fit.noise[use]
    if x.size == 1 or float(np.ptp(x)) < 0.02:
        flat = float(y[0]) / (1.0 + _RISE * float(x[0]))
        return flat, _RISE * flat
    rise = min(max(float(np.polyfit(x, y, 1)[0]), 0.0), float(y[0]) / max(float(x[0]), 1e-3))
    return max(float(y[0]) - rise * float(x[0]), 0.0), rise
