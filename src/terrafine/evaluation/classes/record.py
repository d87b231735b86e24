"""The record of a comparison of class maps: the dictionary that becomes results.json, and how maps are ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.bootstrap import interval
from terrafine.evaluation.classes.agreement import Boundaries, Confusion, measures
from terrafine.evaluation.classes.options import Options
from terrafine.evaluation.classes.verdict import verdict
from terrafine.evaluation.inputs import PathLike
from terrafine.evaluation.results import FORMATS, finite
from terrafine.evaluation.surfaces import raster_record
from terrafine.raster.read.source import Source
from terrafine.version import __version__

__all__ = ["ClassMap", "Inputs", "record", "results"]

F64 = NDArray[np.float64]
_BY_CLASS = ("precision", "recall", "f1", "iou", "area_bias")
_OVERALL = ("overall_accuracy", "kappa")


@dataclass(frozen=True)
class ClassMap:
    """One compared class map.

    Attributes
    ----------
    name
        Its name.
    confusion, boundaries
        Its accumulators.
    drawn
        Bootstrapped confusion matrices (draw, candidate, reference).
    """

    name: str
    confusion: Confusion
    boundaries: Boundaries
    drawn: F64


@dataclass(frozen=True)
class Inputs:
    """What was compared.

    Attributes
    ----------
    candidates, reference, masks, regions
        The files as they were named.
    truth
        Source of the reference.
    class_names
        Names of classes by number.
    """

    candidates: Mapping[str, PathLike]
    reference: PathLike
    truth: Source
    masks: Sequence[PathLike]
    regions: PathLike | None
    class_names: Mapping[int, str]


def results(
    maps: Sequence[ClassMap],
    inputs: Inputs,
    distances_m: Sequence[float],
    options: Options,
    bootstrap_side: int,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return the content of results.json, candidates ranked by their score.

    Parameters
    ----------
    maps
        The compared maps.
    inputs
        What was compared.
    distances_m
        Distances of boundary IoU.
    options
        Options of the comparison.
    bootstrap_side
        Cells along a side of a bootstrap block.
    notes
        Sentences about the comparison.

    Returns
    -------
    dict
        The content.
    """
    classes = sorted({c for one in maps for c in one.confusion.classes})
    records = record(maps, classes, inputs.class_names, distances_m)
    for entry in records:
        entry["path"] = Path(inputs.candidates[entry["name"]]).name
    return {
        "format": FORMATS["classes"],
        "terrafine": __version__,
        "kind": "classes",
        "reference": raster_record(inputs.reference, inputs.truth),
        "settings": {
            "classes": [{"value": c, "name": inputs.class_names.get(c, str(c))} for c in classes],
            "boundary_distances_m": list(distances_m),
            "regions": None if inputs.regions is None else Path(inputs.regions).name,
            "masks": [Path(m).name for m in inputs.masks],
            "bootstrap_cells": bootstrap_side,
            "bootstrap_draws": options.draws,
            "seed": options.seed,
        },
        "notes": list(notes),
        "verdict": {"sentence": verdict(records)},
        "candidates": records,
    }


def _score(found: Mapping[str, F64], classes: Sequence[int]) -> F64:
    """F1 of class 1 of the classes 0 and 1, else the mean of F1 over the classes; (...)."""
    f1 = found["f1"]
    return np.asarray(f1[..., 1] if list(classes) == [0, 1] else np.nanmean(f1, axis=-1))


def record(
    maps: Sequence[ClassMap], classes: Sequence[int], names: Mapping[int, str], distances_m: Sequence[float]
) -> list[dict[str, Any]]:
    """Return the `candidates` of results.json, best first, each with its gap to the best in a paired bootstrap.

    Parameters
    ----------
    maps
        The compared maps.
    classes
        All classes.
    names
        Names of classes by number.
    distances_m
        Distances of boundary IoU.

    Returns
    -------
    list of dict
        The records.
    """
    rows = []
    for one in maps:
        found = measures(one.confusion.matrix(classes))
        draws = measures(one.drawn)
        score, scores = _score(found, classes), _score(draws, classes)
        rows.append((-float(np.nan_to_num(score, nan=-1.0)), one.name, _one(one, classes, names, distances_m), scores))
    rows.sort(key=lambda row: row[:2])
    best = rows[0][3]
    out: list[dict[str, Any]] = []
    for rank, (minus, _, entry, scores) in enumerate(rows, start=1):
        entry |= {"rank": rank, "score": finite(-minus), "score_interval": interval(scores)}
        gap = {"score": finite(minus - rows[0][0]), "interval": interval(best - scores)}
        out.append(entry | {"behind_best": gap if out else None})
    return out


def _one(
    one: ClassMap, classes: Sequence[int], names: Mapping[int, str], distances_m: Sequence[float]
) -> dict[str, Any]:
    cells = one.confusion.matrix(classes)
    areas = one.confusion.area_matrix(classes)
    found, by_area, draws = measures(cells), measures(areas), measures(one.drawn)
    rows = []
    for i, c in enumerate(classes):
        row: dict[str, Any] = {"value": int(c), "name": names.get(c, str(c))}
        row |= {key: finite(found[key][i]) for key in _BY_CLASS if key != "area_bias"}
        row |= {"area_m2": float(areas[i].sum()), "reference_area_m2": float(areas[:, i].sum())}
        row["area_bias"] = finite(by_area["area_bias"][i])
        row["boundary_iou"] = {f"{d:g}": one.boundaries.iou(c, d) for d in distances_m}
        row["intervals"] = {key: interval(draws[key][:, i]) for key in _BY_CLASS}
        rows.append(row)
    return {
        "name": one.name,
        "n": int(cells.sum()),
        "overall_accuracy": finite(found["overall_accuracy"]),
        "kappa": finite(found["kappa"]),
        "intervals": {key: interval(draws[key]) for key in _OVERALL},
        "classes": rows,
        "confusion": {"rows": "candidate", "columns": "reference", "classes": list(classes), "cells": _whole(cells)},
        "by_region": [_region(one, region, classes, names) for region in sorted(one.confusion.regions)],
    }


def _whole(cells: F64) -> list[list[int]]:
    return [[int(v) for v in row] for row in cells]


def _region(one: ClassMap, region: int, classes: Sequence[int], names: Mapping[int, str]) -> dict[str, Any]:
    cells = one.confusion.region_matrix(region, classes)
    found = measures(cells)
    return {
        "region": region,
        "n": int(cells.sum()),
        **{key: finite(found[key]) for key in _OVERALL},
        "classes": [
            {"value": int(c), "name": names.get(c, str(c))} | {key: finite(found[key][i]) for key in _BY_CLASS}
            for i, c in enumerate(classes)
        ],
    }
