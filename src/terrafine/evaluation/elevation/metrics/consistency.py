"""Consistency with the coarse input: block means of the candidate minus the coarse cells."""

from __future__ import annotations

from terrafine.evaluation.elevation.consistency import ConsistencyStats
from terrafine.evaluation.metrics import Context, Metric, TableSpec

__all__ = ["METRIC"]

_KEYS = ("n", "bias", "rmse", "max_abs", "within", "tolerance_m")


def _start(context: Context) -> ConsistencyStats | None:
    return ConsistencyStats(tolerance_m=context.options.tolerance_m) if context.with_coarse else None


METRIC = Metric(
    key="consistency",
    order=70,
    feed="coarse",
    start=_start,
    tables=(
        TableSpec(
            "consistency",
            "Block means minus the coarse input, metres",
            _KEYS,
            lambda part: [tuple(part.get(key) for key in _KEYS)],
        ),
    ),
)
