"""Elevation error by slope class of the reference."""

from __future__ import annotations

from dataclasses import dataclass, field

from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.strata import SLOPE_EDGES, STRATUM_COLUMNS, Strata, classify, stratum_rows
from terrafine.evaluation.metrics import Metric, TableSpec

__all__ = ["METRIC"]


@dataclass(frozen=True)
class _BySlope:
    strata: Strata = field(default_factory=Strata)

    def add(self, block: Block) -> _BySlope:
        slope = block.of_compared(block.reference.terrain["slope"])
        return _BySlope(self.strata.add(*block.pairs, classify(slope, SLOPE_EDGES)))


METRIC = Metric(
    key="by_slope",
    order=20,
    feed="block",
    start=lambda context: _BySlope(),
    record=lambda by_slope, final: by_slope.strata.by_edges(SLOPE_EDGES, "°"),
    tables=(
        TableSpec(
            "by_slope",
            "Error by slope of the reference, metres; bounds in degrees",
            STRATUM_COLUMNS,
            stratum_rows,
        ),
    ),
)
