"""Accuracy and area from a probability sample of reference points.

Accuracies and areas are estimated from the sample with the weight of each stratum, not counted on the map; the area of
a class is that of the reference, not of the map's pixels. The estimators are those of Stehman, which also hold if
strata are not the map's classes: means over strata and ratios of them, with the variance of stratified random sampling.
If strata are the map's classes they equal Olofsson's.

References
----------
Olofsson et al. 2014, https://doi.org/10.1016/j.rse.2014.02.015
Stehman 2014, https://doi.org/10.1080/01431161.2014.930207
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import DataError, SourceError
from terrafine.evaluation.results import finite

__all__ = ["Sample", "estimate", "read_sample", "stratum_sizes"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

Z95 = 1.959963984540054
_NEEDED = ("x", "y", "class")


@dataclass(frozen=True)
class Sample:
    """Reference points, arrays (n,).

    Attributes
    ----------
    x, y
        Coordinates in the map's CRS.
    label
        Class of the reference.
    stratum, probability
        Stratum and inclusion probability, or None.
    """

    x: F64
    y: F64
    label: I64
    stratum: I64 | None = None
    probability: F64 | None = None


def read_sample(path: str | os.PathLike[str]) -> Sample:
    """Read a CSV with the columns x, y (in the map's CRS) and class, and optionally stratum and probability.

    `probability` is the inclusion probability of each point; without it the size of strata is taken from the map.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Sample
        The points.

    Raises
    ------
    SourceError
        If it cannot be read as CSV.
    DataError
        If columns are missing or values are not valid.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = [n.strip().lower() for n in reader.fieldnames or ()]
            rows = [dict(zip(names, row.values(), strict=False)) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: no readable CSV ({error}); expected columns x, y, class") from error
    missing = [n for n in _NEEDED if n not in names]
    if missing or not rows:
        raise DataError(
            f"{path}: found columns {', '.join(names) or 'none'} and {len(rows)} rows; expected x, y, class"
        )
    column = {n: _numbers(path, n, rows) for n in (*_NEEDED, "stratum", "probability") if n in names}
    probability = column.get("probability")
    if probability is not None and not ((probability > 0) & (probability <= 1)).all():
        raise DataError(
            f"{path}: inclusion probabilities from {probability.min():g} to {probability.max():g}; expected above 0 "
            "and at most 1"
        )
    stratum = column.get("stratum")
    return Sample(
        column["x"],
        column["y"],
        column["class"].astype(np.int64),
        None if stratum is None else stratum.astype(np.int64),
        probability,
    )


def _numbers(path: str | os.PathLike[str], name: str, rows: Sequence[Mapping[str, Any]]) -> F64:
    out = np.empty(len(rows))
    for i, row in enumerate(rows):
        try:
            out[i] = float(row[name])
        except (TypeError, ValueError):
            raise DataError(f"{path}: line {i + 2}, column {name}: found {row[name]!r}; expected a number") from None
    whole = name in ("class", "stratum")
    if not np.isfinite(out).all() or (whole and (out != np.round(out)).any()):
        raise DataError(f"{path}: column {name} holds values that are no {'whole ' if whole else 'finite '}numbers")
    return out


def stratum_sizes(sample: Sample, strata: I64, map_cells: Mapping[int, float]) -> dict[int, float]:
    """Return the cells in each stratum: n / probability if that is given, else the map's count of that class.

    Parameters
    ----------
    sample
        The points.
    strata
        Stratum of each point, (n,).
    map_cells
        Cells of each class on the map.

    Returns
    -------
    dict
        Stratum to cells.

    Raises
    ------
    DataError
        If probabilities differ inside a stratum, or the map lacks a stratum.
    """
    sizes: dict[int, float] = {}
    for h in np.unique(strata).tolist():
        here = strata == h
        if sample.probability is not None:
            p = sample.probability[here]
            if float(np.ptp(p)) > 1e-9 * float(p.max()):
                raise DataError(
                    f"stratum {h}: inclusion probabilities from {p.min():g} to {p.max():g}; expected one, as in "
                    "stratified random sampling"
                )
            sizes[h] = float(here.sum() / p[0])
        elif map_cells.get(h, 0) > 0:
            sizes[h] = float(map_cells[h])
        else:
            raise DataError(
                f"stratum {h}: the map has no cell of that class, so its size is not known; expected strata that are "
                "the map's classes, or a column `probability` in the sample"
            )
    return sizes


@dataclass(frozen=True)
class _Strata:
    """Members of each stratum, and its cells."""

    members: tuple[I64, ...]
    cells: tuple[float, ...]

    def ratio(self, y: F64, x: F64) -> tuple[float, float]:
        """Σy / Σx over the population, and its variance; NaN where the denominator is 0."""
        totals = [(n * y[m].mean(), n * x[m].mean()) for m, n in zip(self.members, self.cells, strict=True)]
        top, bottom = (sum(t[i] for t in totals) for i in (0, 1))
        if bottom <= 0:
            return math.nan, math.nan
        r = top / bottom
        variance = 0.0
        for m, n in zip(self.members, self.cells, strict=True):
            left = 1 - min(len(m) / n, 1.0)
            spread = float(np.var(y[m] - r * x[m], ddof=1)) if len(m) > 1 else math.nan
            variance += n * n * left * spread / len(m)
        return float(r), variance / bottom**2


def estimate(
    mapped: I64, label: I64, strata: I64, sizes: Mapping[int, float], area_m2: float, classes: Sequence[int]
) -> dict[str, Any]:
    """Return the `sample` part of results.json: accuracies and error-adjusted areas, ± 1.96 standard errors.

    What cannot be estimated (a class without a point) is None.

    Parameters
    ----------
    mapped, label, strata
        Class on the map, class of the reference and stratum of each point, (n,).
    sizes
        Cells of each stratum.
    area_m2
        Ground area of all strata together.
    classes
        All classes.

    Returns
    -------
    dict
        The record.
    """
    keys = sorted(sizes)
    design = _Strata(tuple(np.flatnonzero(strata == h) for h in keys), tuple(float(sizes[h]) for h in keys))
    one = np.ones(len(mapped))
    right = (mapped == label).astype(np.float64)

    def estimated(y: F64, x: F64, scale: float = 1.0) -> dict[str, Any]:
        value, variance = design.ratio(y, x)
        error = math.sqrt(variance) if variance >= 0 else math.nan
        low, high = finite(scale * (value - Z95 * error)), finite(scale * (value + Z95 * error))
        return {
            "value": finite(scale * value),
            "standard_error": finite(scale * error),
            "interval": None if low is None or high is None else [low, high],
        }

    rows = []
    for c in classes:
        predicted, reference = (mapped == c).astype(np.float64), (label == c).astype(np.float64)
        rows.append(
            {
                "value": int(c),
                "points": int(reference.sum()),
                "precision": estimated(predicted * reference, predicted),
                "recall": estimated(predicted * reference, reference),
                "mapped_area_m2": finite(area_m2 * design.ratio(predicted, one)[0]),
                "area_m2": estimated(reference, one, area_m2),
            }
        )
    return {
        "points": len(mapped),
        "strata": [
            {"value": int(h), "cells": float(n), "points": len(m)}
            for h, n, m in zip(keys, design.cells, design.members, strict=True)
        ],
        "overall_accuracy": estimated(right, one),
        "classes": rows,
    }
