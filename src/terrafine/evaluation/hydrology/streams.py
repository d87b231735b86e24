"""Streams of two surfaces compared: their position, distance, density and order."""

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
    """Return the three smallest powers of ten, in km², of at least 50 cells and at most a twentieth of the extent.

    Below 50 cells a stream head is noise; above a twentieth of the extent hardly a stream remains. An extent that
    allows none gets a twentieth of itself.

    Parameters
    ----------
    valid
        Cells that are not nodata, (y, x).
    pixel_size_m
        Metres per cell, (2, y).

    Returns
    -------
    list of float
        Square kilometres.
    """
    cell = cell_area_km2(pixel_size_m)
    extent = float((valid.sum(axis=1) * cell).sum())
    mean = extent / max(int(valid.sum()), 1)
    fitting = [area for area in CANDIDATE_AREAS_KM2 if LEAST_CELLS * mean <= area <= extent / LEAST_SHARE]
    return fitting[:3] or [extent / LEAST_SHARE]


def streams(drained: Drainage, area_km2: float) -> Mask:
    """Return the stream cells.

    Parameters
    ----------
    drained
        The drainage.
    area_km2
        Contributing area at which streams begin.

    Returns
    -------
    ndarray of bool, (y, x)
        True for stream cells.

    Raises
    ------
    UsageError
        If the area is not positive.
    """
    if not area_km2 > 0:
        raise UsageError(f"a contributing area must be positive km², not {area_km2}")
    # One part in 1e9 of slack: sums of many cell areas must not decide by their last bits.
    return drained.valid & (drained.area_km2 >= area_km2 * (1 - 1e-9))


def overlap(candidate: Mask, reference: Mask, tolerance_cells: int) -> dict[str, float | int | None]:
    """Return precision, recall and F1 of stream cells within a tolerance.

    The distance is Chebyshev's: tolerance 1 is the 3 × 3 neighbourhood.

    Parameters
    ----------
    candidate, reference
        Stream cells (y, x).
    tolerance_cells
        The tolerance.

    Returns
    -------
    dict
        None where a side has no stream.
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
    """Return the distance between two sets of streams.

    The mean offset is the mean of the two directed means; `hd95` is the larger of the two directed 95th percentiles.
    Distances use the mean pixel size over the rows.

    Parameters
    ----------
    candidate, reference
        Stream cells (y, x).
    pixel_size_m
        Metres along x and y of a cell in each row, (2, y).

    Returns
    -------
    dict
        `offset_mean_m` and `offset_hd95_m`; None where a side has no stream.

    References
    ----------
    Huttenlocher et al. 1993, https://doi.org/10.1109/34.232073 (here with a percentile instead of the maximum)
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
    """Count the streams of each Strahler order; a stream ends where its order rises.

    Parameters
    ----------
    drained
        The drainage.
    mask
        Stream cells (y, x).

    Returns
    -------
    dict
        Order ("1", "2", …) to the number of streams.

    References
    ----------
    Strahler 1957, https://doi.org/10.1029/TR038i006p00913
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
    """Compare the D8 directions of two drainages where both have one.

    Parameters
    ----------
    candidate, reference
        The drainages.

    Returns
    -------
    dict
        n, share of equal directions, share within 45°, and mean angle in degrees.
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
    """Compare the streams at one contributing area.

    Parameters
    ----------
    candidate, reference
        The drainages.
    area_km2
        Contributing area at which streams begin.
    tolerances
        Tolerances of the overlap in cells.

    Returns
    -------
    dict
        Overlap, offsets in metres, density in km per km² and Strahler counts.

    Raises
    ------
    GridError
        If the grids differ.
    UsageError
        If the area is not positive.
    """
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
