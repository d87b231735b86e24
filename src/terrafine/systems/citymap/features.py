"""Spectral indices of a 10 m image and their local statistics: what the network reads in place of reflectance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["BANDS", "COUNT", "REACH", "greenness", "ndvi", "spectral_features", "spectral_indices"]

BANDS = ("red", "green", "blue", "nir")
_WINDOWS = (3, 9, 31)  # cells along the windows of local statistics
_MEANS = (9, 31)
_GRAIN, _BLOCKS = (5, 11, 21), (11, 31)  # windows of the strength of finer and of coarser texture
_EXTREMES = (5, 15)
_INDICES, _LOCAL, _MEAN, _TEXTURED = 6, 4, 3, 4  # indices, and of how many each kind of statistic is taken
_DARKEST = 1e-3  # reflectance below which ratios and logarithms are not taken
_FLOOR = 1e-4  # strength of texture below which it counts as none
COUNT = (
    _INDICES
    + 2 * _LOCAL * len(_WINDOWS)
    + _MEAN * len(_MEANS)
    + 2 * len(_EXTREMES)
    + _TEXTURED * (len(_GRAIN) + len(_BLOCKS))
    + 1
)
"""Number of features."""
REACH = 1 + 3 + max(*_WINDOWS, *_BLOCKS) // 2
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


def greenness(image: Tensor) -> Tensor:
    """Compute the normalised difference of green and red, which needs no near infrared.

    Parameters
    ----------
    image
        Reflectance of `BANDS`, (n, 4, y, x).

    Returns
    -------
    Tensor
        Index, (n, 1, y, x), -1 to 1.

    References
    ----------
    Tucker 1979, Red and photographic infrared linear combinations for monitoring vegetation.
    """
    red, green = image[:, 0:1].clamp_min(_DARKEST), image[:, 1:2].clamp_min(_DARKEST)
    return (green - red) / (green + red)


def spectral_indices(image: Tensor, infrared: Tensor) -> Tensor:
    """Compute NDVI, NDWI, brightness, the ratios of red to blue and to green, and near infrared.

    Parameters
    ----------
    image
        Reflectance of `BANDS`, (n, 4, y, x).
    infrared
        1 where near infrared was observed, else 0, (n, 1, 1, 1).

    Returns
    -------
    Tensor
        Indices, (n, 6, y, x); those of near infrared are 0 where it was not observed.
    """
    red, green, blue, nir = image.clamp_min(_DARKEST).unsqueeze(2).unbind(1)
    return torch.cat(
        (
            infrared * ndvi(image),
            infrared * (green - nir) / (green + nir),
            torch.log((red + green + blue) / 3) + 2,
            torch.log(red / blue),
            torch.log(red / green),
            infrared * (torch.log(nir) + 1.5),
        ),
        dim=1,
    )


def spectral_features(image: Tensor, infrared: Tensor) -> Tensor:
    """Compute indices and what they do around a cell: differences, means, spread, extremes and texture.

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
        Features, (n, COUNT, y, x); the first is NDVI.
    """
    index = spectral_indices(image, infrared)
    vegetation, _, bright, blue_less, warm, near = torch.tensor_split(index, _INDICES, dim=1)
    local, meant = index[:, :_LOCAL], torch.cat((vegetation, bright, blue_less), dim=1)
    parts = [index]
    for window in _WINDOWS:
        mean = _mean(local, window)
        variance = (_mean(local * local, window) - mean * mean).clamp_min(0)
        parts += [local - mean, 3 * (variance + 1e-6).sqrt()]
    parts += [_mean(meant, window) for window in _MEANS]
    parts += [sign * _highest(sign * vegetation, window) for window in _EXTREMES for sign in (1, -1)]
    parts += _textures(torch.cat((vegetation, bright, near, warm), dim=1))
    shape = (image.shape[0], 1, *image.shape[-2:])
    return torch.cat((*parts, infrared.expand(shape)), dim=1)


def _textures(values: Tensor) -> list[Tensor]:
    """Logarithm of the strength of variation between cells, and between blocks of three cells."""
    fine = _mean(values, 3)
    coarse = fine - _mean(fine, 7)
    fine = values - fine
    squares = [(fine * fine, window) for window in _GRAIN] + [(coarse * coarse, window) for window in _BLOCKS]
    return [torch.log(_mean(square, window).clamp_min(0).sqrt() + _FLOOR) / 2 + 2 for square, window in squares]


def _mean(values: Tensor, window: int) -> Tensor:
    """Mean over a square window, along one axis after the other; edges are replicated."""
    half = window // 2
    tall = _sums(functional.pad(values, (0, 0, half, half), mode="replicate"), window, -2)
    return _sums(functional.pad(tall, (half, half, 0, 0), mode="replicate"), window, -1) / window**2


def _sums(values: Tensor, window: int, dim: int) -> Tensor:
    """Sums of `window` neighbours, put together of sums of 1, 2, 4, ...; each cell adds in the same order."""
    size, done = values.shape[dim] - window + 1, 0
    power, out = values, torch.zeros(())
    for bit in range(window.bit_length()):
        length = 1 << bit
        if bit:
            power = power.narrow(dim, 0, power.shape[dim] - length // 2) + power.narrow(
                dim, length // 2, power.shape[dim] - length // 2
            )
        if window & length:
            part = power.narrow(dim, done, size)
            out, done = (part if not done else out + part), done + length
    return out


def _highest(values: Tensor, window: int) -> Tensor:
    """Maximum over a square window."""
    half = window // 2
    tall = functional.max_pool2d(values, (window, 1), 1, (half, 0))
    return functional.max_pool2d(tall, (1, window), 1, (0, half))
