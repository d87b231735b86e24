"""Valleys and ridges taken from a surface by a local rule, and their agreement.

The rule is that of Peucker & Douglas after the 3 × 3 smoothing that TauDEM applies first (weights 0.4, 0.1, 0.05): in
every window of 2 × 2 cells the highest is flagged, and cells that are never flagged are valleys; ridges likewise with
the lowest. It needs no flow routing, so it streams; it gives more and shorter lines than a stream network.

References
----------
Peucker & Douglas 1975, https://doi.org/10.1016/0146-664X(75)90005-2
https://hydrology.usu.edu/taudem/taudem5/help53/PeukerDouglas.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terrafine.evaluation.elevation.neighbours import neighbour, nodata_aware, ring

__all__ = ["LINE_HALO", "LineStats", "ridges", "valleys", "valleys_and_ridges"]

Mask = NDArray[np.bool_]

LINE_HALO = 3  # smoothing 1, windows 1, tolerance 1
_RELIEF_M = 1e-6


def _smooth(z: NDArray[Any]) -> NDArray[np.float64]:
    z, nodata = nodata_aware(z)
    # Relative to the centre, so that a flat stays exactly flat.
    centre = neighbour(z, 0, 0)
    change = sum(
        (0.1 if 0 in (dy, dx) else 0.05) * (neighbour(z, dy, dx) - centre)
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (dy, dx) != (0, 0)
    )
    return ring(centre + change + nodata)


def valleys(z: NDArray[Any]) -> tuple[Mask, Mask]:
    """Find valley cells; flat windows flag all of their cells, so there are no lines on a lake.

    Parameters
    ----------
    z
        Metres (y, x), NaN at nodata.

    Returns
    -------
    line, known : ndarrays of bool, (y, x)
        Valley cells, and cells whose 5 × 5 neighbourhood is valid.
    """
    return _never_highest(_smooth(z))


def ridges(z: NDArray[Any]) -> tuple[Mask, Mask]:
    """Find ridge cells, by the rule for valleys applied upside down.

    Parameters
    ----------
    z
        Metres (y, x), NaN at nodata.

    Returns
    -------
    line, known : ndarrays of bool, (y, x)
        Ridge cells, and cells whose 5 × 5 neighbourhood is valid.
    """
    return _never_highest(-_smooth(z))


def valleys_and_ridges(z: NDArray[Any]) -> tuple[tuple[Mask, Mask], tuple[Mask, Mask]]:
    """Find valleys and ridges, smoothing once.

    Parameters
    ----------
    z
        Metres (y, x), NaN at nodata.

    Returns
    -------
    valleys, ridges : pairs of ndarrays of bool
        As `valleys` and `ridges`.
    """
    s = _smooth(z)
    return _never_highest(s), _never_highest(-s)


def _never_highest(s: NDArray[np.float64]) -> tuple[Mask, Mask]:
    corners = (np.s_[:-1, :-1], np.s_[:-1, 1:], np.s_[1:, :-1], np.s_[1:, 1:])
    high = np.maximum(np.maximum(s[:-1, :-1], s[:-1, 1:]), np.maximum(s[1:, :-1], s[1:, 1:])) - _RELIEF_M
    known = np.zeros(s.shape, bool)
    known[1:-1, 1:-1] = np.isfinite(nodata_aware(s)[1])
    line = known.copy()
    for corner in corners:
        line[corner] &= ~(s[corner] >= high)
    return line, known


@dataclass(frozen=True)
class LineStats:
    """Counts of line cells of both surfaces; mergeable.

    Attributes
    ----------
    candidate, reference
        Line cells of each surface.
    candidate_met, reference_met
        Those with a line cell of the other surface within the tolerance.
    tolerance
        Tolerance in cells.
    """

    candidate: int = 0
    reference: int = 0
    candidate_met: int = 0
    reference_met: int = 0
    tolerance: int = 1

    def add(
        self,
        candidate: tuple[Mask, Mask],
        reference: tuple[Mask, Mask],
        inner: tuple[slice, slice],
    ) -> LineStats:
        """Add the cells of a block.

        Parameters
        ----------
        candidate, reference
            Pairs (line, known) as `valleys` returns them.
        inner
            Rows and columns that count.

        Returns
        -------
        LineStats
            The counts with them.
        """
        known = candidate[1] & reference[1]
        c, r = candidate[0] & known, reference[0] & known
        side = 2 * self.tolerance + 1
        near_c, near_r = (ndimage.maximum_filter(m, size=side, mode="constant", cval=False) for m in (c, r))
        new = LineStats(
            int(c[inner].sum()),
            int(r[inner].sum()),
            int((c & near_r)[inner].sum()),
            int((r & near_c)[inner].sum()),
            self.tolerance,
        )
        return self.merge(new)

    def merge(self, other: LineStats) -> LineStats:
        """Merge two sets of cells.

        Parameters
        ----------
        other
            The other set.

        Returns
        -------
        LineStats
            Both as one.
        """
        return LineStats(
            self.candidate + other.candidate,
            self.reference + other.reference,
            self.candidate_met + other.candidate_met,
            self.reference_met + other.reference_met,
            self.tolerance,
        )

    def summary(self) -> dict[str, float | None]:
        """Return precision, recall and F1 with the tolerance in cells; None where one side has no line."""
        precision = self.candidate_met / self.candidate if self.candidate else None
        recall = self.reference_met / self.reference if self.reference else None
        f1 = None
        if precision is not None and recall is not None:
            f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "tolerance": float(self.tolerance),
            "candidate_cells": float(self.candidate),
            "reference_cells": float(self.reference),
        }
