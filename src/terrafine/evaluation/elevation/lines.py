"""Valleys and ridges taken from a surface by local rule, and their agreement.

The rule is that of Peucker & Douglas 1975 (doi:10.1016/0146-664X(75)90005-2) after the 3×3 smoothing that TauDEM puts
before it (weights 0.4, 0.1, 0.05; https://hydrology.usu.edu/taudem/taudem5/help53/PeukerDouglas.html): in every window
of 2×2 cells the highest is flagged, and what is never flagged is valley; ridges likewise with the lowest. It needs no
flow routing, so it streams; it draws more and shorter lines than a stream network does.
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
    """Valley cells of elevation (y, x), NaN where nodata, and the cells where that is known; two (y, x).

    It is known where the 5×5 cells around it are valid. Flat windows flag all of their cells: no lines on a lake.
    """
    return _never_highest(_smooth(z))


def ridges(z: NDArray[Any]) -> tuple[Mask, Mask]:
    """Ridge cells, by the same rule upside down."""
    return _never_highest(-_smooth(z))


def valleys_and_ridges(z: NDArray[Any]) -> tuple[tuple[Mask, Mask], tuple[Mask, Mask]]:
    """Both, smoothing once."""
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
    """Line cells of both surfaces, and how many of them have one of the other within `tolerance` cells; mergeable."""

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
        """Add the cells of `inner`; each pair is (line, known) as `valleys` gives it."""
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
        """Both sets of cells as one."""
        return LineStats(
            self.candidate + other.candidate,
            self.reference + other.reference,
            self.candidate_met + other.candidate_met,
            self.reference_met + other.reference_met,
            self.tolerance,
        )

    def summary(self) -> dict[str, float | None]:
        """Precision, recall, F1 with the tolerance in cells; None where one side has no line."""
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
