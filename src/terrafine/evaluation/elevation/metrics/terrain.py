"""Derived surfaces (slope, aspect, curvatures, roughness, topographic position) and valley and ridge lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.lines import LineStats
from terrafine.evaluation.elevation.terrain import TerrainStats
from terrafine.evaluation.metrics import Cell, Final, Metric, TableSpec

__all__ = ["METRIC"]


@dataclass(frozen=True)
class _Terrain:
    measures: TerrainStats = field(default_factory=TerrainStats)
    valleys: LineStats = field(default_factory=LineStats)
    ridges: LineStats = field(default_factory=LineStats)

    def add(self, block: Block) -> _Terrain:
        candidate, reference, inner = block.candidate, block.reference, block.inner
        return _Terrain(
            self.measures.add(candidate.terrain, reference.terrain, inner),
            self.valleys.add(candidate.valleys, reference.valleys, inner),
            self.ridges.add(candidate.ridges, reference.ridges, inner),
        )


def _record(terrain: _Terrain, final: Final) -> dict[str, Any]:
    return {
        "method": final.slope_method,
        "measures": terrain.measures.summary(),
        "valleys": terrain.valleys.summary(),
        "ridges": terrain.ridges.summary(),
    }


def _rows(part: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    for measure, values in (part.get("measures") or {}).items():
        yield measure, values.get("unit"), values.get("rmse"), values.get("bias"), values.get("fuv")


METRIC = Metric(
    key="terrain",
    order=50,
    feed="block",
    start=lambda context: _Terrain(),
    record=_record,
    tables=(
        TableSpec(
            "terrain",
            "Derived surfaces (fuv: fraction of unexplained variance)",
            ("measure", "unit", "rmse", "bias", "fuv"),
            _rows,
        ),
    ),
)
