"""Shared parts of simulated guides: heights as another sensor observes them, and random ground covers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.physics.sensor_model import gaussian_transfer

__all__ = ["perturb_heights", "covers", "field", "guide_band", "texture"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def perturb_heights(fine: F64, shift: float, smooth: float, rng: np.random.Generator, noise_m: float = 0.0) -> F64:
    """Displace and blur heights, as another sensor would observe them.

    Parameters
    ----------
    fine
        Heights in metres, (y, x).
    shift
        Largest displacement along y and x in cells, drawn uniformly.
    smooth
        Largest blur in cells (1σ), drawn uniformly.
    rng
        Random number generator.
    noise_m
        Largest spread of relief that the sensor observes and the heights lack, metres.

    Returns
    -------
    ndarray
        Heights in metres, (y, x).
    """
    y, x = rng.uniform(-shift, shift, 2)
    sigma = rng.uniform(0, smooth)
    low = fine.mean()
    frequency = np.fft.fftfreq(fine.shape[0] + 32)[:, None], np.fft.rfftfreq(fine.shape[1] + 32)[None]
    padded = np.pad(fine - low, 16, mode="symmetric")
    turn = np.exp(-2j * np.pi * (frequency[0] * y + frequency[1] * x))
    blur = gaussian_transfer(frequency[0] ** 2 + frequency[1] ** 2, sigma)
    moved = np.fft.irfft2(np.fft.rfft2(padded) * turn * blur, padded.shape)
    seen = np.asarray(moved[16:-16, 16:-16] + low)
    return seen + texture(fine.shape, rng.uniform(0, noise_m), rng) if noise_m else seen


def covers(shape: tuple[int, ...], cover_db: float, drift_db: float, rng: np.random.Generator) -> F64:
    """Draw random ground covers: plateaus with sharp borders, and slow drifts, independent of the terrain.

    Parameters
    ----------
    shape
        Rows and columns.
    cover_db, drift_db
        Largest spread of the plateaus and of the drifts, dB.
    rng
        Random number generator.

    Returns
    -------
    ndarray
        dB, (y, x).
    """
    drift = field(shape, rng.uniform(20, 80), rng) * rng.uniform(0, drift_db) / 2
    plateaus = np.zeros(shape)
    for _ in range(int(rng.integers(0, 4))):
        inside = field(shape, rng.uniform(3, 25), rng) > rng.uniform(-0.5, 1.5)
        plateaus = plateaus + inside * rng.uniform(-cover_db, cover_db)
    return np.asarray(drift + plateaus)


def texture(shape: tuple[int, ...], spread_db: float, rng: np.random.Generator) -> F64:
    """Draw variation from cell to cell that is not relief: a field of 1 to 3 cells and one of 3 to 8.

    Parameters
    ----------
    shape
        Rows and columns.
    spread_db
        Standard deviation of the sum.
    rng
        Random number generator.

    Returns
    -------
    ndarray
        (y, x), in the unit of the spread.
    """
    share = rng.uniform(0.5, 1.0)
    fine, wide = field(shape, rng.uniform(0.8, 3.0), rng), field(shape, rng.uniform(3.0, 8.0), rng)
    return np.asarray(spread_db * (np.sqrt(share) * fine + np.sqrt(1 - share) * wide))


def field(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> F64:
    """Draw white noise smoothed over a length, with mean 0 and variance 1.

    Parameters
    ----------
    shape
        Rows and columns.
    length
        Cells.
    rng
        Random number generator.

    Returns
    -------
    ndarray
        (y, x).
    """
    f2 = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1])[None] ** 2
    white = rng.normal(size=(2, *f2.shape))
    smooth = np.fft.irfft2((white[0] + 1j * white[1]) * gaussian_transfer(f2, length / 2), shape)
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 1e-12))


def guide_band(values: NDArray[Any], observed: bool) -> F32:
    """Stack values and their mask.

    Parameters
    ----------
    values
        Values, (y, x).
    observed
        Whether the band is observed.

    Returns
    -------
    ndarray
        (2, y, x): the values and 1, or both 0 where not observed.
    """
    mask = np.full(values.shape, float(observed))
    return np.stack([values * mask, mask]).astype(np.float32)
