"""Sensor model of a 10 m imager: point spread function (PSF), sampling, noise and back-projection.

Training samples are simulated with numpy, and networks are held to their input with torch; both use weights of the same
Gaussian. They differ beyond the edge: `simulate` rescales the weights of the cells that exist, `downsample` repeats the
last cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrafine.arguments import check_fields
from terrafine.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "SENTINEL2",
    "Sensor",
    "back_project",
    "back_projection_reach",
    "downsample",
    "gaussian",
    "gaussian_rows",
    "gaussian_transfer",
    "point_spread",
    "psf_sigma",
    "simulate",
]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sensor:
    """Sensor model: its effect on an image that has k × k cells in each cell of the sensor.

    Attributes
    ----------
    mtf
        Modulation transfer function (MTF) at its Nyquist frequency, detector and optics together. For Sentinel-2's 10 m
        bands the requirement is 0.15 to 0.3 (ESA, Sentinel-2 User Handbook, 2015); about 0.2 is measured in orbit.
    noise
        Standard deviation of the noise, in reflectance.
    step
        Reflectance of one digital number; 0 keeps floats.

    Raises
    ------
    UsageError
        For an MTF not between 0 and 1, or a negative noise or step.
    """

    mtf: float = 0.2
    noise: float = 0.002
    step: float = 1e-4

    def __post_init__(self) -> None:
        check_fields(self)
        if not (0 < self.mtf < 1 and self.noise >= 0 and self.step >= 0):
            raise UsageError(
                f"sensor with MTF {self.mtf}, noise {self.noise}, step {self.step}; expected an MTF between 0 and 1, "
                "and the others 0 or more"
            )


SENTINEL2 = Sensor()


def psf_sigma(k: int, mtf: float) -> float:
    """Return the standard deviation of the Gaussian PSF with a given MTF at 1 / (2k) cycles per cell.

    It is where `gaussian_transfer` has that value.

    Parameters
    ----------
    k
        Fine cells along a coarse one.
    mtf
        Between 0 and 1.

    Returns
    -------
    float
        Fine cells.

    Raises
    ------
    UsageError
        For an MTF that is not between 0 and 1.
    """
    if not 0 < mtf < 1:
        raise UsageError(f"modulation {mtf} at the Nyquist frequency; expected between 0 and 1")
    return k * math.sqrt(-2 * math.log(mtf)) / math.pi


def gaussian(distance: F64, sigma: float, cut: float = math.inf) -> F64:
    """Return exp(−d²/2σ²), not normalised.

    Parameters
    ----------
    distance
        Distances d, an array of any shape.
    sigma
        Standard deviation σ, in the unit of `distance`.
    cut
        Standard deviations beyond which the result is 0.

    Returns
    -------
    ndarray
        Array of the shape of `distance`.
    """
    away = distance / sigma
    return np.where(np.abs(away) <= cut, np.exp(-0.5 * away**2), 0.0)


def gaussian_transfer(frequency_squared: F64, sigma: float) -> F64:
    """Return exp(−2 π² σ² f²), the Fourier transform of a Gaussian of integral 1.

    Parameters
    ----------
    frequency_squared
        Squared frequencies f² in cycles per cell, an array of any shape.
    sigma
        Standard deviation σ in cells.

    Returns
    -------
    ndarray
        Array of the shape of `frequency_squared`.
    """
    return np.asarray(np.exp(-2 * (np.pi * sigma) ** 2 * frequency_squared))


_CUT = 4.0  # standard deviations at which the point spread ends


def gaussian_rows(n: int, k: int, sigma: float) -> F64:
    """Return the weight of each fine cell of a line in each coarse cell.

    Weights beyond four standard deviations are 0; at the edge a row is cut off and its other weights are rescaled.

    Parameters
    ----------
    n
        Fine cells in the line.
    k
        Fine cells along a coarse one.
    sigma
        Standard deviation of the PSF, fine cells.

    Returns
    -------
    ndarray
        (n / k, n); each row sums to one.
    """
    centre = (np.arange(n // k) + 0.5) * k - 0.5
    weight = gaussian(np.arange(n)[None, :] - centre[:, None], sigma, _CUT)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


@lru_cache(maxsize=16)
def point_spread(k: int, mtf: float | None) -> F32:
    """Return the weights of the fine cells along one axis for a coarse cell of k, centred on it.

    Parameters
    ----------
    k
        Fine cells along a coarse one.
    mtf
        Modulation transfer function at the Nyquist frequency of a Gaussian that is cut off at four standard deviations;
        None is the area mean.

    Returns
    -------
    ndarray
        float32 weights that sum to one.

    Raises
    ------
    UsageError
        For an MTF that is not between 0 and 1.
    """
    if mtf is None:
        return np.full(k, 1.0 / k, np.float32)
    sigma = psf_sigma(k, mtf)
    size = k + 2 * math.ceil(_CUT * sigma - k / 2)  # with the cells beyond the coarse cell on either side
    weight = gaussian(np.arange(size, dtype=np.float64) - (size - 1) / 2, sigma, _CUT)
    return np.asarray(weight / weight.sum(), np.float32)


def simulate(fine: NDArray[np.floating], k: int, sensor: Sensor, rng: np.random.Generator) -> F32:
    """Simulate what the sensor reports of a fine image, including noise and rounding.

    Parameters
    ----------
    fine
        Reflectance (band, y·k, x·k).
    k
        Fine cells along one of the sensor's.
    sensor
        Its point spread, noise and step.
    rng
        Source of the noise.

    Returns
    -------
    ndarray
        Reflectance (band, y, x), centred on its cells.

    Raises
    ------
    UsageError
        Where k does not divide the sides.
    """
    height, width = fine.shape[-2:]
    _check_whole(height, width, k)
    sigma = psf_sigma(k, sensor.mtf)
    down, across = gaussian_rows(height, k, sigma), gaussian_rows(width, k, sigma)
    reported = down @ fine.astype(np.float64) @ across.T
    if sensor.noise:
        reported = reported + sensor.noise * rng.standard_normal(reported.shape)
    if sensor.step:
        reported = np.round(reported / sensor.step) * sensor.step
    return np.asarray(reported, np.float32)


def downsample(fine: Tensor, k: int, mtf: float | None = None) -> Tensor:
    """Downsample an image with the point spread function, without noise; differentiable.

    Parameters
    ----------
    fine
        Image, (n, band, y·k, x·k); its last cells are repeated beyond the edge.
    k, mtf
        As in `point_spread`.

    Returns
    -------
    Tensor
        (n, band, y, x).

    Raises
    ------
    UsageError
        Where k does not divide the sides.
    """
    import torch
    from torch.nn import functional

    height, width = fine.shape[-2:]
    _check_whole(height, width, k)
    if mtf is None:
        return functional.avg_pool2d(fine, k)
    taps = torch.from_numpy(point_spread(k, mtf)).to(fine)
    pad = (len(taps) - k) // 2
    n, c = fine.shape[:2]
    flat = functional.pad(fine.reshape(n * c, 1, height, width), (pad, pad, pad, pad), mode="replicate")
    down = functional.conv2d(flat, taps.reshape(1, 1, -1, 1), stride=(k, 1))
    return functional.conv2d(down, taps.reshape(1, 1, 1, -1), stride=(1, k)).reshape(n, c, height // k, width // k)


def back_project(fine: Tensor, coarse: Tensor, k: int, *, mtf: float | None = None, rounds: int = 3) -> Tensor:
    """Replace the low frequencies of a fine image by those of its observation, and keep the detail within coarse cells.

    Parameters
    ----------
    fine, coarse
        (n, band, y·k, x·k) and (n, band, y, x).
    k, mtf
        As in `point_spread`.
    rounds
        Number of rounds; each adds the difference of `coarse` and the downsampled image, interpolated bilinearly.

    Returns
    -------
    Tensor
        (n, band, y·k, x·k).

    Raises
    ------
    UsageError
        Where k does not divide the sides.

    References
    ----------
    Irani & Peleg 1991, doi:10.1016/1049-9652(91)90045-L.
    """
    from torch.nn import functional

    for _ in range(rounds):
        gap = coarse - downsample(fine, k, mtf)
        fine = fine + functional.interpolate(gap, scale_factor=k, mode="bilinear", align_corners=False)
    return fine


def back_projection_reach(k: int, mtf: float | None = None) -> int:
    """Return how many coarse cells around a cell one round of `back_project` reads.

    They are the cells under the point spread function, and one for the bilinear interpolation.

    Parameters
    ----------
    k, mtf
        As in `point_spread`.

    Returns
    -------
    int
        Coarse cells.
    """
    beyond = (len(point_spread(k, mtf)) - k) // 2
    return -(-beyond // k) + 1


def _check_whole(height: int, width: int, k: int) -> None:
    """Raise UsageError where k does not divide the sides."""
    if height % k or width % k:
        raise UsageError(f"an image of {height} × {width} cells does not consist of whole blocks of {k} × {k}")
