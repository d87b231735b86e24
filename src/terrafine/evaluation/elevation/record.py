"""The record of a comparison of elevation models: the dictionary that becomes results.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrafine.evaluation.elevation.group import Group
from terrafine.evaluation.elevation.options import Options
from terrafine.evaluation.elevation.verdict import verdict
from terrafine.evaluation.inputs import PathLike
from terrafine.evaluation.results import FORMATS
from terrafine.evaluation.surfaces import raster_record
from terrafine.raster.read.source import Source
from terrafine.version import __version__

__all__ = ["Inputs", "results"]


@dataclass(frozen=True)
class Inputs:
    """What was compared.

    Attributes
    ----------
    candidates, reference, coarse, masks, classes
        The files as they were named.
    truth, low
        Sources of the reference and of the coarse input.
    class_names
        Names of classes by number.
    """

    candidates: Mapping[str, PathLike]
    reference: PathLike
    truth: Source
    coarse: PathLike | None
    low: Source | None
    masks: Sequence[PathLike]
    classes: PathLike | None
    class_names: Mapping[int, str] | None


def results(groups: Sequence[Group], inputs: Inputs, options: Options, notes: Sequence[str]) -> dict[str, Any]:
    """Return the content of results.json, candidates ranked by RMSE.

    Parameters
    ----------
    groups
        Groups that have run.
    inputs
        What was compared.
    options
        Options of the comparison.
    notes
        Sentences about the inputs.

    Returns
    -------
    dict
        The content.
    """
    all_notes = list(notes)
    records, baselines = _records(groups, all_notes, options, inputs.class_names)
    records.sort(key=lambda r: (r["elevation"]["rmse"], r["name"]))
    for rank, record in enumerate(records, start=1):
        record["rank"], record["path"] = rank, Path(inputs.candidates[record["name"]]).name
    coarse = None
    if inputs.coarse is not None and inputs.low is not None:
        coarse = _raster(inputs.coarse, inputs.low)
    return {
        "format": FORMATS["elevation"],
        "terrafine": __version__,
        "reference": _raster(inputs.reference, inputs.truth),
        "coarse": coarse,
        "settings": options.record()
        | {
            "masks": [Path(m).name for m in inputs.masks],
            "classes": None if inputs.classes is None else Path(inputs.classes).name,
            "bootstrap_cells": groups[0].bootstrap_side,
        },
        "notes": list(dict.fromkeys(all_notes)),
        "verdict": records[0]["verdict"],
        "candidates": records,
        "baselines": baselines,
    }


def _records(
    groups: Sequence[Group], notes: list[str], options: Options, class_names: Mapping[int, str] | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    records: list[dict[str, Any]] = []
    baselines: dict[str, Any] = {}
    for group in groups:
        weights = group.weights()
        sums = {surface.name: surface.accumulators.blocks for surface in group.baselines}
        notes += group.notes
        for surface in group.candidates:
            record = surface.summary(weights, options, class_names)
            record["verdict"] = verdict(surface.name, surface.accumulators.blocks, sums, weights, group.missing)
            records.append(record)
        if group.baselines and not baselines:
            baselines = {s.name: s.summary(weights, options, class_names) for s in group.baselines}
            for record in baselines.values():
                del record["name"]
    return records, baselines


def _raster(path: PathLike, source: Source) -> dict[str, Any]:
    datum = None if source.vertical is None else source.vertical.name
    return {**raster_record(path, source), "vertical_datum": datum}
