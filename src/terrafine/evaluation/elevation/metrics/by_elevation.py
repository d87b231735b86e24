"""Elevation error by elevation band of the reference."""

from __future__ import annotations

from dataclasses import dataclass, field

from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.strata import STRATUM_COLUMNS, Strata, band_of, stratum_rows
from terrafine.evaluation.metrics import Metric, TableSpec

__all__ = ["METRIC"]


@dataclass(frozen=True)
class _ByElevation:
    step_m: float
    strata: Strata = field(default_factory=Strata)

    def add(self, block: Block) -> _ByElevation:
        return _ByElevation(self.step_m, self.strata.add(*block.pairs, band_of(block.pairs[1], self.step_m)))


METRIC = Metric(
    key="by_elevation",
    order=30,
    feed="block",
    start=lambda context: _ByElevation(context.band_step_m),
    record=lambda by_elevation, final: by_elevation.strata.by_bands(by_elevation.step_m),
    tables=(TableSpec("by_elevation", "Error by elevation of the reference, metres", STRATUM_COLUMNS, stratum_rows),),
)
