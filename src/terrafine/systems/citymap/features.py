"""Spectral indices of a 10 m image and their local statistics: what the network reads in place of reflectance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["BANDS", "COUNT", "REACH", "ndvi", "spectral_features"]

BANDS = ("red", "green", "blue", "nir")
_WINDOWS = (3, 9, 31)  # cells along the windows of local statistics
_LOCAL = 4  # indices of which local statistics are taken
_INDICES = 6
_DARKEST = 1e-3  # reflectance below which ratios and logarithms are not taken
COUNT = _INDICES + 2 * _LOCAL * len(_WINDOWS) + 1
"""Number of features."""
REACH = max(_WINDOWS) // 2
"""Cells around a cell that its features depend on."""


def ndvi(image: Tensor) -> Tensor:
    """Compute the normalised difference of near infrared and red.

    Parameters
    ----------
    image
        Reflectance of `BANDS`, (n, 4, y, x).

    Returns
    -------
    Tensor
        Index, (n, 1, y, x), -1 to 1.
    """
    red, nir = image[:, 0:1].clamp_min(_DARKEST), image[:, 3:4].clamp_min(_DARKEST)
    return (nir - red) / (nir + red)


def spectral_features(image: Tensor, infrared: Tensor) -> Tensor:
    """Compute indices, their differences from local means, and their local standard deviations.

    Ratios of bands hardly depend on light and haze, differences from a local mean even less. Where near infrared is
    missing, features of it are 0 and the last feature, which states its presence, is 0 too.

    Parameters
    ----------
    image
        Reflectance of `BANDS`, (n, 4, y, x).
    infrared
        1 where near infrared was observed, else 0, (n, 1, 1, 1).

    Returns
    -------
    Tensor
        Features, (n, COUNT, y, x).
    """
    red, green, blue, nir = image.clamp_min(_DARKEST).unsqueeze(2).unbind(1)
    index = torch.cat(
        (
            infrared * (nir - red) / (nir + red),
            infrared * (green - nir) / (green + nir),
            torch.log((red + green + blue) / 3) + 2,
            torch.log(red / blue),
            torch.log(red / green),
            infrared * (torch.log(nir) + 1.5),
        ),
        dim=1,
    )
    local = index[:, :_LOCAL]
    parts = [index]
    for window in _WINDOWS:
        mean = _mean(local, window)
        variance = _mean((local - mean) ** 2, window)
        parts += [local - mean, 3 * (variance + 1e-6).sqrt()]
    shape = (image.shape[0], 1, *image.shape[-2:])
    return torch.cat((*parts, infrared.expand(shape)), dim=1)


def _mean(values: Tensor, window: int) -> Tensor:
    """Mean over a square window, along one axis after the other; edges are replicated."""
    half = window // 2
    tall = functional.avg_pool2d(functional.pad(values, (0, 0, half, half), mode="replicate"), (window, 1), 1)
    return functional.avg_pool2d(functional.pad(tall, (half, half, 0, 0), mode="replicate"), (1, window), 1)
