"""Drainage comparison of whole surfaces: streams, sinks, watersheds, floods. `elevation.drainage` measures it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from terrafine.evaluation.metrics import Cell, Metric, TableSpec

__all__ = ["METRIC"]

_FLOOD = ("stage_m", "candidate_km2", "reference_km2", "csi", "hit_rate", "false_alarm", "depth_bias", "depth_rmse")


def _streams(part: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    for stream in part.get("streams") or []:
        by_tolerance = {row.get("tolerance_cells"): row.get("f1") for row in stream.get("overlap") or []}
        density = [stream.get(f"{side}_density_km_per_km2") for side in ("candidate", "reference")]
        offset = (stream.get("offset_mean_m"), stream.get("offset_hd95_m"))
        yield stream.get("area_km2"), *(by_tolerance.get(t) for t in (0, 1, 2)), *offset, *density


def _drainage(part: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    sinks = part.get("sinks") or {}
    d8, candidate, reference = (part.get("d8") or {}), (sinks.get("candidate") or {}), (sinks.get("reference") or {})
    yield "D8 directions that agree", d8.get("agreement"), "share"
    yield "D8 directions within 45°", d8.get("within_45"), "share"
    yield "sinks", candidate.get("count"), "count"
    yield "sinks in the reference", reference.get("count"), "count"
    yield "volume of sinks", candidate.get("volume_m3"), "m³"
    yield "volume of the reference's sinks", reference.get("volume_m3"), "m³"
    yield "overlap of the largest watersheds", (part.get("watersheds") or {}).get("iou_mean"), "IoU"
    yield "height above nearest drainage, RMSE", (part.get("hand") or {}).get("rmse"), "m"


METRIC = Metric(
    key="hydrology",
    order=65,
    feed="whole",
    start=lambda context: None,
    tables=(
        TableSpec(
            "streams",
            "Streams by contributing area: F1 at 0, 1 and 2 cells of tolerance, offsets in metres, density in km/km²",
            ("area_km2", "f1_0", "f1_1", "f1_2", "offset_m", "hd95_m", "density", "density_reference"),
            _streams,
            sort_by=0,
        ),
        TableSpec("hydrology", "Drainage as a whole", ("measure", "value", "unit"), _drainage),
        TableSpec(
            "flood",
            "A flood of given stage above the streams",
            _FLOOD,
            lambda part: [tuple(flood.get(key) for key in _FLOOD) for flood in part.get("flood") or []],
            sort_by=0,
        ),
    ),
)
