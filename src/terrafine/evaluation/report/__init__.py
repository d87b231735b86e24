"""The report: one self-contained page and its tables, rendered from `results.json` and a few small arrays.

results: `results.json` of elevation models, class maps or images  →  results.json, index.html, *.csv
figures: what `compare` hands over                                 →  the pictures and profiles of the page
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from terrafine.atomic import PublishSet, written
from terrafine.errors import DataError, OutputError
from terrafine.evaluation.report import classes, elevation, images
from terrafine.evaluation.results import FORMATS, Figures, Results, Window
from terrafine.host import lock_exclusively
from terrafine.private import open_own_file
from terrafine.schema.files import read_json

__all__ = ["FORMATS", "Figures", "Results", "Window", "results_text", "write_report"]

_TEXTS: Mapping[str, Callable[[Any, Any], dict[str, str]]] = {
    FORMATS["elevation"]: elevation.texts,
    FORMATS["classes"]: classes.texts,
    FORMATS["images"]: images.texts,
}


def results_text(results: Results | Mapping[str, Any]) -> str:
    """Return the strict JSON of `results.json`, with keys in their given order and the same bytes for the same results.

    Parameters
    ----------
    results
        The results.

    Returns
    -------
    str
        The text.

    Raises
    ------
    DataError
        If a number is not finite.
    """
    try:
        return json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the results hold a value that strict JSON cannot: {error}; give None for what is undefined, "
            "and plain Python numbers"
        ) from error


def write_report(results: Results | Mapping[str, Any], figures: Any, out_dir: str | Path) -> list[Path]:
    """Write `results.json`, `index.html` and one CSV for each table.

    The page loads nothing from the network. Each file appears whole or not at all, and results.json, which appears
    last, is of the same evaluation as all others. Tables of an earlier report in the folder are removed.

    Parameters
    ----------
    results : mapping
        What `compare` of elevation models, class maps or images returned.
    figures : object or None
        What that `compare` handed to its argument `figures`; None for a report without pictures.
    out_dir : path
        The folder; it is created where it does not exist.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    DataError
        If the results have another format, no candidate, or a value that strict JSON cannot hold.
    OutputError
        If the folder cannot be written, or another evaluation is writing to it.
    """
    render = _TEXTS.get(str(results.get("format")))
    if render is None:
        raise DataError(
            f"the results have format {results.get('format')!r}, expected one of {', '.join(_TEXTS)}; evaluate again"
        )
    if not results.get("candidates"):
        raise DataError("the results hold no candidate; evaluate at least one")
    texts = {"results.json": results_text(results)} | render(results, figures)
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            return _replace(folder, texts)
    except OSError as error:
        raise OutputError(
            f"{folder}: the report cannot be written ({error.strerror or error}); choose a folder that is writable"
        ) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder is this process's alone for the block; OutputError where another one writes its report there."""
    path = folder / ".lock"
    handle = open_own_file(path)
    try:
        if not lock_exclusively(handle):
            raise OutputError(f"{folder}: another evaluation writes its report there; wait, or use another out=DIR")
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _replace(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """The files of a report in place of those of an earlier one, whose further tables go; results.json comes last."""
    stale = _tables(folder / "results.json") - set(texts)
    with PublishSet(folder / "results.json") as files:
        for name, text in texts.items():
            with written(folder / name, files.stage) as part:
                part.write_text(text, encoding="utf-8", newline="")
        for name in stale:
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name in texts]


def _tables(path: Path) -> set[str]:
    """Names of the tables of the report that a results.json belongs to; none where it is not one of ours."""
    try:
        results = read_json(path, DataError, "the results of an evaluation", 256_000_000)
        names = set(_TEXTS[results["format"]](results, None))
    except (DataError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return set()
    return {name for name in names if name.endswith(".csv") and Path(name).name == name}
