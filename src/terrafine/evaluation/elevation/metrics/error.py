"""Elevation error over all compared cells: statistics, shares beyond thresholds, histogram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.errors import ErrorStats
from terrafine.evaluation.metrics import Cell, Final, Metric, TableSpec

__all__ = ["METRIC"]

_KEYS = ("n", "rmse", "mae", "bias", "median", "nmad", "sd", "le90", "le95", "psnr")


@dataclass(frozen=True)
class _Errors:
    stats: ErrorStats = field(default_factory=ErrorStats)

    def add(self, block: Block) -> _Errors:
        return _Errors(self.stats.add(*block.pairs))


def _record(errors: _Errors, final: Final) -> dict[str, Any]:
    return errors.stats.summary() | {"intervals": dict(final.intervals)}


def _summary(part: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    yield (*(part.get(key) for key in _KEYS), *((part.get("intervals") or {}).get("rmse") or (None, None)))


def _histogram(part: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    histogram = part.get("histogram")
    if histogram:
        edges = histogram["edges_m"]
        yield from ((edges[i], edges[i + 1], count) for i, count in enumerate(histogram["counts"]))


METRIC = Metric(
    key="elevation",
    order=10,
    feed="block",
    start=lambda context: _Errors(),
    record=_record,
    tables=(
        TableSpec("summary", "Elevation error, metres (PSNR in dB)", (*_KEYS, "rmse_lower", "rmse_upper"), _summary),
        TableSpec("histogram", "Errors, pixels in each class", ("from_m", "to_m", "pixels"), _histogram),
    ),
)
