"""A 10 m sensor looking at a 1 m image: point spread, sampling, noise, and the histogram of real scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError

__all__ = ["SENTINEL2", "Sensor", "gaussian_rows", "observe", "tone_curve", "toned"]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sensor:
    """What a sensor does to an image of k × k cells in each of its own.

    mtf    modulation that is left at its Nyquist frequency, detector and optics together; of Sentinel-2's 10 m bands
           0.15 to 0.3 is asked for (ESA, Sentinel-2 User Handbook, 2015), and about 0.2 is measured in orbit
    noise  standard deviation of a reflectance
    step   the reflectance that one digital number is worth; 0 keeps floats
    """

    mtf: float = 0.2
    noise: float = 0.002
    step: float = 1e-4

    def __post_init__(self) -> None:
        if not (0 < self.mtf < 1 and self.noise >= 0 and self.step >= 0):
            raise UsageError(
                f"sensor with MTF {self.mtf}, noise {self.noise}, step {self.step}; expected an MTF between 0 and 1, "
                "and the others 0 or more"
            )

    def sigma(self, k: int) -> float:
        """Standard deviation, in fine cells, of the Gaussian point spread with that modulation at 1 / (2k).

        The transform of a Gaussian is exp(−2 π² σ² f²).
        """
        return k * math.sqrt(-2 * math.log(self.mtf)) / math.pi


SENTINEL2 = Sensor()


def gaussian_rows(n: int, k: int, sigma: float) -> F64:
    """Weights (n / k, n) of fine cells in each coarse one: Gaussians about its centre, each row adding up to one.

    Beyond four standard deviations a weight is 0; at the edge a row is cut and its rest made to add up.
    """
    centre = (np.arange(n // k) + 0.5) * k - 0.5
    away = (np.arange(n)[None, :] - centre[:, None]) / sigma
    weight = np.where(np.abs(away) <= 4, np.exp(-0.5 * away**2), 0.0)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def observe(fine: NDArray[np.floating], k: int, sensor: Sensor, rng: np.random.Generator) -> F32:
    """What the sensor reports of a fine image: reflectance (band, y·k, x·k) -> (band, y, x), centred on its cells."""
    height, width = fine.shape[-2:]
    if height % k or width % k:
        raise UsageError(f"an image of {height} × {width} cells is not whole in cells of {k}")
    sigma = sensor.sigma(k)
    down, across = gaussian_rows(height, k, sigma), gaussian_rows(width, k, sigma)
    seen = down @ fine.astype(np.float64) @ across.T
    if sensor.noise:
        seen = seen + sensor.noise * rng.standard_normal(seen.shape)
    if sensor.step:
        seen = np.round(seen / sensor.step) * sensor.step
    return np.asarray(seen, np.float32)


def tone_curve(values: NDArray[np.floating], like: NDArray[np.floating], knots: int = 101) -> tuple[F64, F64]:
    """The increasing curve that gives values (n,) the histogram of others (m,): where, and what there.

    Quantiles from 0.5 to 99.5 %, so that a few outliers do not bend it; beyond them the curve goes on with slope 1.
    """
    share = np.linspace(0.005, 0.995, knots)
    at, to = np.quantile(values, share), np.quantile(like, share)
    keep = np.concatenate(([True], np.diff(at) > 0))
    return np.asarray(at[keep]), np.asarray(to[keep])


def toned(values: NDArray[np.floating], curve: tuple[F64, F64]) -> F32:
    """Values of any shape on a tone curve."""
    at, to = curve
    inside = np.interp(values, at, to)
    beyond = np.minimum(values - at[0], 0) + np.maximum(values - at[-1], 0)
    return np.asarray(inside + beyond, np.float32)
