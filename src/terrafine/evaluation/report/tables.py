"""Every table of an evaluation as rows: written as CSV, and shown as HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, cast

from terrafine.evaluation.metrics import Cell, Metric, TableSpec, elevation_metrics
from terrafine.evaluation.report.svg import decimal, number, short
from terrafine.evaluation.results import Results, Scores

__all__ = ["Table", "all_tables", "display_name", "scored", "to_csv", "to_html"]

NAMES = {"bicubic": "Bicubic", "back_projected": "Back-projected bicubic", "reference": "Reference"}
BASELINES = ("back_projected", "bicubic")


@dataclass(frozen=True)
class Table:
    """Named columns and rows of plain cells.

    Attributes
    ----------
    name
        File name of the CSV without its suffix.
    caption
        Caption with units.
    columns
        Names of the columns.
    rows
        The cells.
    verbatim
        Whether the columns are the user's names, to be shown unchanged.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    verbatim: bool = False


def display_name(name: str) -> str:
    """Return the name of a surface as the page shows it.

    Parameters
    ----------
    name
        Name in results.json.

    Returns
    -------
    str
        The name.
    """
    return NAMES.get(name, name)


def scored(results: Results) -> Iterator[tuple[str, Scores]]:
    """Yield all surfaces: candidates in their order, then the baselines.

    Parameters
    ----------
    results
        The results.

    Yields
    ------
    tuple of (str, Scores)
        Name and scores.
    """
    for candidate in results["candidates"]:
        yield candidate["name"], candidate
    baselines = cast(dict[str, Scores], results.get("baselines") or {})
    for name in BASELINES:
        if name in baselines:
            yield name, baselines[name]


def _table(results: Results, metric: Metric, spec: TableSpec) -> Table:
    """The table of a metric over all surfaces."""
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        part = cast(Mapping[str, Any], scores).get(metric.key)
        if part:
            rows += [(name, *row) for row in spec.rows(part)]
    if spec.sort_by is not None:
        column = spec.sort_by + 1
        rows.sort(key=lambda row: value if isinstance(value := row[column], (int, float)) else 0.0)
    return Table(spec.name, spec.caption, ("surface", *spec.columns), tuple(rows))


def _gates(results: Results) -> Table:
    bounds = {"max": "at most", "min": "at least", "is": "exactly"}
    rows: list[tuple[Cell, ...]] = [
        (
            g["candidate"],
            g["key"],
            "not measured" if g["value"] is None else _said(g["value"]),
            f"{bounds[g['kind']]} {_said(g['limit'])}",
            "yes" if g["passed"] else "NO",
        )
        for g in results.get("gates") or []
    ]
    return Table("gates", "Gates", ("surface", "gate", "value", "expected", "passed"), tuple(rows))


def _said(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def all_tables(results: Results) -> dict[str, Table]:
    """Return the tables that have rows: those of every metric, and the gates.

    Parameters
    ----------
    results
        The results.

    Returns
    -------
    dict
        Name to table.
    """
    tables = [_table(results, metric, spec) for metric in elevation_metrics() for spec in metric.tables]
    return {table.name: table for table in (*tables, _gates(results)) if table.rows}


def to_csv(table: Table) -> str:
    """Return a table as CSV with a header row; undefined cells are empty.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    str
        CSV.

    References
    ----------
    RFC 4180, https://www.rfc-editor.org/rfc/rfc4180
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in table.rows)
    return out.getvalue()


HEADINGS = {
    "fuv": "1 − r²",
    "psnr": "PSNR dB",
    "rmse_lower": "95 % from",
    "rmse_upper": "to",
    "f1_0": "F1, exact",
    "f1_1": "F1, 1 cell",
    "f1_2": "F1, 2 cells",
    "area_km2": "area km²",
    "hd95_m": "95 % Hausdorff m",
    "offset_m": "mean offset m",
    "density_reference": "density, reference",
    "csi": "IoU of extent",
    "max_abs": "greatest",
    "within": "share within",
    "tolerance_m": "tolerance m",
    "mean_sigma": "mean σ m",
    "coverage_68": "inside 68 %",
    "coverage_90": "inside 90 %",
    "depth_rmse": "depth RMSE",
    **{key: key.upper() for key in ("mae", "rmse", "nmad", "sd", "le90", "le95", "f1", "ssim")},
    "n": "cells",
    "iou": "IoU",
    **dict.fromkeys(("score_from", "oa_from", "f1_from", "precision_from", "recall_from", "area_from m²"), "95 % from"),
    **dict.fromkeys(("score_to", "oa_to", "f1_to", "precision_to", "recall_to", "area_to m²"), "to"),
    "spectral_angle_deg": "spectral angle °",
    "shift_px": "shift px",
}


_SURFACES = ("surface", "image")  # first columns that may hold a baseline
_SHORT = 12  # rows of a table that a printed page does not cut


def to_html(table: Table, columns: Sequence[str] = (), best: str = "") -> str:
    """Return an accessible HTML table with caption, column and row headers.

    Parameters
    ----------
    table
        The table.
    columns
        Names of the columns to show; all by default.
    best
        Column whose smallest value is marked, or empty.

    Returns
    -------
    str
        HTML.
    """
    shown = [table.columns.index(name) for name in (columns or table.columns)]
    named = table.columns if table.verbatim else [_heading(column) for column in table.columns]
    heads = "".join(f'<th scope="col">{escape(named[i])}</th>' for i in shown)
    surfaces = table.columns[0] in _SURFACES
    column = table.columns.index(best) if best else -1
    known = [cell for row in table.rows if best and isinstance(cell := row[column], float)]
    least = min(known, default=None)
    short_table = " short" if len(table.rows) <= _SHORT else ""
    lines = []
    for row in table.rows:
        cells = []
        for position, i in enumerate(shown):
            text = display_name(str(row[i])) if i == 0 and surfaces else _text(row[i], table.columns[i])
            if position == 0:
                cells.append(f'<th scope="row">{escape(text)}</th>')
            elif i == column and row[i] == least:
                cells.append(f"<td><strong>{escape(text)}</strong></td>")
            else:
                kind = "" if isinstance(row[i], str) else ' class="n"'
                cells.append(f"<td{kind}>{escape(text)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll{short_table}" tabindex="0" role="region" aria-label="{escape(table.caption)}"><table>'
        f"<caption>{escape(table.caption)}</caption><thead><tr>{heads}</tr></thead><tbody>"
        f"{''.join(lines)}</tbody></table></div>"
    )


def _heading(column: str) -> str:
    words = column.replace("iou", "IoU").replace("_km2", " km²").replace("_m", " m").replace("_", " ")
    return HEADINGS.get(column, words)


ROUND = ("area_km2", "stage_m", "tolerance_m", "nominal", "lower", "upper", "from_m", "to_m")


def _text(cell: Cell, column: str) -> str:
    if isinstance(cell, str):
        return cell
    if column in ROUND:
        return short(cell)
    return number(cell) if column.startswith("power") else decimal(cell)
