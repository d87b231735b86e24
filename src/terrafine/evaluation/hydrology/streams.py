"""Streams of two surfaces compared: where they run, how far apart, how dense, how they join."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terrafine.errors import GridError, UsageError
from terrafine.evaluation.hydrology.d8 import OUTLET, Drainage, cell_area_km2

__all__ = ["compare_streams", "default_areas_km2", "direction_agreement", "offsets", "overlap", "strahler", "streams"]

Mask = NDArray[np.bool_]

CANDIDATE_AREAS_KM2 = (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
LEAST_CELLS = 50
LEAST_SHARE = 20


def default_areas_km2(valid: Mask, pixel_size_m: NDArray[np.float64]) -> list[float]:
    """The three least powers of ten, in km², that hold 50 cells or more and at most a twentieth of the extent.

    Below 50 cells a stream head is noise; above a twentieth of the extent hardly a stream remains. An extent that
    allows none gets a twentieth of itself.
    """
    cell = cell_area_km2(pixel_size_m)
    extent = float((valid.sum(axis=1) * cell).sum())
    mean = extent / max(int(valid.sum()), 1)
    fitting = [area for area in CANDIDATE_AREAS_KM2 if LEAST_CELLS * mean <= area <= extent / LEAST_SHARE]
    return fitting[:3] or [extent / LEAST_SHARE]


def streams(drained: Drainage, area_km2: float) -> Mask:
    """Cells to which at least `area_km2` drains; (y, x)."""
    if not area_km2 > 0:
        raise UsageError(f"a contributing area must be positive km², not {area_km2}")
    # One part in 1e9 of slack: sums of many cell areas must not decide by their last bits.
    return drained.valid & (drained.area_km2 >= area_km2 * (1 - 1e-9))


def overlap(candidate: Mask, reference: Mask, tolerance_cells: int) -> dict[str, float | int | None]:
    """Precision, recall and F1 of stream cells, each a match where the other has a stream within the tolerance.

    The distance is Chebyshev's, in cells: tolerance 1 is the 3 x 3 neighbourhood. None where a side has no stream.
    """
    near_reference, near_candidate = _near(reference, tolerance_cells), _near(candidate, tolerance_cells)
    found, wanted = int(candidate.sum()), int(reference.sum())
    precision = float((candidate & near_reference).sum() / found) if found else None
    recall = float((reference & near_candidate).sum() / wanted) if wanted else None
    f1 = None
    if precision is not None and recall is not None:
        f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return {"tolerance_cells": tolerance_cells, "precision": precision, "recall": recall, "f1": f1}


def _near(mask: Mask, cells: int) -> Mask:
    wide = ndimage.maximum_filter(mask.view(np.uint8), 2 * cells + 1, mode="constant")
    return np.asarray(wide, dtype=bool)


def offsets(candidate: Mask, reference: Mask, pixel_size_m: NDArray[np.float64]) -> dict[str, float | None]:
    """Metres between two sets of streams: the mean of the two directed means, and the 95 % Hausdorff distance.

    Each stream cell is measured to the nearest of the other side; `hd95` is the greater of the two directed 95th
    percentiles (Huttenlocher et al. 1993, doi:10.1109/34.232073, with a percentile for the maximum). Distances use
    the mean pixel size over the rows. None where a side has no stream.
    """
    if not candidate.any() or not reference.any():
        return {"offset_mean_m": None, "offset_hd95_m": None}
    spacing = (float(pixel_size_m[1].mean()), float(pixel_size_m[0].mean()))
    there = _distance(reference, spacing)[candidate]
    back = _distance(candidate, spacing)[reference]
    return {
        "offset_mean_m": float((there.mean() + back.mean()) / 2),
        "offset_hd95_m": float(max(np.percentile(there, 95), np.percentile(back, 95))),
    }


def _distance(target: Mask, spacing: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(ndimage.distance_transform_edt(~target, sampling=spacing), dtype=np.float64)


def stream_length_m(drained: Drainage, mask: Mask) -> float:
    """Length along the D8 ways out of the stream cells; a cell that leaves the extent adds nothing."""
    size_x, size_y = drained.pixel_size_m
    across = np.hypot(size_x, size_y)
    total = 0.0
    for codes, step in ((1 | 16, size_x), (4 | 64, size_y), (2 | 8 | 32 | 128, across)):
        # Each direction is one bit; no stream cell is NODATA, the only code with several.
        total += float((((drained.code & codes) != 0) & mask).sum(axis=1) @ step)
    return total


def strahler(drained: Drainage, mask: Mask) -> dict[str, int]:
    """Number of streams of each Strahler order ("1", "2", …); a stream runs until its order rises.

    Strahler 1957, doi:10.1029/TR038i006p00913. Orders from pyflwdir.
    """
    order = np.asarray(drained.network.stream_order(type="strahler", mask=mask.ravel())).ravel()
    order = np.where(mask.ravel(), order, 0)
    below = np.asarray(drained.network.idxs_ds)
    cells = np.flatnonzero(order)
    moving = cells[below[cells] != cells]
    continued = order[moving][order[moving] == order[below[moving]]]
    highest = int(order.max(initial=0))
    runs = np.bincount(order[cells], minlength=highest + 1) - np.bincount(continued, minlength=highest + 1)
    return {str(level): int(runs[level]) for level in range(1, highest + 1)}


def direction_agreement(candidate: Drainage, reference: Drainage) -> dict[str, float | int | None]:
    """How often two D8 directions are the same, or within 45°, and the mean angle between them in degrees.

    Over cells where both have a direction: nodata and outlet cells have none.
    """
    flowing = (candidate.code != OUTLET) & (reference.code != OUTLET) & candidate.valid & reference.valid
    count = int(flowing.sum())
    if count == 0:
        return {"n": 0, "agreement": None, "within_45": None, "mean_angle_deg": None}
    first = np.log2(candidate.code[flowing]).astype(np.int8)
    second = np.log2(reference.code[flowing]).astype(np.int8)
    turn = np.abs(first - second)
    turn = np.minimum(turn, 8 - turn)
    return {
        "n": count,
        "agreement": float((turn == 0).mean()),
        "within_45": float((turn <= 1).mean()),
        "mean_angle_deg": float(turn.mean() * 45.0),
    }


def compare_streams(
    candidate: Drainage, reference: Drainage, area_km2: float, tolerances: tuple[int, ...] = (0, 1, 2)
) -> dict[str, Any]:
    """Streams at one contributing area: overlap, offsets in metres, density in km per km², Strahler counts."""
    if candidate.code.shape != reference.code.shape:
        raise GridError(f"candidate is {candidate.code.shape}, reference {reference.code.shape}; use one grid")
    mine, theirs = streams(candidate, area_km2), streams(reference, area_km2)
    extent = float((reference.valid.sum(axis=1) * cell_area_km2(reference.pixel_size_m)).sum())
    return {
        "area_km2": float(area_km2),
        "candidate_cells": int(mine.sum()),
        "reference_cells": int(theirs.sum()),
        "overlap": [overlap(mine, theirs, tolerance) for tolerance in tolerances],
        **offsets(mine, theirs, reference.pixel_size_m),
        "candidate_density_km_per_km2": stream_length_m(candidate, mine) / 1000 / extent,
        "reference_density_km_per_km2": stream_length_m(reference, theirs) / 1000 / extent,
        "candidate_strahler": strahler(candidate, mine),
        "reference_strahler": strahler(reference, theirs),
    }
