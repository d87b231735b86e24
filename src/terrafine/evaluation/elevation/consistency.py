"""Does the fine surface, averaged back, return the coarse one it was made from? As an accumulator."""

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
    """Block mean of the candidate minus the coarse input, metres; immutable, mergeable."""

    departure: Moments = field(default_factory=Moments)
    within: int = 0
    tolerance_m: float = 0.01

    def add(self, averaged: NDArray[Any], coarse: NDArray[Any]) -> ConsistencyStats:
        """Add coarse cells: equal-shaped arrays, NaN where nodata. One nodata cell makes a mean nodata."""
        d = np.asarray(averaged, dtype=np.float64) - np.asarray(coarse, dtype=np.float64)
        d = d[np.isfinite(d)]
        # A tenth of a millimetre of float32 rounding is not the candidate's fault.
        within = int(np.count_nonzero(np.abs(d) <= self.tolerance_m + 1e-4))
        return self.merge(ConsistencyStats(Moments.of(d), within, self.tolerance_m))

    def merge(self, other: ConsistencyStats) -> ConsistencyStats:
        """Both sets of cells as one."""
        return ConsistencyStats(self.departure.merge(other.departure), self.within + other.within, self.tolerance_m)

    def summary(self) -> dict[str, Any]:
        """The `Consistency` part of results.json."""
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
