"""The report of elevation models: sections from top to bottom, each left out where its numbers are absent."""

from __future__ import annotations

from html import escape
from typing import Any

from terrafine.evaluation.report import charts, maps, plates
from terrafine.evaluation.report.document import document, header, method, scroll_box, section
from terrafine.evaluation.report.payload import payload
from terrafine.evaluation.report.plates import Plate
from terrafine.evaluation.report.svg import number, short
from terrafine.evaluation.report.tables import Table, all_tables, display_name, scored, to_csv, to_html
from terrafine.evaluation.results import Figures, Results, Spectrum, Window

__all__ = ["texts"]

_ELSEWHERE = {"summary", "gates", "histogram", "spectrum", "streams", "flood", "hydrology"} | {
    "consistency",
    "uncertainty",
    "reliability",
}
"""Tables with a place of their own; those of all other metrics stand under the charts of errors."""


def texts(results: Results, figures: Figures | None) -> dict[str, str]:
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
    tables = all_tables(results)
    return {"index.html": _page(results, figures, tables)} | {f"{t.name}.csv": to_csv(t) for t in tables.values()}


def _page(results: Results, figures: Figures | None, tables: dict[str, Table]) -> str:
    """The whole page as HTML text; it loads nothing, and its content security policy forbids it to."""
    windows = maps.windows_of(figures)
    found = {place: plates.plates(window, place) for place, window in windows.items()}
    sections = [
        _summary(results, tables),
        maps.maps(results, windows, found, figures),
        _errors(results, tables),
        _detail(results, tables),
        _water(results, tables, windows, found),
        maps.profiles(results, windows),
        _trust(results, tables),
        _method(results),
    ]
    title = f"{results['candidates'][0]['name']} against {_reference(results)}"
    return document(results, title, _header(results), sections, payload(results, windows, found))


def _reference(results: Results) -> str:
    return results["reference"].get("path", "reference").rsplit("/", 1)[-1]


def _header(results: Results) -> str:
    stamp = {True: "better", False: "worse", None: "open"}[results["verdict"].get("better")]
    more = {
        "Heights above": results["reference"].get("vertical_datum") or "datum not stated",
        "Pixels compared": number(results["candidates"][0]["elevation"]["n"]),
    }
    return header(results, "Elevation model, evaluated against a reference", stamp, more)


def _figure(drawn: tuple[str, list[str]], results: Results, caption: str) -> str:
    svg, names = drawn
    if not svg:
        return ""
    key = charts.key_line(names, charts.styles(results))
    return f"<figure>{svg}{key}<figcaption>{escape(caption)}</figcaption></figure>"


def _folded(tables: dict[str, Table], name: str) -> str:
    if name not in tables:
        return ""
    return f"<details><summary>Numbers: {escape(name.replace('_', ' '))}</summary>{to_html(tables[name])}</details>"


def _two(*parts: str) -> str:
    shown = [part for part in parts if part]
    return f'<div class="two">{"".join(shown)}</div>' if shown else ""


def _summary(results: Results, tables: dict[str, Table]) -> str:
    chart = charts.ranking_chart(results)
    columns = ("surface", "rmse", "mae", "bias", "nmad", "sd", "le90", "le95", "psnr", "n")
    body = f"<figure>{scroll_box(chart, 'RMSE of each surface')}</figure>" if chart else ""
    body += to_html(tables["summary"], columns, best="rmse")
    verdicts = [
        f"<li><strong>{escape(c['name'])}</strong>: {escape(c['verdict']['sentence'])}</li>"
        for c in results["candidates"]
        if c.get("verdict") and len(results["candidates"]) > 1
    ]
    body += f'<h3>Each candidate</h3><ol class="notes">{"".join(verdicts)}</ol>' if verdicts else ""
    body += to_html(tables["gates"]) if "gates" in tables else ""
    lead = "Candidate minus reference, in metres. LE90 and LE95 are percentiles of the absolute error."
    return section("summary", "How far off", lead, body)


def _errors(results: Results, tables: dict[str, Table]) -> str:
    body = _two(
        _figure(charts.histogram_chart(results), results, "Distribution of errors; narrow and centred is good."),
        _figure(charts.by_slope_chart(results), results, "Error by slope: steep ground is always harder."),
    )
    body += "".join(_folded(tables, name) for name in tables if name not in _ELSEWHERE)
    return section("errors", "Where the errors lie", "All errors are candidate minus reference.", body)


def _detail(results: Results, tables: dict[str, Table]) -> str:
    body = _two(
        _figure(
            charts.coherence_chart(results), results, "Coherence: 1 where shapes of that size are true, 0 invented."
        ),
        _figure(charts.power_chart(results), results, "Power: below 1 the surface is too smooth, above 1 too rough."),
    )
    found = [(name, s["spectrum"]) for name, s in _scored_spectra(results)]
    lines = "".join(f"<li><strong>{escape(display_name(name))}</strong>: {_resolution(s)}</li>" for name, s in found)
    body += f'<ul class="notes">{lines}</ul>' if lines and body else ""
    body += _folded(tables, "spectrum") if body else ""
    lead = "A fine grid is not fine detail. This shows down to which size shapes agree with the reference."
    return section("detail", "How much detail is real", lead, body)


def _resolution(spectrum: Spectrum) -> str:
    wavelength, invented = spectrum.get("effective_resolution_m"), spectrum.get("invented_fraction")
    if wavelength is None:
        return f"true down to the finest wavelength measured, {number(min(spectrum['wavelength_m']))} m"
    text = f"effective resolution {number(wavelength)} m"
    return text if invented is None else f"{text}; {100 * invented:.0f} % of what is finer is not in the reference"


def _scored_spectra(results: Results) -> list[tuple[str, Any]]:
    return [(name, scores) for name, scores in scored(results) if scores.get("spectrum")]


def _water(
    results: Results, tables: dict[str, Table], windows: dict[str, Window], found: dict[str, list[Plate]]
) -> str:
    body = ""
    for place, window in windows.items():
        shown = [plate for plate in found[place] if plate.key.startswith("streams:")]
        if shown:
            grid = "".join(plates.plate_html(plate, window) for plate in shown)
            area = f", from {short(window.streams_area_km2)} km² of catchment" if window.streams_area_km2 else ""
            body += f"<h3>{escape(window.title)}{area}</h3>" + f'<div class="plates">{grid}</div>'
    if body:
        body += (
            '<ul class="key"><li><span class="swatch" style="background:#0a225c"></span>in both, within a cell</li>'
            '<li><span class="swatch" style="background:#007cbe"></span>in the reference alone</li>'
            '<li><span class="swatch" style="background:#d64a0c"></span>in the candidate alone</li></ul>'
        )
    body += "".join(to_html(tables[name]) for name in ("streams", "flood") if name in tables)
    body += _folded(tables, "hydrology")
    lead = "Streams, watersheds and a simple flood, derived from each surface in the same way and then compared."
    return section("water", "Where the water goes", lead, body)


def _trust(results: Results, tables: dict[str, Table]) -> str:
    chart = _figure(
        charts.reliability_chart(results), results, "On the diagonal the stated σ is honest; below, too small."
    )
    table = "".join(to_html(tables[name]) for name in ("consistency", "uncertainty") if name in tables)
    table = f"<div>{table}{_folded(tables, 'reliability')}</div>" if table else ""
    lead = "Does the surface still average to its coarse input, and is its stated uncertainty honest?"
    return section("trust", "Can it be trusted", lead, _two(chart, table))


def _method(results: Results) -> str:
    inputs = [("reference", results["reference"].get("path")), ("coarse", (results.get("coarse") or {}).get("path"))]
    inputs += [(c["name"], c.get("path")) for c in results["candidates"]]
    inputs += [(f"shift of {c['name']}", _shift(c["shift_m"])) for c in results["candidates"] if c.get("shift_m")]
    return method(results, "Inputs and settings", inputs)


def _shift(shift: dict[str, float] | None) -> str:
    return ", ".join(f"{axis} {number(value)} m" for axis, value in (shift or {}).items())
