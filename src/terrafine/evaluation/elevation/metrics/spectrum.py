"""Power and coherence with the reference by wavelength, and the effective resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from terrafine.evaluation.elevation.spectrum import SpectrumStats
from terrafine.evaluation.metrics import Cell, Metric, TableSpec

__all__ = ["METRIC"]

_KEYS = ("wavelength_m", "power_reference", "power_candidate", "ratio", "coherence")


def _rows(part: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    count = len(part.get("wavelength_m") or [])
    yield from zip(*(part.get(key) or [None] * count for key in _KEYS), strict=True)


METRIC = Metric(
    key="spectrum",
    order=60,
    feed="window",
    start=lambda context: SpectrumStats(context.window_cells, context.pixel_size_m),
    tables=(TableSpec("spectrum", "Radially averaged spectra", _KEYS, _rows),),
)
