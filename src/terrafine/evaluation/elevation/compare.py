"""Compare elevation models with a reference: the whole of `results.json` as one dictionary.

Candidates on one grid are compared on the same cells: those valid in all of them, in the reference and in the
baselines, and not masked. Local measures stream through in blocks, so memory follows from the block and not from the
raster. Drainage is not local: its surfaces are held whole, within a stated limit, or it is left out with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from terrafine.errors import EmptyError, GridError
from terrafine.evaluation.elevation.figures import draw
from terrafine.evaluation.elevation.group import Group
from terrafine.evaluation.elevation.options import Options
from terrafine.evaluation.elevation.record import Inputs, results
from terrafine.evaluation.elevation.sources import Reading, holds_relief, open_surface, unit_notes
from terrafine.evaluation.elevation.uncertainty import stated_multiples
from terrafine.evaluation.elevation.verdict import BASELINE_NAMES
from terrafine.evaluation.inputs import Candidates, PathLike, Progress, named_candidates
from terrafine.evaluation.results import Figures
from terrafine.evaluation.surfaces import Readable, same_grid
from terrafine.raster import vertical
from terrafine.raster.read.content_type import open_labels
from terrafine.raster.read.opened import open_raster
from terrafine.raster.read.source import Source

__all__ = ["Options", "compare"]


def compare(
    candidates: Candidates,
    reference: PathLike,
    *,
    coarse: PathLike | None = None,
    masks: Sequence[PathLike] = (),
    classes: PathLike | None = None,
    class_names: Mapping[int, str] | None = None,
    assume_crs: str | None = None,
    elevation_unit: str | None = None,
    vertical_datum: str | None = None,
    bands: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    figures: Callable[[Figures], None] | None = None,
    options: Options | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Compare elevation models with a reference and rank them by RMSE.

    Parameters
    ----------
    candidates : path, sequence of paths, or mapping of name to path
        The elevation models to compare.
    reference : path
        The truth; it is averaged, never sampled, onto each candidate's grid.
    coarse : path, optional
        What the candidates were made from. Adds the consistency with it, and scores bicubic and back-projected
        bicubic interpolation of it on the same cells; needs a candidate that subdivides its cells.
    masks : sequence of paths
        Rasters whose cells other than 0 are left out.
    classes : path, optional
        A raster of integers to break the errors down by.
    class_names : mapping of int to str, optional
        Names of those integers.
    assume_crs, elevation_unit, vertical_datum : str, optional
        CRS, unit of heights and vertical datum of files that do not state theirs. What a file states is kept; a
        datum that contradicts it is refused.
    bands : mapping of str to int, optional
        Numbers of `elevation` and `elevation_sigma` in files of several bands that do not name them.
    progress : callable, optional
        Called with (steps done, steps in all).
    figures : callable, optional
        Called once with the pictures that `report.write_report` takes, of the best candidate's grid.
    options : Options, optional
        Options of the comparison.
    **fields
        Fields of `Options`, which override `options`.

    Returns
    -------
    dict
        `results.Results`. The same inputs give the same dictionary: it holds no times and no absolute paths.

    Raises
    ------
    GridError
        If rasters do not overlap or have no size in metres.
    DatumError
        If vertical datums differ.
    EmptyError
        If no cell is valid in all surfaces.
    UsageError
        If an option is outside its range, or `elevation_unit` serves none of the files.
    MissingExtraError
        If a needed extra is not installed, such as xdem for co-registration.
    """
    chosen = replace(options or Options(), **fields)
    named = named_candidates(candidates, {"reference", *BASELINE_NAMES})
    reading = Reading(assume_crs, elevation_unit, vertical_datum, bands)
    with ExitStack() as stack:
        named = {name: stack.enter_context(open_raster(path)) for name, path in named.items()}
        reference = stack.enter_context(open_raster(reference))
        coarse = None if coarse is None else stack.enter_context(open_raster(coarse))
        units = unit_notes([*named.values(), reference, *([] if coarse is None else [coarse])], reading)
        truth = stack.enter_context(open_surface(reference, reading))
        opened = {
            name: stack.enter_context(open_surface(path, reading, sigma=chosen.uncertainty))
            for name, path in named.items()
        }
        low = None if coarse is None else stack.enter_context(open_surface(coarse, reading))
        hidden = [(str(m), stack.enter_context(open_labels(m, assume_crs))) for m in masks]
        strata = None if classes is None else (str(classes), stack.enter_context(open_labels(classes, assume_crs)))
        notes = _datum_notes({**{named[n]: s for n, s in opened.items()}, reference: truth})
        if low is not None:
            vertical.same_or_raise(low.vertical, truth.vertical, str(coarse), str(reference))
        notes += units
        multiples = {n: stated_multiples(s.tags.get("SIGMA_COVERS", ""), str(named[n])) for n, s in opened.items()}
        groups = [
            Group(
                {n: opened[n] for n in names},
                truth,
                low,
                hidden,
                strata,
                chosen,
                {n: multiples[n] for n in names},
                pictures=figures is not None,
            )
            for names in _by_grid(opened)
        ]
        if len(groups) > 1:
            notes.append("The candidates lie on different grids: each was compared on its own, so their cells differ.")
        for group in groups:
            _overlap_or_raise(group, named, reference)
        _stream(groups, progress)
        _cells_or_raise(groups)
        notes += _relief_notes(
            named, {s.name for g in groups for s in g.surfaces if s.shift is not None and s.shift.up}
        )
        inputs = Inputs(named, reference, truth, coarse, low, masks, classes, class_names)
        found = results(groups, inputs, chosen, notes)
        if figures is not None:
            best = found["candidates"][0]["name"]
            drawn = draw(next(group for group in groups if best in group.names))
            if drawn is not None:
                figures(drawn)
    return found


def _relief_notes(named: Mapping[str, PathLike], fitted: set[str]) -> list[str]:
    """What became of the level of each candidate that holds relief."""
    level = {True: "the co-registration fitted it to the reference", False: "the bias contains it"}
    return [
        f"{name} holds relief, metres above a level that the file does not state; {level[name in fitted]}."
        for name, path in named.items()
        if holds_relief(path)
    ]


def _datum_notes(sources: Mapping[PathLike, Source]) -> list[str]:
    """Refuse datums that differ; note each candidate whose datum, or whose reference's datum, is not known."""
    *candidates, (reference_path, reference) = sources.items()
    notes = []
    for path, source in candidates:
        vertical.same_or_raise(source.vertical, reference.vertical, str(path), str(reference_path))
        if (source.vertical is None) != (reference.vertical is None):
            known, unknown = (reference_path, path) if source.vertical is None else (path, reference_path)
            datum = reference.vertical or source.vertical
            notes.append(
                f"{Path(unknown).name} does not state the vertical datum of its heights; it was taken to be that of "
                f"{Path(known).name}, {datum.name if datum else 'unknown'}."
            )
    return notes


def _by_grid(opened: Mapping[str, Readable]) -> list[list[str]]:
    """Names of the candidates, grouped by the grid they share."""
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


def _stream(groups: Sequence[Group], progress: Progress | None) -> None:
    total = sum(g.steps for g in groups)
    done = 0
    for group in groups:
        for _ in group.run():
            done += 1
            if progress is not None:
                progress(done, total)


def _cells_or_raise(groups: Sequence[Group]) -> None:
    for group in groups:
        if not group.cells_compared:
            raise EmptyError(
                f"{', '.join(group.names)}: no cell is valid in the candidate, the reference and all else that is "
                "compared; expected at least one. Check nodata values and masks"
            )
