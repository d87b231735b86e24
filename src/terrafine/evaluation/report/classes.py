"""The report of class maps: tables of agreement, the confusion matrix, and maps of where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from terrafine.evaluation.metrics import Cell
from terrafine.evaluation.report.pictures import error_map, shade
from terrafine.evaluation.report.plates import ramp
from terrafine.evaluation.report.sheet import Picture, Section, sheet_texts
from terrafine.evaluation.report.tables import Table

__all__ = ["texts"]

Rows = tuple[tuple[Cell, ...], ...]


def texts(results: Mapping[str, Any], figures: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the files of the report.

    Parameters
    ----------
    results
        The results.
    figures
        The pictures, or None.

    Returns
    -------
    dict
        File name to text: index.html and a CSV for each table.
    """
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
        Section(
            "Confusion", "Cells; rows are predicted by the candidate, columns are the reference.", _matrices(results)
        ),
        Section(
            "Where it fails",
            f"Share of {_class_one(results)} in each block of cells, and the error of each map."
            if _is_binary(results)
            else "Share of cells in each block that agree with the reference.",
            (),
            _pictures(results, figures),
            _legend(results),
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
            ("predicted", *names),
            tuple((name, *row) for name, row in zip(names, c["confusion"]["cells"], strict=True)),
            verbatim=True,
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
    wide, high = (side * size * figures["factor"] for side, size in zip(reference.shape[::-1], (x, y), strict=True))
    aspect = f"{wide:.6g} / {high:.6g}"
    if not _is_binary(results):
        return [
            Picture(shade(right), name, aspect, wide, f"{name}: share of cells that agree")
            for name, (_, right) in figures["candidates"].items()
        ]
    what = _class_one(results)
    out = [Picture(shade(reference), "Reference", aspect, wide, f"Reference: share of {what}")]
    for name, (share, _) in figures["candidates"].items():
        out += [
            Picture(shade(share), name, aspect, wide, f"{name}: share of {what}"),
            Picture(
                error_map(share - reference, 1.0),
                f"Error of {name}",
                aspect,
                wide,
                f"Error of {name}: blue where it has too little {what}, red where it has too much",
            ),
        ]
    return out


def _is_binary(results: Mapping[str, Any]) -> bool:
    return [c["value"] for c in results["settings"]["classes"]] == [0, 1]


def _class_one(results: Mapping[str, Any]) -> str:
    """The name of class 1 in a sentence."""
    name = results["settings"]["classes"][1]["name"]
    return f"class {name}" if name == "1" else str(name)


def _legend(results: Mapping[str, Any]) -> str:
    """Legend of the maps, and of what is hatched."""
    hatched = '<ul class="key"><li><span class="swatch hatched"></span>not compared</li></ul>'
    if not _is_binary(results):
        return ramp("no cell agrees", "all agree", "Shades run from dark, no agreement, to light", "shades") + hatched
    what = _class_one(results)
    return (
        ramp(f"no {what}", f"all {what}", f"Shades run from dark, no {what}, to light, all {what}", "shades")
        + ramp(f"too little {what}", f"too much {what}", "Colours run from blue over white to red")
        + hatched
    )


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
            "Each stratum is weighted by its area; areas are the reference's, with 95 % intervals.",
            (
                Table("summary", "Overall accuracy", ("map", "points", "overall accuracy", "from", "to"), overall),
                Table("classes", "Accuracy and area by class", ("map", "class", "points", *accuracy, *area), rows),
            ),
        )
    ]
