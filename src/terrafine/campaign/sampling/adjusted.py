"""Areas, growth and accuracies from the answers of a reference sample, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.campaign.sampling.design import Design
from terrafine.errors import DataError
from terrafine.evaluation.classes.sample import Z95, estimate

__all__ = ["adjusted_statistics", "stratified_total"]

F64 = NDArray[np.float64]
_KM2 = 1e6
_LEAST = 2  # points of a stratum, of which a variance can be estimated


def stratified_total(values: F64, strata: NDArray[np.int64], area_m2: Mapping[int, float]) -> tuple[float, float]:
    """Σ over strata of area times mean, and its standard error; the share of cells that is sampled is negligible.

    Parameters
    ----------
    values, strata
        Value and stratum of each point, (n,).
    area_m2
        True area of each stratum.

    Returns
    -------
    total, standard_error : float

    References
    ----------
    Cochran 1977, Sampling Techniques, eq. 5.7; Stehman 2014, https://doi.org/10.1080/01431161.2014.930207
    """
    total = variance = 0.0
    for stratum, area in area_m2.items():
        mine = values[strata == stratum]
        total += area * float(mine.mean())
        variance += area**2 * float(np.var(mine, ddof=1)) / len(mine)
    return total, math.sqrt(variance)


def adjusted_statistics(design: Design, answers: Mapping[str, Mapping[int, int]]) -> dict[str, Any]:
    """Error-adjusted area of impervious surface in each epoch, its growth, and accuracies of the map.

    Parameters
    ----------
    design
        The sample.
    answers
        Epoch -> number of the point -> class, as `read_answers` gives them.

    Returns
    -------
    dict
        JSON-safe: `epochs`, each with `impervious_km2`, its interval, accuracies and points; and `growth` between
        consecutive epochs and from the first to the last. Values are of the ground that the strata cover.

    Raises
    ------
    DataError
        Where a stratum has fewer than two answers.
    """
    names = {s.name: k for k, s in enumerate(design.strata)}
    area = {k: s.area_m2 for k, s in enumerate(design.strata) if s.cells > 0}
    whole = sum(area.values())
    record: dict[str, Any] = {
        "points": len(design.points),
        "area_km2": whole / _KM2,
        "strata": [
            {"name": s.name, "cells": s.cells, "km2": s.area_m2 / _KM2, "points": s.points} for s in design.strata
        ],
        "epochs": [],
        "growth": [],
    }
    cell = whole / sum(s.cells for s in design.strata)
    for e, epoch in enumerate(design.epochs):
        kept = [p for p in design.points if p.number in answers[epoch] and p.mapped[e] in (0, 1)]
        strata = np.array([names[p.stratum] for p in kept], np.int64)
        _require_answers(design, strata, area, epoch)
        label = np.array([answers[epoch][p.number] for p in kept], np.int64)
        mapped = np.array([p.mapped[e] for p in kept], np.int64)
        sizes = {k: v / cell for k, v in area.items()}
        found = estimate(mapped, label, strata, sizes, whole, [0, 1])
        impervious = next(row for row in found["classes"] if row["value"] == 1)
        record["epochs"].append(
            {
                "epoch": epoch,
                "points": len(kept),
                "unanswered": len(design.points) - len(kept),
                "impervious_km2": _km2(impervious["area_m2"]),
                "mapped_km2": design.mapped_m2[e] / _KM2,
                "overall_accuracy": found["overall_accuracy"],
                "users_accuracy": impervious["precision"],
                "producers_accuracy": impervious["recall"],
            }
        )
    for first, last in _pairs(len(design.epochs)):
        record["growth"].append(_growth(design, answers, names, area, first, last))
    return record


def _growth(
    design: Design,
    answers: Mapping[str, Mapping[int, int]],
    names: Mapping[str, int],
    area: Mapping[int, float],
    first: int,
    last: int,
) -> dict[str, Any]:
    a, b = design.epochs[first], design.epochs[last]
    kept = [p for p in design.points if p.number in answers[a] and p.number in answers[b]]
    strata = np.array([names[p.stratum] for p in kept], np.int64)
    _require_answers(design, strata, area, f"{a} and {b}")
    before = np.array([answers[a][p.number] for p in kept], np.float64)
    after = np.array([answers[b][p.number] for p in kept], np.float64)
    out: dict[str, Any] = {"from_epoch": a, "to_epoch": b, "points": len(kept)}
    for name, values in (
        ("net_km2", after - before),
        ("gain_km2", after * (1 - before)),
        ("loss_km2", before * (1 - after)),
    ):
        total, error = stratified_total(values, strata, area)
        out[name] = {
            "value": total / _KM2,
            "standard_error": error / _KM2,
            "interval": [(total - Z95 * error) / _KM2, (total + Z95 * error) / _KM2],
        }
    return out


def _require_answers(design: Design, strata: NDArray[np.int64], area: Mapping[int, float], epoch: str) -> None:
    for k in area:
        count = int((strata == k).sum())
        if count < _LEAST:
            raise DataError(
                f"{epoch}: {count} answers in the stratum {design.strata[k].name!r}; expected {_LEAST} or more. Answer "
                "more points of the form"
            )


def _km2(found: Mapping[str, Any]) -> dict[str, Any]:
    scaled = {k: None if found[k] is None else found[k] / _KM2 for k in ("value", "standard_error")}
    interval = found["interval"]
    return {**scaled, "interval": None if interval is None else [v / _KM2 for v in interval]}


def _pairs(epochs: int) -> Sequence[tuple[int, int]]:
    pairs = [(e, e + 1) for e in range(epochs - 1)]
    return [*pairs, (0, epochs - 1)] if epochs > 2 else pairs
