"""Watersheds, height above the nearest drainage, and a simple flood, compared between two surfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError
from terrafine.evaluation.hydrology.d8 import Drainage, cell_area_km2, kernels
from terrafine.evaluation.hydrology.streams import streams

__all__ = ["compare_flood", "compare_hand", "compare_sinks", "compare_watersheds", "hand"]

Floats = NDArray[np.floating[Any]]


def _basins(drained: Drainage) -> NDArray[np.uint32]:
    """Number, from 1, of the outlet to which each cell drains; 0 where nodata."""
    return np.asarray(drained.network.basins(), dtype=np.uint32).reshape(drained.code.shape)


def hand(drained: Drainage, area_km2: float) -> NDArray[np.float32]:
    """Return the height of each cell above the stream cell to which it drains (HAND), on the filled surface.

    Parameters
    ----------
    drained
        The drainage of the surface.
    area_km2
        Contributing area at which streams begin.

    Returns
    -------
    ndarray of float32, (y, x)
        Metres, never negative; NaN at nodata or without a stream.

    Raises
    ------
    UsageError
        If the area is not positive.

    References
    ----------
    Rennó et al. 2008, https://doi.org/10.1016/j.rse.2008.03.018
    """
    drain = streams(drained, area_km2)
    # pyflwdir's own HAND counts from the outlet where no stream is met, and is not compiled.
    height = np.full(drain.size, np.nan)
    flow = drained.network
    kernels().above_drain(flow.idxs_seq, flow.idxs_ds, drained.filled.ravel(), drain.ravel(), height)
    return height.reshape(drain.shape).astype(np.float32)


def compare_hand(mine: NDArray[np.float32], theirs: NDArray[np.float32], area_km2: float) -> dict[str, Any]:
    """Compare two HAND maps where both are defined.

    Parameters
    ----------
    mine, theirs
        Candidate and reference in metres (y, x).
    area_km2
        Contributing area at which their streams begin.

    Returns
    -------
    dict
        n, coverage (share of the reference's cells), and bias, mae, rmse and le90 in metres.
    """
    both = np.isfinite(mine) & np.isfinite(theirs)
    wanted = int(np.isfinite(theirs).sum())
    count = int(both.sum())
    head = {"area_km2": float(area_km2), "n": count, "coverage": count / wanted if wanted else None}
    if count == 0:
        return {**head, "bias": None, "mae": None, "rmse": None, "le90": None}
    error = mine[both].astype(np.float64) - theirs[both]
    size = np.abs(error)
    return {
        **head,
        "bias": float(error.mean()),
        "mae": float(size.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "le90": float(np.percentile(size, 90)),
    }


def compare_flood(
    mine: NDArray[np.float32], theirs: NDArray[np.float32], stage_m: float, cell_km2: NDArray[np.float64]
) -> dict[str, Any]:
    """Compare a flood that fills each valley to a height above its stream: extent and depth.

    Depth is stage − HAND where positive. `csi` is intersection over union of the wet areas; depth errors are over that
    union, with 0 where one side is dry.

    Parameters
    ----------
    mine, theirs
        HAND of candidate and reference in metres (y, x).
    stage_m
        Height above the streams.
    cell_km2
        Area of a cell in each row, (y,).

    Returns
    -------
    dict
        Areas in km², csi, hit rate, false alarms and depth errors in metres.

    Raises
    ------
    UsageError
        If the stage is not positive.

    References
    ----------
    Nobre et al. 2016, https://doi.org/10.1002/hyp.10581
    """
    if not stage_m > 0:
        raise UsageError(f"a flood stage must be positive metres, not {stage_m}")
    depth = np.nan_to_num(np.maximum(stage_m - mine.astype(np.float64), 0.0), nan=0.0)
    truth = np.nan_to_num(np.maximum(stage_m - theirs.astype(np.float64), 0.0), nan=0.0)
    wet, really = depth > 0, truth > 0

    def area(mask: NDArray[np.bool_]) -> float:
        return float((mask.sum(axis=1) * cell_km2).sum())

    union, hits = area(wet | really), area(wet & really)
    error = (depth - truth)[wet | really]
    return {
        "stage_m": float(stage_m),
        "candidate_km2": area(wet),
        "reference_km2": area(really),
        "csi": hits / union if union else None,
        "hit_rate": hits / area(really) if really.any() else None,
        "false_alarm": 1 - hits / area(wet) if wet.any() else None,
        "depth_bias": float(error.mean()) if error.size else None,
        "depth_mae": float(np.abs(error).mean()) if error.size else None,
        "depth_rmse": float(np.sqrt((error**2).mean())) if error.size else None,
    }


def compare_watersheds(candidate: Drainage, reference: Drainage, largest: int = 5) -> dict[str, Any]:
    """Compare the largest watersheds of the reference with those of the candidate that overlap them most.

    A watershed is everything that drains to one outlet cell on the border of the extent or of nodata.

    Parameters
    ----------
    candidate, reference
        Drainages of one grid.
    largest
        Number of watersheds.

    Returns
    -------
    dict
        `iou_mean`, weighted by the reference's area, and `largest`, with areas in km².
    """
    cell = np.broadcast_to(cell_area_km2(reference.pixel_size_m)[:, None], reference.code.shape).ravel()
    mine, theirs = _basins(candidate).ravel(), _basins(reference).ravel()
    size_mine = np.bincount(mine, weights=cell)
    size_theirs = np.bincount(theirs, weights=cell)
    size_theirs[0] = 0.0
    ranked = np.argsort(-size_theirs, kind="stable")[:largest]
    rows = []
    for number in ranked[size_theirs[ranked] > 0]:
        inside = theirs == number
        shared = np.bincount(mine[inside], weights=cell[inside], minlength=size_mine.size)
        shared[0] = 0.0
        best = int(shared.argmax())
        union = size_theirs[number] + size_mine[best] - shared[best]
        rows.append(
            {
                "reference_km2": float(size_theirs[number]),
                "candidate_km2": float(size_mine[best]) if shared[best] > 0 else 0.0,
                "iou": float(shared[best] / union) if shared[best] > 0 else 0.0,
            }
        )
    total = sum(row["reference_km2"] for row in rows)
    mean = sum(row["iou"] * row["reference_km2"] for row in rows) / total if total else None
    return {"iou_mean": mean, "largest": rows}


def compare_sinks(candidate: Drainage, reference: Drainage) -> dict[str, dict[str, float | int]]:
    """Describe the depressions of both surfaces; they are artefacts or lakes.

    Parameters
    ----------
    candidate, reference
        The drainages.

    Returns
    -------
    dict
        Number, cells, volume in m³ and largest depth in metres of each.
    """
    return {
        name: {
            "count": drained.sinks.count,
            "cells": drained.sinks.cells,
            "volume_m3": drained.sinks.volume_m3,
            "max_depth_m": drained.sinks.max_depth_m,
        }
        for name, drained in (("candidate", candidate), ("reference", reference))
    }
