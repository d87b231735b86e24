"""Errors of a real sensor for one patch, and their growth with slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.nn.system import GROWTH_SLOPE, REFERENCE_SLOPE

__all__ = ["RealError", "growth_on"]

F64 = NDArray[np.float64]
_LARGEST = 4.0  # times the noise at the reference slope


@dataclass(frozen=True, slots=True)
class RealError:
    """Errors of real cells for one patch, and the noise that is stated for them.

    Attributes
    ----------
    share
        Errors as a share of the cell size, (y, x).
    by_slope
        Whether they are errors at the reference slope, which grow with that of the patch.
    noise_share, correlation_cells, noise_growth
        Conditions of the product as inference states them.
    """

    share: F64
    by_slope: bool
    noise_share: float
    correlation_cells: float
    noise_growth: float

    def relative(self, slope: F64) -> F64:
        """Return the growth of the errors on slopes, 1 where they do not follow it.

        Parameters
        ----------
        slope
            Tangents, (y, x).

        Returns
        -------
        ndarray
            (y, x).
        """
        return growth_on(slope, self.noise_growth) if self.by_slope else np.ones_like(slope)


def growth_on(slope: F64, growth: float) -> F64:
    """Compute the noise on slopes relative to that at the reference slope, at most four times it.

    Parameters
    ----------
    slope
        Tangents, (y, x).
    growth
        How much the noise grows from level ground to a slope of 30 %, as a share of that on level ground.

    Returns
    -------
    ndarray
        (y, x).
    """
    found = (1 + growth * slope / GROWTH_SLOPE) / (1 + growth * REFERENCE_SLOPE / GROWTH_SLOPE)
    return np.asarray(np.minimum(found, _LARGEST))
