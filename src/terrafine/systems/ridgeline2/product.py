"""A product's sensor model as the network takes it, and what the result is held to."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from terrafine.nn.system import GROWTH_SLOPE, REFERENCE_SLOPE
from terrafine.physics.sensor_model import gaussian
from terrafine.physics.terrain import slope
from terrafine.raster.products.model import SensorModel

__all__ = ["LIMITS", "PROXIMAL_RADIUS", "conditions_of", "noise_of", "proximal_step"]

LIMITS = {
    "psf_cells": (0.0, 0.95),
    "noise_share": (0.0, 0.2),
    "correlation_cells": (0.0, 1.5),
    "noise_growth": (0.0, 2.0),
    "rounding_share": (0.0, 1.0),
}
"""Range of each condition in training; a product outside it enters as the nearest that is inside."""

PROXIMAL_RADIUS = 4
"""Input cells around a cell on which `proximal_step` depends."""

_SIGMAS = 3.0  # departures of the modelled cell that the noise explains


def conditions_of(sensor: SensorModel, pixel_size_m: Tensor) -> Tensor:
    """Compute the conditions of a product for the network on cells of a given size.

    Parameters
    ----------
    sensor
        The product's sensor model.
    pixel_size_m
        Metres along y and x, (n, 2, y, 1).

    Returns
    -------
    Tensor
        (n, 6, y, 1): point spread in cells, noise at a slope of 15 % as a share of the cell size, correlation in cells,
        relative growth of the noise, rounding as a share of the cell size, and 1 for exact block means; within LIMITS.
    """
    size = pixel_size_m.prod(dim=1, keepdim=True).sqrt()
    one = torch.ones_like(size)
    if sensor.exact:
        return torch.cat((*(0 * one for _ in range(5)), one), dim=1)
    flat, rise = sensor.noise_flat_m, sensor.noise_slope_m
    noisy = flat > 0 or rise > 0
    growth = 0.0 if not noisy else GROWTH_SLOPE * rise / flat if flat > 0 else math.inf
    values = {
        "psf_cells": sensor.psf_cells * one,
        "noise_share": sensor.noise_m(REFERENCE_SLOPE) / size,
        "correlation_cells": (sensor.correlation_cells if noisy else 0.0) * one,
        "noise_growth": growth * one,
        "rounding_share": sensor.rounding_m / size,
    }
    inside = [value.clamp(*LIMITS[name]) for name, value in values.items()]
    return torch.cat((*inside, 0 * one), dim=1)


def proximal_step(relief: Tensor, heights: Tensor, noise: Tensor, psf_cells: float, scale: int) -> Tensor:
    """Move each cell's fine heights so that the cell as the product would see it lies within its own noise.

    The fine surface is blurred by the point spread and averaged over each cell. Where that differs from the input by
    more than three standard deviations of the noise on that slope, rounding included, the excess is subtracted from all
    fine heights of the cell: the proximal operator of a noise likelihood that is flat within those bounds.

    Parameters
    ----------
    relief
        Subcell minus cell height, (n, k², y, x), metres.
    heights
        Input, (n, 1, y, x), metres.
    noise
        Standard deviation of the input's noise, (n, 1, y, x), metres; see `noise_of`.
    psf_cells
        Standard deviation of the point spread, in cells.
    scale
        Fine cells along a coarse cell, k.

    Returns
    -------
    Tensor
        (n, k², y, x), metres.
    """
    coarse = heights.double()
    seen = functional.pixel_shuffle(relief.double(), scale)
    seen = seen + coarse.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
    departure = functional.avg_pool2d(_blurred(seen, psf_cells * scale), scale) - coarse
    bound = _SIGMAS * noise
    excess = departure - departure.clamp(-bound, bound)
    return relief - excess.to(relief.dtype)


def noise_of(heights: Tensor, pixel_size_m: Tensor, sensor: SensorModel) -> Tensor:
    """Compute the standard deviation of the noise of each cell on its slope, rounding included.

    Parameters
    ----------
    heights
        Input, (n, 1, y, x), metres.
    pixel_size_m
        Metres along y and x, (n, 2, y, 1).
    sensor
        The product's sensor model.

    Returns
    -------
    Tensor
        (n, 1, y, x), metres, float64.
    """
    noise = sensor.noise_m(slope(heights.double(), pixel_size_m.double(), "zevenbergen-thorne", "tan"))
    return torch.sqrt(noise.square() + sensor.rounding_m**2 / 12)


def _blurred(values: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (n, 1, y, x) by a standard deviation in cells, cut at three of it; edges are repeated."""
    if sigma < 0.05:
        return values
    reach = math.ceil(3 * sigma)
    taps = gaussian(np.arange(-reach, reach + 1, dtype=np.float64), sigma)
    kernel = torch.from_numpy(taps / taps.sum()).to(values)
    padded = functional.pad(values, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])
