"""Elevation error by the integers of a given raster, such as land cover."""

from __future__ import annotations

from dataclasses import dataclass, field

from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.strata import STRATUM_COLUMNS, Strata, stratum_rows
from terrafine.evaluation.metrics import Metric, TableSpec

__all__ = ["METRIC"]


@dataclass(frozen=True)
class _ByClass:
    strata: Strata = field(default_factory=Strata)

    def add(self, block: Block) -> _ByClass:
        if block.classes is None:
            return self
        return _ByClass(self.strata.add(*block.pairs, block.of_compared(block.classes)))


METRIC = Metric(
    key="by_class",
    order=40,
    feed="block",
    start=lambda context: _ByClass() if context.with_classes else None,
    record=lambda by_class, final: by_class.strata.by_class(final.class_names),
    absent=[],
    tables=(TableSpec("by_class", "Error by class, metres", STRATUM_COLUMNS, stratum_rows),),
)
