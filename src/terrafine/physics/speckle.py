"""Speckle of radar images: random factors and their mean in dB."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["DB", "speckle", "speckle_bias_db"]

DB = 10 / math.log(10)
"""Decibels of a natural logarithm of 1."""


def speckle(shape: tuple[int, ...], looks: float, generator: np.random.Generator) -> Tensor:
    """Draw float32 speckle factors for linear power, from a gamma distribution of mean 1 and variance 1/looks.

    In dB, add 10 lg of the factors. The same generator state gives the same factors.

    Parameters
    ----------
    shape
        Shape of the result.
    looks
        Number of looks.
    generator
        Source of the random numbers.

    Returns
    -------
    Tensor
        Float32 factors of at least 1e-6.

    Raises
    ------
    ValueError
        For looks not above 0 or not finite.

    References
    ----------
    Goodman 1976, doi:10.1364/JOSA.66.001145.
    """
    if not (looks > 0 and math.isfinite(looks)):
        raise ValueError(f"speckle has a finite number of looks above 0; found {looks}")
    drawn = generator.standard_gamma(looks, size=shape) / looks
    # Few looks underflow to 0 now and then, which has no logarithm.
    return torch.from_numpy(np.maximum(drawn, 1e-6).astype(np.float32))


def speckle_bias_db(looks: float) -> float:
    """Return the mean of 10 lg of `speckle`, 10/ln 10 · (ψ(looks) − ln looks).

    Parameters
    ----------
    looks
        Number of looks.

    Returns
    -------
    float
        Bias in dB, below 0; −2.5 dB for one look.
    """
    return DB * (float(torch.special.digamma(torch.tensor(looks, dtype=torch.float64))) - math.log(looks))
