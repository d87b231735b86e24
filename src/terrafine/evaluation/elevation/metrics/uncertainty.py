"""Coverage and reliability of a candidate's σ band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.uncertainty import CoverageStats
from terrafine.evaluation.metrics import Cell, Context, Metric, TableSpec

__all__ = ["METRIC"]

_KEYS = ("n", "mean_sigma", "coverage_68", "coverage_90")


@dataclass(frozen=True)
class _Coverage:
    stats: CoverageStats

    def add(self, block: Block) -> _Coverage:
        if block.sigma is None:
            return self
        return _Coverage(self.stats.add(block.error[block.compared], block.of_compared(block.sigma)))

    def summary(self) -> dict[str, Any]:
        return self.stats.summary()


def _start(context: Context) -> _Coverage | None:
    if context.sigma_multiples is None:
        return None
    return _Coverage(CoverageStats(multipliers=context.sigma_multiples))


def _reliability(part: Mapping[str, Any]) -> list[tuple[Cell, ...]]:
    return [(row["nominal"], row["observed"]) for row in part.get("reliability") or []]


METRIC = Metric(
    key="uncertainty",
    order=80,
    feed="block",
    start=_start,
    tables=(
        TableSpec(
            "uncertainty",
            "The stated σ, and how often the reference fell inside it",
            _KEYS,
            lambda part: [tuple(part.get(key) for key in _KEYS)],
        ),
        TableSpec(
            "reliability",
            "Share of the reference inside the central interval of stated probability",
            ("nominal", "observed"),
            _reliability,
        ),
    ),
)
