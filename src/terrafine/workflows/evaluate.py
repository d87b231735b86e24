"""`evaluate`: compare candidates with a reference, by what the files hold; `terrafine evaluate` calls it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import fields as fields_of
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from terrafine.errors import OutputError, UsageError
from terrafine.workflows.advice import advice_for, arguments_of, names_own_arguments
from terrafine.workflows.evaluation import Evaluation
from terrafine.workflows.fields import EvaluateFields, merge_options
from terrafine.workflows.options import ReadOptions, parse_size
from terrafine.workflows.step_bar import step_progress

if TYPE_CHECKING:
    from terrafine.evaluation.inputs import Candidates
    from terrafine.raster.read.opened import OpenRaster

__all__ = ["KINDS", "Evaluation", "evaluate"]

PathLike = str | os.PathLike[str]
KINDS = ("elevation", "classes", "image")
_PLURAL = {"elevation": "elevation models", "classes": "class maps", "image": "images"}
_BANDS = {
    "elevation": ("elevation", "elevation_sigma"),
    "classes": ("class",),
    "image": ("red", "green", "blue", "nir"),
}


@names_own_arguments(EvaluateFields)
def evaluate(
    candidates: Candidates,
    reference: PathLike,
    *,
    kind: str | None = None,
    coarse: PathLike | None = None,
    out: PathLike | None = None,
    gate: PathLike | None = None,
    masks: Sequence[PathLike] = (),
    classes: PathLike | None = None,
    class_names: Mapping[int, str] | None = None,
    progress: Callable[[int, int], None] | bool | None = None,
    read: ReadOptions | None = None,
    **fields: Unpack[EvaluateFields],
) -> Evaluation:
    """Compare one or several candidates with a reference and rank them.

    Elevation models are ranked by RMSE, class maps by F1 and images by PSNR, all on the same cells.

    Parameters
    ----------
    candidates
        One file, several, or {name: file}.
    reference
        The truth; for class maps also a CSV of sampled points (x, y, class).
    kind
        What the files hold: `elevation`, `classes` or `image`; by default as the first candidate's header states.
    coarse
        What the candidates were made from. Elevation models: adds the consistency with it, and bicubic and
        back-projected bicubic interpolation of it. Images need it. Not for class maps.
    out
        Folder for results.json, index.html and tables as CSV.
    gate
        TOML file of limits on the results; `Evaluation.raise_unless_passed` raises where one is not kept.
    masks
        Rasters whose cells other than 0 are left out; not for images.
    classes
        Raster of integers to break the errors down by; not for images.
    class_names
        Names of the classes of class maps, over those that the files state, or of the classes of `classes`.
    progress
        True for a progress bar, or a function of (steps done, steps in all).
    read
        How the files are read.
    **fields
        `assume_crs` of `ReadOptions`; `bands`, for files of several bands that do not name them; for elevation models
        also `elevation_unit`, `vertical_datum`, and the fields of `terrafine.evaluation.elevation.options.Options`; for
        images `divide_by`.

    Returns
    -------
    Evaluation
        The results, and the files that were written.

    Raises
    ------
    UsageError
        For an argument that does not apply to what the files hold.
    SourceError, BandError, GridError, DatumError, EmptyError, DataError
        For files that cannot be compared.
    MissingExtraError
        For a comparison that needs an extra, such as xdem for coregistration.
    OutputError
        For a report that cannot be written.
    """
    reading, _ = merge_options(evaluate, EvaluateFields, read, None, fields)
    given: dict[str, Any] = {k: v for k, v in fields.items() if k not in {f.name for f in fields_of(ReadOptions)}}
    named = _named(candidates)
    from terrafine.evaluation.gate import check, load_gates
    from terrafine.evaluation.report import report_folder
    from terrafine.raster.read.content_type import kind_of
    from terrafine.raster.read.opened import open_raster

    gates = load_gates(gate) if gate else []
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise OutputError(f"{out}: is a file; expected a folder for the report, or a name that is free")
    if kind not in (None, *KINDS):
        raise UsageError(f"kind {kind!r}: expected one of {', '.join(KINDS)}")
    drawn: list[Any] = []
    with ExitStack() as opened:
        rasters = {name: opened.enter_context(open_raster(path)) for name, path in named.items()}
        held = kind or kind_of(next(iter(rasters.values())))
        truth = [] if Path(reference).suffix.lower() == ".csv" else [opened.enter_context(open_raster(reference))]
        if kind is None:
            _refuse_probability([*rasters.values(), *truth])
        low = None if coarse is None else opened.enter_context(open_raster(coarse))
        read_as = _check_bands(held, reading.bands, [*rasters.values(), *truth, *([] if low is None else [low])])
        hidden = [opened.enter_context(open_raster(path)) for path in masks]
        strata = None if classes is None else opened.enter_context(open_raster(classes))
        _check_labels([*hidden, *([] if strata is None else [strata])], reading.assume_crs)
        write = None if out is None else opened.enter_context(report_folder(Path(out)))
        asked = _Asked(
            rasters,
            truth[0] if truth else reference,
            low,
            hidden,
            strata,
            class_names,
            given,
            bands=reading.bands,
            heights={"elevation_unit": reading.elevation_unit, "vertical_datum": reading.vertical_datum},
            common={"assume_crs": reading.assume_crs, "progress": opened.enter_context(step_progress(progress))},
            figures=None if out is None else drawn.append,
        )
        results: Any = {"elevation": _elevation, "classes": _classes, "image": _images}[held](asked)
        results["notes"] = [*results["notes"], *read_as, *_unused_names(results, class_names or {})]
        if gates:
            results["gates"] = check(results, gates)
        written = [] if write is None else write(results, drawn[0] if drawn else None)
    return Evaluation(held, results, tuple(written), drawn[0] if drawn else None)


def _named(candidates: Candidates) -> dict[str, PathLike]:
    """The candidates by name, each file once."""
    from terrafine.evaluation.elevation.verdict import BASELINE_NAMES
    from terrafine.evaluation.inputs import named_candidates

    listed = [candidates] if isinstance(candidates, (str, os.PathLike)) else candidates
    if not isinstance(listed, Mapping):
        paths = [os.fspath(p) for p in listed]
        if len(set(paths)) < len(paths):
            raise UsageError(f"{', '.join(paths)}: a file is named twice; expected each once")
    return named_candidates(candidates, {"reference", *BASELINE_NAMES})


def _refuse_probability(rasters: Sequence[OpenRaster]) -> None:
    from terrafine.raster.read.content_type import kind_of

    for raster in rasters:
        if kind_of(raster) == "probability":
            raise UsageError(
                f"{raster}: holds a probability, which cannot be compared; give the class map that was made of it, or "
                "state what the files are with kind=KIND"
            )


def _check_bands(held: str, bands: Mapping[str, int] | None, rasters: Sequence[OpenRaster]) -> list[str]:
    """Notes on the bands read by number; UsageError for a name that is not compared, or that serves no file."""
    from terrafine.raster.read.content_type import unnamed_bands

    if bands is None:
        return []
    if strange := [name for name in bands if name not in _BANDS[held]]:
        raise UsageError(f"band {', '.join(strange)}: {_PLURAL[held]} are compared by {', '.join(_BANDS[held])}")
    read = {Path(path).name: unnamed_bands(path, bands) for path in rasters}
    if not any(read.values()):
        raise UsageError(
            "bands=BANDS is for files of several bands that do not name them, and none of these is one; leave it out"
        )
    return [
        f"{name}: read as stated, {', '.join(f'{band} from band {n}' for band, n in found.items())}."
        for name, found in read.items()
        if found
    ]


def _check_labels(rasters: Sequence[OpenRaster], assume_crs: str | None) -> None:
    """Masks and classes open as one band of integers each; bands= is not for them, so no message advises it."""
    from terrafine.raster.read.content_type import open_labels

    with advice_for(arguments_of(evaluate) - {"bands"}):
        for raster in rasters:
            open_labels(raster, assume_crs)  # it shares the handle of the raster, which its opener closes


def _unused_names(results: Mapping[str, Any], class_names: Mapping[int, str]) -> list[str]:
    """A note where no compared cell is of a class that is named."""
    if results.get("kind") in ("classes", "sample"):
        found = {one["name"] for one in results["settings"]["classes"]}
    else:
        found = {row["label"] for one in results["candidates"] for row in one.get("by_class") or ()}
    absent = [f"{number} ({name})" for number, name in sorted(class_names.items()) if name not in found]
    if not absent:
        return []
    there = ", ".join(sorted(found)) or "none"
    return [f"No compared cell is of class {', '.join(absent)}, which is named; the classes are: {there}."]


def _refuse(held: str, given: Mapping[str, Any], **more: Any) -> None:
    """An argument that does not apply to what the files hold is an error where it is given."""
    strange = [*given, *(name for name, value in more.items() if value)]
    if strange:
        raise UsageError(
            f"{', '.join(f'{name}=' for name in strange)} cannot be used with {_PLURAL[held]}; leave it out, or state "
            "what the files are with kind=KIND"
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments of `evaluate`, as the comparison of one kind takes its own from them.

    bands   numbers of bands of files that do not name them
    given   options that are fields of no other object
    heights `elevation_unit` and `vertical_datum`
    common  `assume_crs` and `progress`, which every comparison takes
    figures receives the pictures of a report, None without one
    """

    named: Mapping[str, PathLike]
    reference: PathLike
    coarse: PathLike | None
    masks: Sequence[PathLike]
    classes: PathLike | None
    class_names: Mapping[int, str] | None
    given: Mapping[str, Any]
    bands: Mapping[str, int] | None
    heights: Mapping[str, Any]
    common: Mapping[str, Any]
    figures: Callable[[Any], None] | None


def _elevation(asked: _Asked) -> dict[str, Any]:
    from terrafine.evaluation.elevation.compare import compare
    from terrafine.evaluation.elevation.options import Options

    known = {f.name for f in fields_of(Options)}
    names = {} if asked.classes is not None else {"class_names": asked.class_names}
    _refuse("elevation", {n: v for n, v in asked.given.items() if n not in known}, **names)
    chosen = {n: v for n, v in asked.given.items() if v is not None}
    if "hydrology_memory" in chosen:
        chosen["hydrology_memory"] = parse_size(chosen["hydrology_memory"], "hydrology_memory")
    return compare(
        asked.named,
        asked.reference,
        coarse=asked.coarse,
        masks=asked.masks,
        classes=asked.classes,
        class_names=asked.class_names,
        figures=asked.figures,
        bands=asked.bands,
        **asked.heights,
        **asked.common,
        **chosen,
    )


def _classes(asked: _Asked) -> dict[str, Any]:
    from terrafine.evaluation.classes.compare import compare

    _refuse("classes", asked.given, coarse=asked.coarse, **asked.heights)
    if Path(asked.reference).suffix.lower() == ".csv":
        if asked.masks or asked.classes:
            raise UsageError("masks= and classes= do not apply to a sample of points: its strata are in the CSV")
        return compare(asked.named, asked.reference, class_names=asked.class_names, bands=asked.bands, **asked.common)
    return compare(
        asked.named,
        asked.reference,
        regions=asked.classes,
        masks=asked.masks,
        class_names=asked.class_names,
        figures=asked.figures,
        bands=asked.bands,
        **asked.common,
    )


def _images(asked: _Asked) -> dict[str, Any]:
    from terrafine.evaluation.images.compare import compare

    others = {n: v for n, v in asked.given.items() if n != "divide_by"}
    strange = {"masks": asked.masks, "classes": asked.classes, "class_names": asked.class_names}
    _refuse("image", others, **strange, **asked.heights)
    if asked.coarse is None:
        files = ", ".join(map(str, asked.named.values()))
        raise UsageError(f"{files}: images; expected coarse=FILE, the image that they were made from")
    divide_by = asked.given.get("divide_by")
    return compare(
        asked.named,
        asked.reference,
        coarse=asked.coarse,
        divide_by=divide_by,
        numbers=asked.bands,
        figures=asked.figures,
        **asked.common,
    )
