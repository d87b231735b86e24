"""Class maps against a reference map, or against a sample of points: one dictionary, the whole of `results.json`.

Maps are judged on the reference's grid: each candidate is read at the centres of its cells, and all on the same cells,
those known in every candidate and in the reference and not masked. Blocks stream through accumulators that merge.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import terrafine
from terrafine.errors import EmptyError, GridError, UsageError
from terrafine.evaluation.classes.agreement import Boundaries, Confusion, boundary_reach
from terrafine.evaluation.classes.record import Judged, record, sentence
from terrafine.evaluation.elevation.strata import resample_weights
from terrafine.evaluation.overview import Overview
from terrafine.evaluation.surfaces import Labels, pixel_size, raster_record
from terrafine.raster.read.content_type import class_names, open_labels
from terrafine.raster.read.source import Source

__all__ = ["FORMAT", "evaluate_classes"]

FORMAT = "terrafine-classes/1"
PathLike = str | os.PathLike[str]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_SIDE = 480


@dataclass
class _Lane:
    labels: Labels
    confusion: Confusion
    boundaries: Boundaries
    agreement: dict[str, F64] = field(default_factory=dict)


def evaluate_classes(
    candidates: Mapping[str, PathLike],
    reference: PathLike,
    *,
    regions: PathLike | None = None,
    masks: Sequence[PathLike] = (),
    names: Mapping[int, str] | None = None,
    distances_m: Sequence[float] = (2.0, 5.0),
    block: int = 1024,
    bootstrap_side: int | None = None,
    draws: int = 1000,
    seed: int = 0,
    assume_crs: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    figures: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Agreement of class maps with a reference map, best first.

    regions      a raster of integers to break the agreement down by; masks: cells other than 0 are left out
    names        of classes by number; else those that the reference or a candidate states
    distances_m  of boundary IoU; a distance shorter than a cell is left out with a note
    block        cells along one side of what is read at once; shapes nothing
    figures      called once with the pictures that `report.classes.write_class_report` takes

    Ranked by F1 of class 1 where the classes are 0 and 1, else by the mean of F1 over classes. Same inputs, same
    dictionary. Raises SourceError, GridError (CRS that differ, no overlap), EmptyError, UsageError.
    """
    if block < 64 or draws < 100 or not all(d > 0 for d in distances_m):
        raise UsageError(
            f"block {block}, draws {draws}, distances {list(distances_m)}; expected at least 64 cells, 100 draws and "
            "distances above 0 m"
        )
    truth = open_labels(reference, assume_crs)
    opened = {name: open_labels(path, assume_crs) for name, path in candidates.items()}
    _overlap_or_raise(opened, truth, candidates, reference)
    size = pixel_size(truth)
    side = bootstrap_side or max(8, -(-max(truth.shape) // 16))
    wanted = tuple(float(d) for d in distances_m if d >= max(size))
    lanes = {
        name: _Lane(Labels(source, truth.geobox, candidates[name]), Confusion(truth.shape, side), Boundaries(wanted))
        for name, source in opened.items()
    }
    whole = Labels(truth, truth.geobox, reference)
    hidden = [Labels(open_labels(m, assume_crs), truth.geobox, m) for m in masks]
    areas = None if regions is None else Labels(open_labels(regions, assume_crs), truth.geobox, regions)
    view = None if figures is None else Overview(truth.shape, _SIDE)
    halo = boundary_reach(wanted, size)
    windows = list(_windows(truth.shape, block))
    for done, (rows, cols) in enumerate(windows, start=1):
        _judge(lanes, whole, hidden, areas, truth, (rows, cols), halo, size, view)
        if progress is not None:
            progress(done, len(windows))
    if not any(lane.confusion.cells for lane in lanes.values()):
        raise EmptyError(
            f"{', '.join(candidates)}: no cell is known in every candidate and in {reference}; expected at least one. "
            "Check nodata values, masks and extents"
        )
    notes = [
        f"Boundary IoU at {d:g} m is left out: a cell of the reference measures {max(size):g} m."
        for d in distances_m
        if d < max(size)
    ]
    notes += _resolution_notes(opened, size)
    named = dict(names or {}) or class_names(truth) or next((n for s in opened.values() if (n := class_names(s))), {})
    first = next(iter(lanes.values()))
    weights = resample_weights(first.confusion.occupied(), draws, seed)
    classes = sorted({c for lane in lanes.values() for c in lane.confusion.classes})
    judged = [
        Judged(name, lane.confusion, lane.boundaries, lane.confusion.drawn(classes, weights))
        for name, lane in lanes.items()
    ]
    records = record(judged, classes, named, wanted)
    for r in records:
        r["path"] = Path(candidates[r["name"]]).name
    if figures is not None and view is not None:
        figures(_shares(view, lanes))
    return {
        "format": FORMAT,
        "terrafine": terrafine.__version__,
        "kind": "classes",
        "reference": raster_record(reference, truth),
        "settings": {
            "classes": [{"value": c, "name": named.get(c, str(c))} for c in classes],
            "boundary_distances_m": list(wanted),
            "regions": None if regions is None else Path(regions).name,
            "masks": [Path(m).name for m in masks],
            "bootstrap_cells": side,
            "bootstrap_draws": draws,
            "seed": seed,
        },
        "notes": notes,
        "verdict": {"sentence": sentence(records)},
        "candidates": records,
    }


def _judge(
    lanes: Mapping[str, _Lane],
    whole: Labels,
    hidden: Sequence[Labels],
    areas: Labels | None,
    truth: Source,
    window: tuple[slice, slice],
    halo: int,
    size: tuple[float, float],
    view: Overview | None,
) -> None:
    rows, cols = window
    outer = tuple(slice(s.start - halo, s.stop + halo) for s in window)
    inner = tuple(slice(halo, halo + s.stop - s.start) for s in window)
    read = {name: lane.labels.read(*outer) for name, lane in lanes.items()}
    reference = whole.read(*outer)
    told = reference >= 0
    for labels in read.values():
        told &= labels >= 0
    for mask in hidden:
        told &= mask.read(*outer) <= 0
    where = None if areas is None else areas.read(rows, cols)
    metres = truth.pixel_size_m(rows)
    here = np.s_[inner[0], inner[1]]
    if told[here].any():
        for name, lane in lanes.items():
            mine = read[name]
            lane.confusion.add(
                mine[here], reference[here], told[here], (rows.start, cols.start), metres[0] * metres[1], where
            )
            if lane.boundaries.distances_m:
                lane.boundaries.add(mine, reference, told, (inner[0], inner[1]), size)
    if view is not None:
        at = (rows.start, cols.start)
        view.add("reference", np.where(told[here], reference[here] == 1, np.nan).astype(np.float64), at)
        for name, labels in read.items():
            view.add(f"said:{name}", np.where(told[here], labels[here] == 1, np.nan).astype(np.float64), at)
            view.add(f"right:{name}", np.where(told[here], labels[here] == reference[here], np.nan).astype(float), at)


def _shares(view: Overview, lanes: Mapping[str, _Lane]) -> dict[str, Any]:
    """Shares by block of the overview: of class 1 in the reference and in each candidate, and of agreement."""
    out: dict[str, Any] = {"reference": view.mean("reference"), "factor": view.factor}
    out["candidates"] = {name: (view.mean(f"said:{name}"), view.mean(f"right:{name}")) for name in lanes}
    return out


def _windows(shape: tuple[int, int], block: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], block):
        for left in range(0, shape[1], block):
            yield slice(top, min(top + block, shape[0])), slice(left, min(left + block, shape[1]))


def _overlap_or_raise(
    opened: Mapping[str, Source], truth: Source, candidates: Mapping[str, PathLike], reference: PathLike
) -> None:
    for name, source in opened.items():
        if source.geobox.crs == truth.geobox.crs and not source.geobox.extent.intersects(truth.geobox.extent):
            raise GridError(
                f"{candidates[name]}: does not overlap {reference}; expected a common area. Check both with "
                "`terrafine info`"
            )


def _resolution_notes(opened: Mapping[str, Source], size: tuple[float, float]) -> list[str]:
    return [
        f"{name} has cells of {max(own):.3g} m on a reference of {max(size):.3g} m: it is read at the reference's cell "
        "centres."
        for name, source in opened.items()
        if abs(max(own := pixel_size(source)) / max(size) - 1) > 0.01
    ]
