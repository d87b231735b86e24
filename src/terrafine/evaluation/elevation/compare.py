"""Candidates against a reference: one dictionary, the whole of `results.json`.

Candidates on one grid are judged on the same cells: those valid in all of them, in the reference and in the baselines,
and not masked. What is local streams through in blocks: memory follows from the block, not from the raster. Water is
not local: its surfaces are held whole, within a stated limit, or it is left out with a note.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import terrafine
from terrafine.errors import BandError, EmptyError, GridError, UsageError
from terrafine.evaluation.elevation.drainage import DEFAULT_LIMIT_BYTES, WaterOptions
from terrafine.evaluation.elevation.figures import draw
from terrafine.evaluation.elevation.group import Group, Options
from terrafine.evaluation.elevation.uncertainty import stated_multiples
from terrafine.evaluation.elevation.verdict import BASELINE_NAMES, verdict
from terrafine.evaluation.hydrology import DEFAULT_STAGES_M
from terrafine.evaluation.results import FORMAT, Figures
from terrafine.evaluation.surfaces import Readable, raster_record, same_grid
from terrafine.raster import vertical
from terrafine.raster.read.content_type import open_labels
from terrafine.raster.read.source import Source, open_source

__all__ = ["FORMAT", "evaluate"]

_RESERVED = {"reference", *BASELINE_NAMES}  # names of what stands beside the candidates

PathLike = str | os.PathLike[str]


def evaluate(
    candidates: PathLike | Sequence[PathLike] | Mapping[str, PathLike],
    reference: PathLike,
    *,
    coarse: PathLike | None = None,
    uncertainty: bool = True,
    coregister: bool = True,
    masks: Sequence[PathLike] = (),
    classes: PathLike | None = None,
    class_names: Mapping[int, str] | None = None,
    multipliers: Mapping[float, float] | None = None,
    slope_method: str = "horn",
    tolerance_m: float = 0.01,
    hydrology: bool = True,
    stream_areas_km2: Sequence[float] | None = None,
    stages_m: Sequence[float] = DEFAULT_STAGES_M,
    hydrology_memory: int = DEFAULT_LIMIT_BYTES,
    block: int = 768,
    bootstrap_side: int | None = None,
    draws: int = 1000,
    seed: int = 0,
    assume_crs: str | None = None,
    vertical_datum: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    figures: Callable[[Figures], None] | None = None,
) -> dict[str, Any]:
    """Everything that is measured on the candidates: the `Results` of report.schema.

    candidates      one file, several, or {name: file}; ranked by RMSE in what is returned
    reference       averaged, never sampled, onto each candidate's grid
    coarse          what the candidates were made from: consistency, and bicubic and back-projected bicubic of it
                    scored on the same cells; needs a candidate that subdivides its cells
    uncertainty     judge the σ band where a candidate has one (a band described `elevation_sigma`); half widths for
                    nominal probabilities: `multipliers`, else those of its tag SIGMA_COVERS, else the Gaussian ones
    coregister      Nuth & Kääb before differencing, each surface by itself, and one for both baselines; the reference
                    is then averaged onto the moved grid, and the candidate itself is never resampled
    masks           rasters whose cells other than 0 are left out (water, glaciers, the user's own)
    classes         a raster of integers to break the errors down by
    hydrology       streams at these contributing areas, floods at these stages, and what `evaluation.hydrology` lists;
                    left out with a note where it needs more than `hydrology_memory` bytes: it holds surfaces whole
    block           cells along one side of what is read at once; the result is the same to float64 rounding
    bootstrap_side  cells along a block of the spatial bootstrap; by default a sixteenth of the longer side
    progress        called with (steps done, steps in all)
    figures         called once with the pictures that `report.write_report` takes, of the best candidate's grid

    Same inputs, same dictionary: no times, no absolute paths. Raises GridError (no overlap, no metres), DatumError,
    EmptyError (no cell in common), UsageError, MissingExtraError (co-registration without xdem).
    """
    if slope_method not in ("horn", "zevenbergen-thorne"):
        raise UsageError(f"slope method {slope_method!r}: expected 'horn' or 'zevenbergen-thorne'")
    if block < 64 or draws < 100:
        raise UsageError(f"block {block} and draws {draws}: expected at least 64 cells and 100 draws")
    options = Options(
        uncertainty,
        coregister,
        slope_method,
        tolerance_m,
        block,
        bootstrap_side,
        draws,
        seed,
        multipliers or {},
        WaterOptions(tuple(stream_areas_km2) if stream_areas_km2 else None, tuple(stages_m), hydrology_memory)
        if hydrology
        else None,
        figures is not None,
    )
    named = _named(candidates)
    opening = {"assume_crs": assume_crs, "vertical_datum": vertical_datum}
    reference_source = open_source(reference, **opening)  # type: ignore[arg-type]
    opened = {name: _open_candidate(path, uncertainty, opening) for name, path in named.items()}
    coarse_source = None if coarse is None else open_source(coarse, **opening)  # type: ignore[arg-type]
    notes = _datum_notes({**{named[n]: s for n, s in opened.items()}, reference: reference_source})
    groups = [
        Group(
            {n: opened[n] for n in names},
            reference_source,
            coarse_source,
            [(str(m), open_labels(m, assume_crs)) for m in masks],
            None if classes is None else (str(classes), open_labels(classes, assume_crs)),
            options,
            {n: stated_multiples(opened[n].describe()["tags"].get("SIGMA_COVERS", ""), str(named[n])) for n in names},
        )
        for names in _by_grid(opened)
    ]
    if len(groups) > 1:
        notes.append("The candidates lie on different grids: each was judged on its own, so their cells differ.")
    for group in groups:
        _overlap_or_raise(group, named, reference)
    _stream(groups, progress)
    records, baselines = _records(groups, notes, class_names)
    records.sort(key=lambda r: (r["elevation"]["rmse"], r["name"]))
    for rank, record in enumerate(records, start=1):
        record["rank"], record["path"] = rank, Path(named[record["name"]]).name
    if figures is not None and (drawn := draw(_group_of(groups, records[0]["name"]))) is not None:
        figures(drawn)
    return {
        "format": FORMAT,
        "terrafine": terrafine.__version__,
        "reference": _raster(reference, reference_source),
        "coarse": None if coarse is None or coarse_source is None else _raster(coarse, coarse_source),
        "settings": options.record()
        | {
            "masks": [Path(m).name for m in masks],
            "classes": None if classes is None else Path(classes).name,
            "bootstrap_cells": groups[0].bootstrap_side,
        },
        "notes": list(dict.fromkeys(notes)),
        "verdict": records[0]["verdict"],
        "candidates": records,
        "baselines": baselines,
    }


def _named(candidates: PathLike | Sequence[PathLike] | Mapping[str, PathLike]) -> dict[str, PathLike]:
    if isinstance(candidates, Mapping):
        named = dict(candidates)
    else:
        listed = [candidates] if isinstance(candidates, (str, os.PathLike)) else list(candidates)
        stems = [Path(p).stem for p in listed]
        stems = [Path(p).name if s in _RESERVED else s for s, p in zip(stems, listed, strict=True)]
        names = [s if stems.count(s) == 1 else f"{Path(p).parent.name}/{s}" for s, p in zip(stems, listed, strict=True)]
        named = dict(zip(names, listed, strict=True))
        if len(named) < len(listed):
            raise UsageError(f"candidates {sorted(names)} share names; give them as a mapping of name to file")
    if taken := sorted(_RESERVED & named.keys()):
        raise UsageError(f"candidate {taken[0]!r}: that name is taken for what it is compared with; give it another")
    if not named:
        raise UsageError("no candidate was given; expected at least one file")
    return named


def _group_of(groups: Sequence[Group], name: str) -> Group:
    return next(group for group in groups if name in group.names)


def _open_candidate(path: PathLike, uncertainty: bool, opening: Mapping[str, Any]) -> Source:
    """With its σ band where it has one, by the description that the file itself carries."""
    if uncertainty:
        try:
            return open_source(path, want=("elevation", "elevation_sigma"), **opening)
        except BandError:
            pass  # no σ band: elevation alone
    return open_source(path, **opening)


def _datum_notes(sources: Mapping[PathLike, Source]) -> list[str]:
    """Refuse datums that differ; say where one is not known."""
    *candidates, (reference_path, reference) = sources.items()
    notes = []
    for path, source in candidates:
        vertical.same_or_raise(source.vertical, reference.vertical, str(path), str(reference_path))
        if (source.vertical is None) != (reference.vertical is None):
            known, unknown = (reference_path, path) if source.vertical is None else (path, reference_path)
            datum = reference.vertical or source.vertical
            notes.append(
                f"{Path(unknown).name} does not say above which datum its heights stand; it was taken to be that of "
                f"{Path(known).name}, {datum.name if datum else 'unknown'}."
            )
    return notes


def _by_grid(opened: Mapping[str, Readable]) -> list[list[str]]:
    groups: list[list[str]] = []
    for name, source in opened.items():
        for names in groups:
            if same_grid(opened[names[0]].geobox, source.geobox):
                names.append(name)
                break
        else:
            groups.append([name])
    return groups


def _overlap_or_raise(group: Group, named: Mapping[str, PathLike], reference: PathLike) -> None:
    box = group.reference.geobox.footprint(group.geobox.crs) if group.geobox.crs is not None else None
    if box is not None and not group.geobox.extent.intersects(box):
        path = named[group.names[0]]
        raise GridError(
            f"{path}: covers {_bounds(group.geobox)} and {reference} covers {_bounds(group.reference.geobox)}; "
            "expected them to overlap. Check the CRS of both with `terrafine info`"
        )


def _bounds(geobox: Any) -> str:
    b = geobox.boundingbox
    return f"x {b.left:g} to {b.right:g}, y {b.bottom:g} to {b.top:g} ({geobox.crs})"


def _stream(groups: Sequence[Group], progress: Callable[[int, int], None] | None) -> None:
    total = sum(g.steps for g in groups)
    done = 0
    for group in groups:
        for _ in group.run():
            done += 1
            if progress is not None:
                progress(done, total)


def _records(
    groups: Sequence[Group], notes: list[str], class_names: Mapping[int, str] | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    records: list[dict[str, Any]] = []
    baselines: dict[str, Any] = {}
    for group in groups:
        candidates, base = group.lanes
        if not candidates[0].tally.elevation.error.n:
            raise EmptyError(
                f"{', '.join(group.names)}: no cell is valid in the candidate, the reference and all else that is "
                "compared; expected at least one. Check nodata values and masks"
            )
        weights = group.weights()
        sums = {lane.name: lane.tally.blocks for lane in base}
        notes += group.notes
        for lane in candidates:
            record = lane.summary(weights, group.options, class_names)
            record["verdict"] = verdict(lane.name, lane.tally.blocks, sums, weights, group.missing)
            records.append(record)
        if base and not baselines:
            baselines = {lane.name: lane.summary(weights, group.options, class_names) for lane in base}
            for record in baselines.values():
                del record["name"]
    return records, baselines


def _raster(path: PathLike, source: Source) -> dict[str, Any]:
    datum = None if source.vertical is None else source.vertical.name
    return {**raster_record(path, source), "vertical_datum": datum}
