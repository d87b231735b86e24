"""Statistics of elevation errors as accumulators: add blocks in any order, merge, and read the summary.

Error is candidate minus reference. le90 and le95 are the 90th and 95th percentiles of |error| (linear interpolation),
not p95 − p5. PSNR is 10 log10(ΔS² / MSE) with ΔS = max − min of the reference.

References
----------
Höhle & Höhle 2009, https://doi.org/10.1016/j.isprsjprs.2009.02.003
PSNR: Jiao et al. 2020, https://doi.org/10.1515/geo-2020-0207
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.nice import nice_step
from terrafine.evaluation.quantiles import Quantiles

__all__ = ["THRESHOLDS_M", "ErrorStats", "Moments"]

THRESHOLDS_M = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations and extremes of a stream, merged in float64.

    Attributes
    ----------
    n
        Number of values.
    mean, m2
        Mean, and sum of squared deviations from it.
    low, high
        Extremes.

    References
    ----------
    Chan, Golub & LeVeque 1979, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @classmethod
    def of(cls, values: NDArray[Any]) -> Moments:
        """Return the moments of an array.

        Parameters
        ----------
        values
            Finite values, any shape.

        Returns
        -------
        Moments
            Its moments.
        """
        if values.size == 0:
            return cls()
        v = np.asarray(values, dtype=np.float64)
        mean = float(v.mean())
        return cls(v.size, mean, float(np.square(v - mean).sum()), float(v.min()), float(v.max()))

    def merge(self, other: Moments) -> Moments:
        """Merge two streams.

        Parameters
        ----------
        other
            The other stream.

        Returns
        -------
        Moments
            Both as one.
        """
        if not self.n or not other.n:
            return other if not self.n else self
        n, step = self.n + other.n, other.mean - self.mean
        return Moments(
            n,
            self.mean + step * other.n / n,
            self.m2 + other.m2 + step * step * self.n * other.n / n,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    @property
    def sd(self) -> float | None:
        """Standard deviation with n in the denominator; None for an empty stream."""
        return math.sqrt(self.m2 / self.n) if self.n else None


@dataclass(frozen=True)
class ErrorStats:
    """Statistics of candidate − reference that need no neighbours, in metres; immutable.

    Attributes
    ----------
    error, candidate, reference
        Moments of the error and of both surfaces.
    absolute_sum
        Sum of |error|.
    quantiles
        Order statistics of the error.
    """

    error: Moments = field(default_factory=Moments)
    candidate: Moments = field(default_factory=Moments)
    reference: Moments = field(default_factory=Moments)
    absolute_sum: float = 0.0
    quantiles: Quantiles = field(default_factory=Quantiles)

    def add(self, candidate: NDArray[Any], reference: NDArray[Any]) -> ErrorStats:
        """Add cells.

        Parameters
        ----------
        candidate, reference
            Finite metres, arrays of one shape.

        Returns
        -------
        ErrorStats
            The statistics with them.
        """
        c, r = np.asarray(candidate, dtype=np.float64), np.asarray(reference, dtype=np.float64)
        e = c - r
        new = ErrorStats(Moments.of(e), Moments.of(c), Moments.of(r), float(np.abs(e).sum()), Quantiles().add(e))
        return self.merge(new)

    def merge(self, other: ErrorStats) -> ErrorStats:
        """Merge two sets of cells; exact for counts and order statistics, to float64 rounding for sums.

        Parameters
        ----------
        other
            The other set.

        Returns
        -------
        ErrorStats
            Both as one.
        """
        return ErrorStats(
            self.error.merge(other.error),
            self.candidate.merge(other.candidate),
            self.reference.merge(other.reference),
            self.absolute_sum + other.absolute_sum,
            self.quantiles.merge(other.quantiles),
        )

    @property
    def mse(self) -> float | None:
        """Mean squared error, m²."""
        e = self.error
        return e.m2 / e.n + e.mean**2 if e.n else None

    def summary(self, thresholds_m: Sequence[float] = THRESHOLDS_M, *, bins: int = 80) -> dict[str, Any]:
        """Return the `Elevation` part of results.json.

        Parameters
        ----------
        thresholds_m
            Thresholds of |error|.
        bins
            About how many bins the histogram has.

        Returns
        -------
        dict
            With n = 0 every statistic is None.
        """
        e, q = self.error, self.quantiles
        if not e.n:
            return {"n": 0} | dict.fromkeys(
                ("bias", "median", "mae", "rmse", "nmad", "sd", "le90", "le95", "min", "max", "psnr"), None
            )
        away = q.absolute()
        mse = self.mse or 0.0
        span = self.reference.high - self.reference.low
        out: dict[str, Any] = {
            "n": e.n,
            "bias": e.mean,
            "median": q.quantile(0.5),
            "mae": self.absolute_sum / e.n,
            "rmse": math.sqrt(mse),
            "nmad": q.nmad(),
            "sd": e.sd,
            "le90": away.quantile(0.90),
            "le95": away.quantile(0.95),
            "min": e.low,
            "max": e.high,
            "psnr": 10 * math.log10(span**2 / mse) if mse > 0 and span > 0 else None,
            "beyond": [{"threshold_m": float(t), "fraction": q.beyond(t)} for t in thresholds_m],
            "histogram": self._histogram(bins),
        }
        for name, m in (("candidate", self.candidate), ("reference", self.reference)):
            out |= {f"{name}_min": m.low, f"{name}_max": m.high, f"{name}_sd": m.sd}
        return out

    def _histogram(self, bins: int) -> dict[str, Any]:
        """Counts between edges that are symmetric about nothing and hold at least 99 % of the errors."""
        reach = max(self.quantiles.absolute().quantile(0.995) or 0.0, 1e-3)
        step = nice_step(2 * reach / bins)
        half = math.ceil(reach / step)
        # Edges between the multiples of the step, so that whole metres fall in the middle of a bin.
        edges: NDArray[np.float64] = (np.arange(-half, half + 2, dtype=np.float64) - 0.5) * step
        counts, below, above = self.quantiles.histogram(edges)
        return {"edges_m": [round(float(x), 9) for x in edges], "counts": counts, "below": below, "above": above}
