"""Compare class maps with a probability sample of reference points: the map is read at the points and counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import EmptyError
from terrafine.evaluation.classes.agreement import require_few_classes
from terrafine.evaluation.classes.sample import Sample, estimate, read_sample, stratum_sizes
from terrafine.evaluation.classes.verdict import sample_verdict
from terrafine.evaluation.inputs import PathLike, Progress
from terrafine.evaluation.results import FORMATS
from terrafine.raster.read.content_type import class_names as stated_names
from terrafine.raster.read.content_type import open_labels, whole_numbers
from terrafine.raster.read.source import Source
from terrafine.version import __version__

__all__ = ["compare_sample"]

_ROWS = 1024


def compare_sample(
    candidates: Mapping[str, PathLike],
    sample: PathLike,
    *,
    class_names: Mapping[int, str] | None = None,
    assume_crs: str | None = None,
    bands: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Estimate accuracies and error-adjusted areas of class maps from a CSV of points, best map first.

    Points on no known cell are left out with a note.

    Parameters
    ----------
    candidates
        Files by name.
    sample
        The CSV, as `read_sample` describes it.
    class_names
        Names of classes by number, over those that a map states.
    assume_crs
        CRS of files that have none.
    bands
        Number of the band `class` in maps of several bands that do not name it.
    progress
        Called with (steps done, steps in all).

    Returns
    -------
    dict
        Content of results.json.

    Raises
    ------
    EmptyError
        If no point is on a known cell.
    SourceError, DataError, BandError, GridError
        As `read_sample`, `stratum_sizes` and `open_labels`.
    """
    points = read_sample(sample)
    records, notes, classes = [], [], set()
    for i, (name, path) in enumerate(candidates.items(), start=1):
        with open_labels(path, assume_crs, bands=bands) as source:
            entry, left = _one(source, points, {**stated_names(source), **(class_names or {})})
        if left:
            notes.append(f"{name}: {left} of {len(points.x)} points fall on no known cell and are left out.")
        records.append({"name": name, "path": Path(path).name} | entry)
        classes |= {(row["value"], row["name"]) for row in entry["sample"]["classes"]}
        if progress is not None:
            progress(i, len(candidates))
    records.sort(key=lambda r: (-r["sample"]["overall_accuracy"]["value"], r["name"]))
    for rank, entry in enumerate(records, start=1):
        entry["rank"] = rank
    return {
        "format": FORMATS["classes"],
        "terrafine": __version__,
        "kind": "sample",
        "reference": {"path": Path(sample).name, "points": len(points.x)},
        "settings": {
            "classes": [{"value": v, "name": n} for v, n in sorted(classes)],
            "strata": "the sample's" if points.stratum is not None else "the map's classes",
            "stratum_sizes": "inclusion probabilities" if points.probability is not None else "the map's cells",
        },
        "notes": notes,
        "verdict": {"sentence": sample_verdict(records[0])},
        "candidates": records,
    }


def _one(source: Source, points: Sample, names: Mapping[int, str]) -> tuple[dict[str, Any], int]:
    mapped = _at(source, points)
    seen = mapped >= 0
    if not seen.any():
        raise EmptyError(
            f"{source.paths[0]}: none of the {len(points.x)} points falls on a known cell; expected coordinates x, y "
            f"in {source.geobox.crs}"
        )
    kept = Sample(
        points.x[seen],
        points.y[seen],
        points.label[seen],
        None if points.stratum is None else points.stratum[seen],
        None if points.probability is None else points.probability[seen],
    )
    cells, total, area = _counted(source)
    strata = mapped[seen] if kept.stratum is None else kept.stratum
    sizes = stratum_sizes(kept, strata, cells)
    classes = sorted({*mapped[seen].tolist(), *kept.label.tolist()})
    found = estimate(mapped[seen], kept.label, strata, sizes, area / total * sum(sizes.values()), classes)
    for row in found["classes"]:
        row["name"] = names.get(row["value"], str(row["value"]))
    return {"n": found["points"], "sample": found}, int((~seen).sum())


def _at(source: Source, points: Sample) -> NDArray[np.int64]:
    """Class of the map at each point; −1 outside and where not known."""
    a = source.geobox.affine
    rows, cols = np.floor((points.y - a.f) / a.e), np.floor((points.x - a.c) / a.a)
    out = np.full(len(points.x), -1, np.int64)
    inside = (rows >= 0) & (rows < source.shape[0]) & (cols >= 0) & (cols < source.shape[1])
    for i in np.flatnonzero(inside).tolist():
        r, c = int(rows[i]), int(cols[i])
        value, valid = source.read("class", slice(r, r + 1), slice(c, c + 1))
        out[i] = whole_numbers(source.paths[0], value, valid)[0, 0]
    return out


def _counted(source: Source) -> tuple[dict[int, float], float, float]:
    """Cells of each class, known cells, and their ground area in m²."""
    cells: dict[int, float] = {}
    area = 0.0
    for top in range(0, source.shape[0], _ROWS):
        rows = slice(top, min(top + _ROWS, source.shape[0]))
        values, valid = source.read("class", rows, slice(0, source.shape[1]))
        metres = source.pixel_size_m(rows)
        area += float((valid.sum(axis=1) * metres[0] * metres[1]).sum())
        found = whole_numbers(source.paths[0], values, valid)[valid]
        for value, count in zip(*np.unique(found, return_counts=True), strict=True):
            cells[int(value)] = cells.get(int(value), 0.0) + float(count)
        require_few_classes(source.paths[0], cells)
    return cells, sum(cells.values()), area
