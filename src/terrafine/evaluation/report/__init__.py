"""The report: one self-contained page and its tables, rendered from `results.json` and a few small arrays.

results: schema.Results   →  report/results.json, report/index.html, report/*.csv
figures: schema.Figures   →  the pictures and profiles of the page (`elevation.figures.draw` prepares them)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terrafine.atomic import written
from terrafine.errors import DataError, OutputError
from terrafine.evaluation.report.page import render
from terrafine.evaluation.report.tables import all_tables, to_csv
from terrafine.evaluation.results import FORMAT, Figures, Results, Window

__all__ = ["FORMAT", "Figures", "Results", "Window", "publish", "results_text", "write_report"]


def results_text(results: Results | Mapping[str, Any]) -> str:
    """The strict JSON of `results.json`: keys in their given order, no NaN; the same results give the same bytes.

    Raises DataError where a number is NaN or infinite: what is undefined is None.
    """
    try:
        return json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the results hold a value that strict JSON cannot: {error}; give None for what is undefined, "
            "and plain Python numbers"
        ) from error


def write_report(results: Results, figures: Figures | None, out_dir: str | Path) -> list[Path]:
    """Write `results.json`, `index.html` and one CSV for each table into `out_dir`; returns the paths.

    The page loads nothing from the network. Each file appears whole or not at all. Raises DataError for results of
    another format, without candidates, or not strict JSON; OutputError where the folder cannot be written.
    """
    if results.get("format") != FORMAT:
        raise DataError(f"the results say format {results.get('format')!r}, expected {FORMAT!r}; evaluate again")
    if not results.get("candidates"):
        raise DataError("the results hold no candidate; evaluate at least one surface")
    texts = {"results.json": results_text(results), "index.html": render(results, figures)}
    texts |= {f"{table.name}.csv": to_csv(table) for table in all_tables(results).values()}
    return publish(out_dir, texts)


def publish(out_dir: str | Path, texts: Mapping[str, str]) -> list[Path]:
    """Write files by name into a folder that is made where it is missing; raises OutputError where that fails."""
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_publish(folder / name, text) for name, text in texts.items()]
    except OSError as error:
        raise OutputError(
            f"{folder}: the report cannot be written ({error.strerror or error}); choose a folder that is writable"
        ) from error


def _publish(path: Path, text: str) -> Path:
    with written(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return path
