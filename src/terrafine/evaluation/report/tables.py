"""Every table of an evaluation, once as rows: written as CSV, and shown as HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, cast

from terrafine.evaluation.report.svg import number, short
from terrafine.evaluation.results import Results, Scores, Stratum

__all__ = ["Table", "all_tables", "display_name", "scored", "to_csv", "to_html"]

Cell = str | float | int | None

NAMES = {"bicubic": "Bicubic", "back_projected": "Back-projected bicubic", "reference": "Reference"}
BASELINES = ("back_projected", "bicubic")


@dataclass(frozen=True)
class Table:
    """Named columns and rows of plain cells; `name` is the CSV's file name without its ending."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def display_name(name: str) -> str:
    """The name of a surface as the page writes it."""
    return NAMES.get(name, name)


def scored(results: Results) -> Iterator[tuple[str, Scores]]:
    """Candidates in their order, then the baselines, by name."""
    for candidate in results["candidates"]:
        yield candidate["name"], candidate
    baselines = cast(dict[str, Scores], results.get("baselines") or {})
    for name in BASELINES:
        if name in baselines:
            yield name, baselines[name]


SUMMARY = ("n", "rmse", "mae", "bias", "median", "nmad", "sd", "le90", "le95", "psnr")


def _summary(results: Results) -> Table:
    rows = []
    for name, scores in scored(results):
        elevation = cast(dict[str, Any], scores["elevation"])
        interval = (elevation.get("intervals") or {}).get("rmse") or (None, None)
        rows.append((name, *(elevation.get(key) for key in SUMMARY), *interval))
    columns = ("surface", *SUMMARY, "rmse_lower", "rmse_upper")
    return Table("summary", "Elevation error, metres (psnr in dB)", columns, tuple(rows))


def _strata(results: Results, key: str, name: str, caption: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for surface, scores in scored(results):
        for stratum in cast(list[Stratum], scores.get(key) or []):
            values = cast(dict[str, Any], stratum)
            rows.append((surface, *(values.get(column) for column in STRATUM)))
    return Table(name, caption, ("surface", *STRATUM), tuple(rows))


STRATUM = ("label", "lower", "upper", "n", "bias", "mae", "rmse", "nmad", "le90")


def _histogram(results: Results) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        histogram = scores["elevation"].get("histogram")
        if histogram:
            edges = histogram["edges_m"]
            rows += [(name, edges[i], edges[i + 1], count) for i, count in enumerate(histogram["counts"])]
    return Table("histogram", "Errors, pixels in each class", ("surface", "from_m", "to_m", "pixels"), tuple(rows))


def _terrain(results: Results) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        for measure, values in ((scores.get("terrain") or {}).get("measures") or {}).items():
            rows.append((name, measure, values.get("unit"), values.get("rmse"), values.get("bias"), values.get("fuv")))
    columns = ("surface", "measure", "unit", "rmse", "bias", "fuv")
    return Table("terrain", "Derived surfaces (fuv: fraction of unexplained variance)", columns, tuple(rows))


def _spectrum(results: Results) -> Table:
    keys = ("wavelength_m", "power_reference", "power_candidate", "ratio", "coherence")
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        spectrum = cast(dict[str, Any], scores.get("spectrum") or {})
        count = len(spectrum.get("wavelength_m") or [])
        series = [spectrum.get(key) or [None] * count for key in keys]
        rows += [(name, *values) for values in zip(*series, strict=True)]
    return Table("spectrum", "Radially averaged spectra", ("surface", *keys), tuple(rows))


def _second(row: tuple[Cell, ...]) -> float:
    return row[1] if isinstance(row[1], (int, float)) else 0.0


def _streams(results: Results) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        for stream in (scores.get("hydrology") or {}).get("streams") or []:
            scale = stream.get("area_km2")
            by_tolerance = {row.get("tolerance_cells"): row.get("f1") for row in stream.get("overlap") or []}
            density = [stream.get(f"{side}_density_km_per_km2") for side in ("candidate", "reference")]
            offset = (stream.get("offset_mean_m"), stream.get("offset_hd95_m"))
            rows.append((name, scale, *(by_tolerance.get(t) for t in (0, 1, 2)), *offset, *density))
    rows.sort(key=_second)
    columns = ("surface", "area_km2", "f1_0", "f1_1", "f1_2", "offset_m", "hd95_m", "density", "density_reference")
    caption = "Streams by contributing area: F1 at 0, 1 and 2 cells of tolerance, offsets in metres, density in km/km²"
    return Table("streams", caption, columns, tuple(rows))


def _water(results: Results) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        water = scores.get("hydrology") or {}
        if not water:
            continue
        sinks = water.get("sinks") or {}
        rows += [
            (name, "D8 directions that agree", (water.get("d8") or {}).get("agreement"), "share"),
            (name, "D8 directions within 45°", (water.get("d8") or {}).get("within_45"), "share"),
            (name, "sinks", (sinks.get("candidate") or {}).get("count"), "count"),
            (name, "sinks in the reference", (sinks.get("reference") or {}).get("count"), "count"),
            (name, "volume of sinks", (sinks.get("candidate") or {}).get("volume_m3"), "m³"),
            (name, "volume of the reference's sinks", (sinks.get("reference") or {}).get("volume_m3"), "m³"),
            (name, "overlap of the largest watersheds", (water.get("watersheds") or {}).get("iou_mean"), "IoU"),
            (name, "height above nearest drainage, RMSE", (water.get("hand") or {}).get("rmse"), "m"),
        ]
    return Table("hydrology", "Drainage as a whole", ("surface", "measure", "value", "unit"), tuple(rows))


def _flood(results: Results) -> Table:
    keys = ("stage_m", "candidate_km2", "reference_km2", "csi", "hit_rate", "false_alarm", "depth_bias", "depth_rmse")
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        floods = (scores.get("hydrology") or {}).get("flood") or []
        rows += [(name, *(flood.get(key) for key in keys)) for flood in floods]
    rows.sort(key=_second)
    return Table("flood", "A flood of given stage above the streams", ("surface", *keys), tuple(rows))


CONSISTENCY = ("n", "bias", "rmse", "max_abs", "within", "tolerance_m")
UNCERTAINTY = ("n", "mean_sigma", "coverage_68", "coverage_90")


def _part(results: Results, part: str, keys: tuple[str, ...], caption: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        values = cast(dict[str, Any], scores.get(part) or {})
        if values:
            rows.append((name, *(values.get(key) for key in keys)))
    return Table(part, caption, ("surface", *keys), tuple(rows))


def _reliability(results: Results) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in scored(results):
        found = (scores.get("uncertainty") or {}).get("reliability") or []
        rows += [(name, row["nominal"], row["observed"]) for row in found]
    caption = "Share of the reference inside the central interval of stated probability"
    return Table("reliability", caption, ("surface", "nominal", "observed"), tuple(rows))


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
    """The tables that have rows, by name."""
    tables = (
        _summary(results),
        _strata(results, "by_slope", "by_slope", "Error by slope of the reference, metres; bounds in degrees"),
        _strata(results, "by_elevation", "by_elevation", "Error by elevation of the reference, metres"),
        _strata(results, "by_class", "by_class", "Error by class, metres"),
        _histogram(results),
        _terrain(results),
        _spectrum(results),
        _streams(results),
        _water(results),
        _flood(results),
        _part(results, "consistency", CONSISTENCY, "Block means minus the coarse input, metres"),
        _part(results, "uncertainty", UNCERTAINTY, "The stated σ, and how often the reference fell inside it"),
        _reliability(results),
        _gates(results),
    )
    return {table.name: table for table in tables if table.rows}


def to_csv(table: Table) -> str:
    """RFC 4180 text with a header row; undefined cells are empty."""
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
    **{key: key.upper() for key in ("mae", "rmse", "nmad", "sd", "le90", "le95")},
}


def to_html(table: Table, columns: Sequence[str] = (), best: str = "") -> str:
    """An accessible table: caption, column and row headers; `best` names a column whose least value is marked."""
    shown = [table.columns.index(name) for name in (columns or table.columns)]
    heads = "".join(f'<th scope="col">{escape(_heading(table.columns[i]))}</th>' for i in shown)
    column = table.columns.index(best) if best else -1
    known = [cell for row in table.rows if best and isinstance(cell := row[column], float)]
    least = min(known, default=None)
    lines = []
    for row in table.rows:
        cells = []
        for place, i in enumerate(shown):
            text = display_name(cast(str, row[i])) if i == 0 else _text(row[i], table.columns[i])
            if place == 0:
                cells.append(f'<th scope="row">{escape(text)}</th>')
            elif i == column and row[i] == least:
                cells.append(f"<td><strong>{escape(text)}</strong></td>")
            else:
                kind = "" if isinstance(row[i], str) else ' class="n"'
                cells.append(f"<td{kind}>{escape(text)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.caption)}"><table>'
        f"<caption>{escape(table.caption)}</caption><thead><tr>{heads}</tr></thead><tbody>"
        f"{''.join(lines)}</tbody></table></div>"
    )


def _heading(column: str) -> str:
    return HEADINGS.get(column, column.replace("_km2", " km²").replace("_m", " m").replace("_", " "))


ROUND = ("area_km2", "stage_m", "tolerance_m", "nominal", "lower", "upper", "from_m", "to_m")


def _text(cell: Cell, column: str) -> str:
    if isinstance(cell, str):
        return cell
    return short(cell) if column in ROUND else number(cell)
