"""The report of class maps: tables of agreement, the confusion matrix, and maps of where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from terrafine.evaluation.metrics import Cell
from terrafine.evaluation.report.pictures import error_map, shade
from terrafine.evaluation.report.sheet import Picture, Section, sheet_texts
from terrafine.evaluation.report.tables import Table

__all__ = ["texts"]

Rows = tuple[tuple[Cell, ...], ...]


def texts(results: Mapping[str, Any], figures: Mapping[str, Any] | None) -> dict[str, str]:
    """The files of the report by name: index.html and a CSV for each table."""
    title = "Class map, evaluated against " + ("a sample" if results["kind"] == "sample" else "a reference")
    sections = _sample(results) if results["kind"] == "sample" else _wall(results, figures)
    return sheet_texts(results, title, sections)


def _wall(results: Mapping[str, Any], figures: Mapping[str, Any] | None) -> list[Section]:
    return [
        Section(
            "How well they agree",
            "Precision is user's accuracy, recall producer's; all with 95 % intervals of a spatial block bootstrap.",
            (_summary(results), _classes(results)),
        ),
        Section("What is taken for what", "Cells; rows are the candidate, columns the reference.", _matrices(results)),
        Section(
            "Where it fails",
            "Share of class 1 in each block; on the differences blue has too little of it, red too much.",
            (),
            _pictures(results, figures),
        ),
        Section("By region", "The same, in each region of the raster that was given.", (_regions(results),)),
    ]


def _pair(interval: Any) -> tuple[Cell, Cell]:
    return (None, None) if interval is None else (interval[0], interval[1])


def _summary(results: Mapping[str, Any]) -> Table:
    columns = ("map", "n", "score", "score_from", "score_to", "overall_accuracy", "oa_from", "oa_to", "kappa")
    rows: Rows = tuple(
        (
            c["name"],
            c["n"],
            c["score"],
            *_pair(c["score_interval"]),
            c["overall_accuracy"],
            *_pair(c["intervals"]["overall_accuracy"]),
            c["kappa"],
        )
        for c in results["candidates"]
    )
    return Table("summary", "Agreement; the score ranks (F1 of class 1 of two, else mean F1)", columns, rows)


def _classes(results: Mapping[str, Any]) -> Table:
    distances = [f"{d:g}" for d in results["settings"]["boundary_distances_m"]]
    measured = ("precision", "recall", "f1", "f1_from", "f1_to", "iou", "area_bias")
    columns = ("map", "class", *measured, *(f"boundary iou {d} m" for d in distances))
    rows: Rows = tuple(
        (
            c["name"],
            row["name"],
            row["precision"],
            row["recall"],
            row["f1"],
            *_pair(row["intervals"]["f1"]),
            row["iou"],
            row["area_bias"],
            *(row["boundary_iou"][d] for d in distances),
        )
        for c in results["candidates"]
        for row in c["classes"]
    )
    return Table("classes", "By class; area bias is the mapped area over the reference's, minus 1", columns, rows)


def _matrices(results: Mapping[str, Any]) -> tuple[Table, ...]:
    names = [c["name"] for c in results["settings"]["classes"]]
    return tuple(
        Table(
            f"confusion_{i}",
            f"Confusion of {c['name']}, cells",
            ("candidate says", *names),
            tuple((name, *row) for name, row in zip(names, c["confusion"]["cells"], strict=True)),
        )
        for i, c in enumerate(results["candidates"], start=1)
    )


def _regions(results: Mapping[str, Any]) -> Table:
    rows: Rows = tuple(
        (c["name"], r["region"], r["n"], r["overall_accuracy"], r["kappa"], row["name"], row["f1"], row["iou"])
        for c in results["candidates"]
        for r in c["by_region"]
        for row in r["classes"]
    )
    return Table(
        "by_region", "By region", ("map", "region", "n", "overall accuracy", "kappa", "class", "f1", "iou"), rows
    )


def _pictures(results: Mapping[str, Any], figures: Mapping[str, Any] | None) -> list[Picture]:
    if figures is None:
        return []
    reference = np.asarray(figures["reference"])
    x, y = results["reference"]["pixel_size_m"]
    aspect = f"{reference.shape[1] * x:.6g} / {reference.shape[0] * y:.6g}"
    binary = [c["value"] for c in results["settings"]["classes"]] == [0, 1]
    if not binary:
        found = figures["candidates"].items()
        return [Picture(shade(right), f"{name}: share of cells that agree", aspect) for name, (_, right) in found]
    out = [Picture(shade(reference), "Reference", aspect)]
    for name, (said, _) in figures["candidates"].items():
        out += [
            Picture(shade(said), name, aspect),
            Picture(error_map(said - reference, 1.0), f"Error of {name}", aspect),
        ]
    return out


def _sample(results: Mapping[str, Any]) -> list[Section]:
    overall: Rows = tuple(
        (
            c["name"],
            c["sample"]["points"],
            c["sample"]["overall_accuracy"]["value"],
            *_pair(c["sample"]["overall_accuracy"]["interval"]),
        )
        for c in results["candidates"]
    )
    rows: Rows = tuple(
        (
            c["name"],
            row["name"],
            row["points"],
            *(cell for key in ("precision", "recall") for cell in (row[key]["value"], *_pair(row[key]["interval"]))),
            row["mapped_area_m2"],
            row["area_m2"]["value"],
            *_pair(row["area_m2"]["interval"]),
        )
        for c in results["candidates"]
        for row in c["sample"]["classes"]
    )
    accuracy = ("precision", "precision_from", "precision_to", "recall", "recall_from", "recall_to")
    area = ("mapped area m²", "area m²", "area_from m²", "area_to m²")
    return [
        Section(
            "Estimated from the sample",
            "Each stratum weighs as much as it covers; areas are the reference's, with 95 % intervals.",
            (
                Table("summary", "Overall accuracy", ("map", "points", "overall accuracy", "from", "to"), overall),
                Table("classes", "Accuracy and area by class", ("map", "class", "points", *accuracy, *area), rows),
            ),
        )
    ]
