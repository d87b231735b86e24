"""Consistency of a fine surface with its coarse input: block means against the input, as an accumulator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.elevation.errors import Moments

__all__ = ["ConsistencyStats"]


@dataclass(frozen=True)
class ConsistencyStats:
    """Block mean of the candidate minus the coarse input in metres; immutable, mergeable.

    Attributes
    ----------
    departure
        Moments of the difference.
    within
        Number of coarse cells within the tolerance.
    tolerance_m
        The tolerance.
    """

    departure: Moments = field(default_factory=Moments)
    within: int = 0
    tolerance_m: float = 0.01

    def add(self, averaged: NDArray[Any], coarse: NDArray[Any]) -> ConsistencyStats:
        """Add coarse cells; one nodata cell makes a block mean nodata.

        Parameters
        ----------
        averaged, coarse
            Metres, arrays of one shape, NaN at nodata.

        Returns
        -------
        ConsistencyStats
            The statistics with them.
        """
        d = np.asarray(averaged, dtype=np.float64) - np.asarray(coarse, dtype=np.float64)
        d = d[np.isfinite(d)]
        # A tenth of a millimetre of float32 rounding is not the candidate's fault.
        within = int(np.count_nonzero(np.abs(d) <= self.tolerance_m + 1e-4))
        return self.merge(ConsistencyStats(Moments.of(d), within, self.tolerance_m))

    def merge(self, other: ConsistencyStats) -> ConsistencyStats:
        """Merge two sets of cells.

        Parameters
        ----------
        other
            The other set.

        Returns
        -------
        ConsistencyStats
            Both as one.
        """
        return ConsistencyStats(self.departure.merge(other.departure), self.within + other.within, self.tolerance_m)

    def summary(self) -> dict[str, Any]:
        """Return the `Consistency` part of results.json."""
        m = self.departure
        if not m.n:
            return {
                "n": 0,
                "bias": None,
                "rmse": None,
                "max_abs": None,
                "within": None,
                "tolerance_m": self.tolerance_m,
            }
        return {
            "n": m.n,
            "bias": m.mean,
            "rmse": math.sqrt(m.m2 / m.n + m.mean**2),
            "max_abs": max(abs(m.low), abs(m.high)),
            "within": self.within / m.n,
            "tolerance_m": self.tolerance_m,
        }
