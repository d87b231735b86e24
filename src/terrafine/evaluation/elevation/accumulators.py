"""Everything that is measured on one surface, block by block: the accumulators together, and their record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.bootstrap import interval
from terrafine.evaluation.elevation.consistency import ConsistencyStats
from terrafine.evaluation.elevation.errors import ErrorStats
from terrafine.evaluation.elevation.lines import LINE_HALO, LineStats, valleys_and_ridges
from terrafine.evaluation.elevation.spectrum import SpectrumStats
from terrafine.evaluation.elevation.strata import SLOPE_EDGES, BlockSums, Strata, band_of, classify
from terrafine.evaluation.elevation.terrain import HALO, Method, TerrainStats, derive
from terrafine.evaluation.elevation.uncertainty import CoverageStats

__all__ = ["BLOCK_HALO", "Accumulators", "Derived"]

F64 = NDArray[np.float64]

BLOCK_HALO = max(HALO, LINE_HALO)
"""Cells around a block that its measures depend on."""


@dataclass(frozen=True)
class Derived:
    """One block of one surface with its halo, NaN where not compared, and what follows from it."""

    z: F64
    terrain: Mapping[str, F64]
    valleys: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    ridges: tuple[NDArray[np.bool_], NDArray[np.bool_]]

    @classmethod
    def of(cls, z: F64, pixel_size_m: F64, method: Method) -> Derived:
        """Of elevation (y, x) in metres with NaN where not compared."""
        return cls(z, derive(z, pixel_size_m, method), *valleys_and_ridges(z))


@dataclass
class Accumulators:
    """The accumulators of one surface; `add` takes blocks that do not overlap, in any order."""

    blocks: BlockSums
    band_step: float
    with_classes: bool = False
    elevation: ErrorStats = field(default_factory=ErrorStats)
    by_slope: Strata = field(default_factory=Strata)
    by_elevation: Strata = field(default_factory=Strata)
    by_class: Strata = field(default_factory=Strata)
    terrain: TerrainStats = field(default_factory=TerrainStats)
    valleys: LineStats = field(default_factory=LineStats)
    ridges: LineStats = field(default_factory=LineStats)
    uncertainty: CoverageStats | None = None
    consistency: ConsistencyStats | None = None
    spectrum: SpectrumStats | None = None

    def add(
        self,
        candidate: Derived,
        reference: Derived,
        at: tuple[int, int],
        *,
        classes: NDArray[np.int64] | None = None,
        sigma: F64 | None = None,
    ) -> None:
        """With the inside of a block (its halo BLOCK_HALO wide) whose first inner cell is `at`; classes and σ too."""
        h = BLOCK_HALO
        inner = (slice(h, -h), slice(h, -h))
        c, r = candidate.z[inner], reference.z[inner]
        told = np.isfinite(c) & np.isfinite(r)
        error = np.where(told, c - r, 0.0)
        self.elevation = self.elevation.add(c[told], r[told])
        self.blocks.add(error, told, *at)
        slope = reference.terrain["slope"][inner]
        self.by_slope = self.by_slope.add(c[told], r[told], classify(slope[told], SLOPE_EDGES))
        self.by_elevation = self.by_elevation.add(c[told], r[told], band_of(r[told], self.band_step))
        if classes is not None:
            self.by_class = self.by_class.add(c[told], r[told], classes[inner][told])
        self.terrain = self.terrain.add(candidate.terrain, reference.terrain, inner)
        self.valleys = self.valleys.add(candidate.valleys, reference.valleys, inner)
        self.ridges = self.ridges.add(candidate.ridges, reference.ridges, inner)
        if sigma is not None and self.uncertainty is not None:
            self.uncertainty = self.uncertainty.add(error[told], sigma[inner][told])

    def summary(self, weights: F64, method: Method, class_names: Mapping[int, str] | None = None) -> dict[str, Any]:
        """The `Scores` part of results.json; `weights` are bootstrap draws of the blocks."""
        elevation = self.elevation.summary()
        samples = self.blocks.statistics(weights)
        found = {name: interval(values) for name, values in samples.items()}
        elevation["intervals"] = {name: pair for name, pair in found.items() if pair is not None}
        return {
            "elevation": elevation,
            "by_slope": self.by_slope.by_edges(SLOPE_EDGES, "°"),
            "by_elevation": self.by_elevation.by_bands(self.band_step),
            "by_class": self.by_class.by_class(class_names) if self.with_classes else [],
            "terrain": {
                "method": "Horn" if method == "horn" else "Zevenbergen–Thorne",
                "measures": self.terrain.summary(),
                "valleys": self.valleys.summary(),
                "ridges": self.ridges.summary(),
            },
            "spectrum": self.spectrum.summary() if self.spectrum else None,
            "consistency": self.consistency.summary() if self.consistency else None,
            "uncertainty": self.uncertainty.summary() if self.uncertainty else None,
        }
