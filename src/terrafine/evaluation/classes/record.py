"""The record of a judged class map in results.json, how maps are ranked, and the sentence that says who is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.classes.agreement import Boundaries, Confusion, measures, plain
from terrafine.evaluation.elevation.strata import interval

__all__ = ["Judged", "record", "sentence"]

F64 = NDArray[np.float64]
_BY_CLASS = ("precision", "recall", "f1", "iou", "area_bias")
_OVERALL = ("overall_accuracy", "kappa")


@dataclass(frozen=True)
class Judged:
    """One class map as it was tallied; `drawn` (draw, candidate, reference) are its bootstrapped matrices."""

    name: str
    confusion: Confusion
    boundaries: Boundaries
    drawn: F64


def _score(found: Mapping[str, F64], classes: Sequence[int]) -> F64:
    """F1 of class 1 of the classes 0 and 1, else the mean of F1 over the classes; (...)."""
    f1 = found["f1"]
    return np.asarray(f1[..., 1] if list(classes) == [0, 1] else np.nanmean(f1, axis=-1))


def record(
    judged: Sequence[Judged], classes: Sequence[int], names: Mapping[int, str], distances_m: Sequence[float]
) -> list[dict[str, Any]]:
    """The `candidates` of results.json, best first, each with its gap to the best in one paired bootstrap."""
    rows = []
    for one in judged:
        found = measures(one.confusion.matrix(classes))
        draws = measures(one.drawn)
        score, scores = _score(found, classes), _score(draws, classes)
        rows.append((-float(np.nan_to_num(score, nan=-1.0)), one.name, _one(one, classes, names, distances_m), scores))
    rows.sort(key=lambda row: row[:2])
    best = rows[0][3]
    out: list[dict[str, Any]] = []
    for rank, (minus, _, entry, scores) in enumerate(rows, start=1):
        entry |= {"rank": rank, "score": plain(-minus), "score_interval": interval(scores)}
        gap = {"score": plain(minus - rows[0][0]), "interval": interval(best - scores)}
        out.append(entry | {"behind_best": gap if out else None})
    return out


def _one(one: Judged, classes: Sequence[int], names: Mapping[int, str], distances_m: Sequence[float]) -> dict[str, Any]:
    cells = one.confusion.matrix(classes)
    areas = one.confusion.area_matrix(classes)
    found, by_area, draws = measures(cells), measures(areas), measures(one.drawn)
    rows = []
    for i, c in enumerate(classes):
        row: dict[str, Any] = {"value": int(c), "name": names.get(c, str(c))}
        row |= {key: plain(found[key][i]) for key in _BY_CLASS if key != "area_bias"}
        row |= {"area_m2": float(areas[i].sum()), "reference_area_m2": float(areas[:, i].sum())}
        row["area_bias"] = plain(by_area["area_bias"][i])
        row["boundary_iou"] = {f"{d:g}": one.boundaries.iou(c, d) for d in distances_m}
        row["intervals"] = {key: interval(draws[key][:, i]) for key in _BY_CLASS}
        rows.append(row)
    return {
        "name": one.name,
        "n": int(cells.sum()),
        "overall_accuracy": plain(found["overall_accuracy"]),
        "kappa": plain(found["kappa"]),
        "intervals": {key: interval(draws[key]) for key in _OVERALL},
        "classes": rows,
        "confusion": {"rows": "candidate", "columns": "reference", "classes": list(classes), "cells": _whole(cells)},
        "by_region": [_region(one, region, classes, names) for region in sorted(one.confusion.regions)],
    }


def _whole(cells: F64) -> list[list[int]]:
    return [[int(v) for v in row] for row in cells]


def _region(one: Judged, region: int, classes: Sequence[int], names: Mapping[int, str]) -> dict[str, Any]:
    cells = one.confusion.region_matrix(region, classes)
    found = measures(cells)
    return {
        "region": region,
        "n": int(cells.sum()),
        **{key: plain(found[key]) for key in _OVERALL},
        "classes": [
            {"value": int(c), "name": names.get(c, str(c))} | {key: plain(found[key][i]) for key in _BY_CLASS}
            for i, c in enumerate(classes)
        ],
    }


def sentence(records: Sequence[Mapping[str, Any]]) -> str:
    """Which map agrees best, how well, and whether that is sure."""
    best = records[0]
    values = [row["value"] for row in best["classes"]]
    what = f"F1 of {best['classes'][1]['name']}" if values == [0, 1] else f"mean F1 of {len(values)} classes"
    if best["score"] is None:
        return f"{best['name']}: {what} cannot be told, for no cell is of that class on either side."
    text = f"{best['name']}: {what} {best['score']:.3f}{_between(best['score_interval'])} on {best['n']:,} cells"
    if len(records) == 1:
        return text + "."
    gap = records[1]["behind_best"]
    if gap["score"] is None or gap["interval"] is None:
        return f"{text}; whether it is better than {records[1]['name']} is not known."
    low, high = gap["interval"]
    sure = "better than" if low > 0 else "not to be told from"
    return f"{text}; {sure} {records[1]['name']}, by {gap['score']:.3f} (95 % interval {low:+.3f} to {high:+.3f})."


def _between(pair: Sequence[float] | None) -> str:
    return f" (95 % interval {pair[0]:.3f} to {pair[1]:.3f})" if pair else ""
