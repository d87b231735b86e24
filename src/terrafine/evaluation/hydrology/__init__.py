"""Drainage comparison: where a candidate surface sends water against where the reference does.

The result of `compare_drainage` is laid out so:

    settings      areas_km2, stages_m, hand_area_km2, tolerances_cells, method
    n, area_km2   cells valid in both, and their ground
    d8            n, agreement, within_45, mean_angle_deg
    streams[]     area_km2, candidate_cells, reference_cells, overlap[]{tolerance_cells, precision, recall, f1},
                  offset_mean_m, offset_hd95_m, candidate_/reference_density_km_per_km2,
                  candidate_/reference_strahler{"1": count, …}
    sinks         candidate, reference: {count, cells, volume_m3, max_depth_m}
    watersheds    iou_mean, largest[]{reference_km2, candidate_km2, iou}
    hand          area_km2, n, coverage, bias, mae, rmse, le90
    flood[]       stage_m, candidate_km2, reference_km2, csi, hit_rate, false_alarm, depth_bias, depth_mae, depth_rmse
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from terrafine.errors import GridError, UsageError
from terrafine.evaluation.hydrology.d8 import (
    Drainage,
    cell_area_km2,
    d8,
    drainage,
    fill,
    hydrology_memory,
)
from terrafine.evaluation.hydrology.flood import compare_flood, compare_hand, compare_sinks, compare_watersheds, hand
from terrafine.evaluation.hydrology.streams import compare_streams, default_areas_km2, direction_agreement, streams

__all__ = [
    "DEFAULT_STAGES_M",
    "Drainage",
    "compare_drainage",
    "d8",
    "default_areas_km2",
    "drainage",
    "fill",
    "hand",
    "hydrology_memory",
    "streams",
]

DEFAULT_STAGES_M = (1.0, 2.0, 5.0)
TOLERANCES = (0, 1, 2)
METHOD = (
    "priority-flood filling, steepest-descent D8 with ground distances, flats drained from higher to lower ground; "
    "water leaves at the border of the extent and of nodata"
)


def compare_drainage(
    candidate: Drainage,
    reference: Drainage,
    *,
    areas_km2: Sequence[float] | None = None,
    stages_m: Sequence[float] = DEFAULT_STAGES_M,
) -> dict[str, Any]:
    """Compare two drainages of one grid and mask.

    The drainage of a reference is computed once and serves every candidate with the same mask.

    Parameters
    ----------
    candidate, reference : Drainage
        As `drainage` returns them, on one grid with one mask.
    areas_km2 : sequence of float, optional
        Contributing areas from which a stream runs, km²; by default `default_areas_km2`.
    stages_m : sequence of float
        Flood heights above the streams, metres.

    Returns
    -------
    dict
        The `hydrology` part of results.json, laid out as the module states.

    Raises
    ------
    GridError
        If the grids or masks differ.
    UsageError
        If no flood stage is given.
    """
    if candidate.code.shape != reference.code.shape or not np.array_equal(candidate.valid, reference.valid):
        raise GridError("candidate and reference drainage have other grids or masks; route both with one mask")
    areas = sorted(areas_km2) if areas_km2 else default_areas_km2(reference.valid, reference.pixel_size_m)
    if not stages_m:
        raise UsageError("no flood stage is given; give at least one, in metres")
    hand_area = areas[len(areas) // 2]
    cell = cell_area_km2(reference.pixel_size_m)
    above_mine, above_theirs = hand(candidate, hand_area), hand(reference, hand_area)
    return {
        "settings": {
            "areas_km2": [float(area) for area in areas],
            "stages_m": [float(stage) for stage in stages_m],
            "hand_area_km2": float(hand_area),
            "tolerances_cells": list(TOLERANCES),
            "method": METHOD,
        },
        "n": int(reference.valid.sum()),
        "area_km2": float((reference.valid.sum(axis=1) * cell).sum()),
        "d8": direction_agreement(candidate, reference),
        "streams": [compare_streams(candidate, reference, area, TOLERANCES) for area in areas],
        "sinks": compare_sinks(candidate, reference),
        "watersheds": compare_watersheds(candidate, reference),
        "hand": compare_hand(above_mine, above_theirs, hand_area),
        "flood": [compare_flood(above_mine, above_theirs, stage, cell) for stage in stages_m],
    }
