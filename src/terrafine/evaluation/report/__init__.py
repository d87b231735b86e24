"""The report: one self-contained page and its tables, rendered from `results.json` and a few small arrays.

results: `results.json` of elevation models, class maps or images  →  results.json, index.html, *.csv
figures: what `compare` hands over                                 →  the pictures and profiles of the page
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from terrafine.errors import DataError
from terrafine.evaluation.report import classes, elevation, images
from terrafine.evaluation.report.folder import locked, replace
from terrafine.evaluation.results import FORMATS, Figures, Results, Window
from terrafine.schema.files import read_json

__all__ = ["FORMATS", "Figures", "Results", "Window", "report_folder", "report_texts", "results_text", "write_report"]

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
    with report_folder(out_dir) as write:
        return write(results, figures)


@contextlib.contextmanager
def report_folder(out_dir: str | Path) -> Iterator[Callable[[Any, Any], list[Path]]]:
    """Make and lock the folder of a report before the evaluation; a folder that gets no report is removed again.

    Parameters
    ----------
    out_dir : path
        The folder; it is created where it does not exist.

    Yields
    ------
    callable
        `write_report` without its last argument.

    Raises
    ------
    OutputError
        If the folder cannot be written, or another evaluation uses it.
    """
    folder = Path(out_dir)
    with locked(folder):
        yield lambda results, figures: replace(folder, report_texts(results, figures), _tables)


def report_texts(results: Results | Mapping[str, Any], figures: Any = None) -> dict[str, str]:
    """Return the files of a report by name: `results.json`, `index.html` and one CSV for each table.

    Parameters
    ----------
    results, figures
        As `write_report`.

    Returns
    -------
    dict
        Name of the file to its text.

    Raises
    ------
    DataError
        As `write_report`.
    """
    render = _TEXTS.get(str(results.get("format")))
    if render is None:
        raise DataError(
            f"the results have format {results.get('format')!r}, expected one of {', '.join(_TEXTS)}; evaluate again"
        )
    if not results.get("candidates"):
        raise DataError("the results hold no candidate; evaluate at least one")
    return {"results.json": results_text(results)} | render(results, figures)


def _tables(path: Path) -> set[str]:
    """Names of the tables of the report that a results.json belongs to; none where it is not one of ours."""
    try:
        results = read_json(path, DataError, "the results of an evaluation", 256_000_000)
        names = set(_TEXTS[results["format"]](results, None))
    except (DataError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return set()
    return {name for name in names if name.endswith(".csv") and Path(name).name == name}
