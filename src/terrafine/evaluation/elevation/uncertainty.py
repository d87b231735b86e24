"""Coverage of central intervals, and the reliability curve, as an accumulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError

__all__ = ["NOMINAL", "CoverageStats", "stated_multiples"]

NOMINAL = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.7, 0.8, 0.9, 0.95, 0.99)


def stated_multiples(text: str, where: str) -> dict[float, float]:
    """Parse a file's tag SIGMA_COVERS, such as "0.68:1 0.90:1.9".

    Parameters
    ----------
    text
        The tag.
    where
        The file, for messages.

    Returns
    -------
    dict
        Probability to multiple of σ, such as {0.68: 1.0, 0.9: 1.9}.

    Raises
    ------
    BandError
        If it is not a list of probabilities between 0 and 1 with positive multiples.
    """
    try:
        found = {float(p): float(k) for p, k in (part.split(":") for part in text.split())}
    except ValueError:
        found = {0.0: 0.0}
    if not all(0 < p < 1 and 0 < k < float("inf") for p, k in found.items()):
        raise BandError(
            f"{where}: tag SIGMA_COVERS is {text!r}; expected probability:multiple of σ, for example "
            f"'0.68:1 0.90:1.9'. Put the tag right, or leave the σ band out"
        )
    return found


def _zeros() -> NDArray[np.int64]:
    return np.zeros(len(NOMINAL), np.int64)


@dataclass(frozen=True)
class CoverageStats:
    """Cells whose |error| is inside the central interval of each nominal probability; immutable, mergeable.

    The half width is σ times the Gaussian multiplier of the probability (0.68: 0.994, 0.90: 1.645), unless
    `multipliers` states another.

    Attributes
    ----------
    n
        Number of cells.
    sigma_sum
        Sum of σ in metres.
    within
        Cells inside the interval, for each of NOMINAL.
    multipliers
        Half width over σ by probability, for example a model's calibration.
    """

    n: int = 0
    sigma_sum: float = 0.0
    within: NDArray[np.int64] = field(default_factory=_zeros)
    multipliers: Mapping[float, float] = field(default_factory=dict)

    def half_widths(self) -> NDArray[np.float64]:
        """Return the half width of the interval over σ for each of NOMINAL."""
        normal = NormalDist()
        return np.array([self.multipliers.get(p, normal.inv_cdf((1 + p) / 2)) for p in NOMINAL])

    def add(self, error: NDArray[Any], sigma: NDArray[Any]) -> CoverageStats:
        """Add cells; those without a positive finite σ are left out.

        Parameters
        ----------
        error, sigma
            Metres, arrays of one shape.

        Returns
        -------
        CoverageStats
            The statistics with them.
        """
        usable = np.isfinite(sigma) & (sigma > 0) & np.isfinite(error)
        s = sigma[usable].astype(np.float64)
        ratio = np.abs(error[usable].astype(np.float64)) / s
        within = np.array([int(np.count_nonzero(ratio <= h)) for h in self.half_widths()], np.int64)
        return self.merge(CoverageStats(s.size, float(s.sum()), within, self.multipliers))

    def merge(self, other: CoverageStats) -> CoverageStats:
        """Merge two sets of cells with the same multipliers.

        Parameters
        ----------
        other
            The other set.

        Returns
        -------
        CoverageStats
            Both as one.
        """
        return CoverageStats(
            self.n + other.n, self.sigma_sum + other.sigma_sum, self.within + other.within, self.multipliers
        )

    def summary(self) -> dict[str, Any]:
        """Return the `Uncertainty` part of results.json."""
        share = [float(w / self.n) if self.n else None for w in self.within]
        at = dict(zip(NOMINAL, share, strict=True))
        return {
            "n": self.n,
            "coverage_68": at[0.68],
            "coverage_90": at[0.9],
            "mean_sigma": self.sigma_sum / self.n if self.n else None,
            "multiples": {str(p): float(k) for p, k in sorted(self.multipliers.items())} or "Gaussian",
            "reliability": [{"nominal": p, "observed": o} for p, o in at.items()],
        }
