"""The report of elevation models: sections from top to bottom, each left out where its numbers are absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from importlib.resources import files
from typing import Any

from terrafine.evaluation.report import charts, plates
from terrafine.evaluation.report.payload import LINES, payload
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

Chart = Callable[[Results], tuple[str, list[str]]]


def texts(results: Results, figures: Figures | None) -> dict[str, str]:
    """The files of the report by name: index.html and a CSV for each table."""
    tables = all_tables(results)
    return {"index.html": _page(results, figures, tables)} | {f"{t.name}.csv": to_csv(t) for t in tables.values()}


def _page(results: Results, figures: Figures | None, tables: dict[str, Table]) -> str:
    """The whole page as HTML text; it loads nothing, and its content security policy forbids it to."""
    windows = _windows(figures)
    found = {place: plates.plates(window, place) for place, window in windows.items()}
    sections = [
        _summary(results, tables),
        _maps(results, windows, found, figures),
        _errors(results, tables),
        _detail(results, tables),
        _water(results, tables, windows, found),
        _profiles(results, windows, found),
        _trust(results, tables),
        _method(results),
    ]
    resources = files("terrafine.evaluation.report")
    style = resources.joinpath("page.css").read_text(encoding="utf-8")
    script = resources.joinpath("page.js").read_text(encoding="utf-8")
    title = f"{results['candidates'][0]['name']} against {_reference(results)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{escape(title)} · Terrafine evaluation</title><style>{style}</style></head><body>"
        '<a class="skip" href="#main">Skip to the results</a>'
        f'<div class="sheet">{_header(results)}<main id="main">{"".join(sections)}</main>{_footer(results)}</div>'
        f'<script type="application/json" id="data">{payload(results, windows, found)}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def _windows(figures: Figures | None) -> dict[str, Window]:
    if figures is None:
        return {}
    windows = {"overview": figures.overview}
    if figures.detail is not None:
        windows["detail"] = figures.detail
    return windows


def _reference(results: Results) -> str:
    return results["reference"].get("path", "reference").rsplit("/", 1)[-1]


def _header(results: Results) -> str:
    verdict = results["verdict"]
    better = verdict.get("better")
    kind, stamp = {
        True: ("better", "Better than interpolation"),
        False: ("worse", "Not better than interpolation"),
        None: ("open", "Not decided"),
    }[better]
    reference = results["reference"]
    size = reference.get("pixel_size_m")
    facts = {
        "Candidates": ", ".join(candidate["name"] for candidate in results["candidates"]),
        "Reference": _reference(results),
        "Grid": f"{number(reference.get('width'))} × {number(reference.get('height'))}",
        "Pixel, x × y": " × ".join(short(side, 4) for side in size) + " m" if size else "",
        "CRS": reference.get("crs", ""),
        "Heights above": reference.get("vertical_datum") or "datum not stated",
        "Pixels compared": number(results["candidates"][0]["elevation"]["n"]),
    }
    cells = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items() if v)
    return (
        f'<header><div class="top"><h1>Elevation model, evaluated against a reference</h1>'
        f'<span class="stamp {kind}">{stamp}</span></div>'
        f'<p class="verdict">{escape(verdict["sentence"])}</p><dl class="titleblock">{cells}</dl></header>'
    )


def _section(key: str, title: str, lead: str, body: str) -> str:
    if not body:
        return ""
    return (
        f'<section aria-labelledby="h-{key}"><h2 id="h-{key}">{escape(title)}</h2>'
        f'<p class="lead">{escape(lead)}</p>{body}</section>'
    )


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
    body = f'<figure class="wide">{chart}</figure>' if chart else ""
    body += to_html(tables["summary"], columns, best="rmse")
    verdicts = [
        f"<li><strong>{escape(c['name'])}</strong>: {escape(c['verdict']['sentence'])}</li>"
        for c in results["candidates"]
        if c.get("verdict") and len(results["candidates"]) > 1
    ]
    body += f'<h3>Each candidate</h3><ol class="notes">{"".join(verdicts)}</ol>' if verdicts else ""
    body += to_html(tables["gates"]) if "gates" in tables else ""
    lead = "Candidate minus reference, in metres. LE90 and LE95 are percentiles of the absolute error."
    return _section("summary", "How far off", lead, body)


def _best_baseline(window: Window) -> str | None:
    return next((name for name in ("back_projected", "bicubic") if name in window.surfaces), None)


def _option(value: str, text: str, chosen: bool) -> str:
    return f'<option value="{escape(value)}"{" selected" if chosen else ""}>{escape(text)}</option>'


def _maps(results: Results, windows: dict[str, Window], found: dict[str, list[Plate]], figures: Figures | None) -> str:
    if figures is None:
        return ""
    place = "detail" if "detail" in windows else "overview"
    window, first = windows[place], results["candidates"][0]["name"]
    baseline = _best_baseline(window)
    left = f"shade:{baseline}" if baseline else "reference"
    layers = [plate for plate in found[place] if plate.id.split("-")[1][0] != "w"]

    def choice(key: str, label: str, chosen: str) -> str:
        rows = "".join(_option(p.key, p.name, p.key == chosen) for p in layers)
        return f'<label>{label}<select id="{key}">{rows}</select></label>'

    places = "".join(_option(name, w.title, name == place) for name, w in windows.items())
    swipe = (
        '<div class="live"><div class="controls">'
        f'<label>Place<select id="sw-window">{places}</select></label>'
        f"{choice('sw-left', 'Left', left)}{choice('sw-right', 'Right', f'shade:{first}')}</div>"
        '<div class="two"><div class="swipe" id="swipe" role="group" aria-label="Swipe comparison">'
        f'<div class="map"><div class="ground" style="aspect-ratio:{plates.aspect(window)}"><img alt="">'
        '<img class="over" alt=""><span class="seam"></span><span class="tag l"></span><span class="tag r"></span>'
        '<span class="bar"></span></div></div>'
        '<input type="range" id="sw-at" min="0" max="100" step="1" value="50" '
        'aria-label="Position of the seam between left and right picture"></div>'
        f"{_error_figure(window, found[place], first)}</div></div>"
    )
    body = swipe
    for name, w in windows.items():
        shown = [plate for plate in found[name] if not plate.key.startswith("streams:")]
        box = plates.box_html(figures.detail_box if name == "overview" else None)
        grid = plates.plate_html(shown[0], w, f"bar-{name}", box)
        grid += "".join(plates.plate_html(plate, w) for plate in shown[1:])
        body += f'<h3>{escape(w.title)}</h3><div class="plates">{grid}</div>{plates.ramp_html(w)}'
    lead = (
        "Move the seam to compare two surfaces; the arrow keys move it too. "
        "On the error maps blue ground is too low, red ground too high."
    )
    return _section("maps", "What it looks like", lead, body)


def _error_figure(window: Window, found: list[Plate], name: str) -> str:
    plate = next((p for p in found if p.key == f"error:{name}"), None)
    if plate is None:
        return ""
    # The picture itself stands once on the page, among the plates; the script lends it here.
    return (
        f'<figure id="sw-error"><div class="map"><div class="ground" style="aspect-ratio:{plates.aspect(window)}">'
        f'<img data-key="{escape(plate.key)}" alt="{escape(plate.alt)}">{plates.scale_bar(window)}</div></div>'
        f"<figcaption>{escape(plate.name)}</figcaption>{plates.ramp_html(window)}</figure>"
    )


def _errors(results: Results, tables: dict[str, Table]) -> str:
    body = _two(
        _figure(charts.histogram_chart(results), results, "Distribution of errors; narrow and centred is good."),
        _figure(charts.by_slope_chart(results), results, "Error by slope: steep ground is always harder."),
    )
    body += "".join(_folded(tables, name) for name in tables if name not in _ELSEWHERE)
    return _section("errors", "Where the errors lie", "All errors are candidate minus reference.", body)


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
    return _section("detail", "How much detail is real", lead, body)


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
    return _section("water", "Where the water goes", lead, body)


def _profiles(results: Results, windows: dict[str, Window], found: dict[str, list[Plate]]) -> str:
    if not windows:
        return ""
    place = "detail" if "detail" in windows else "overview"
    window, look = windows[place], charts.styles(results)
    names = ["reference", *(name for name in window.surfaces if name in look)]
    fixed = "".join(
        f"<figure>{charts.profile_chart(results, window, line, f'c-profile-{i}')}"
        f"<figcaption>{escape(window.title)}, {escape(name)}</figcaption></figure>"
        for i, (name, line) in enumerate(LINES[:2])
    )
    places = "".join(_option(name, w.title, name == place) for name, w in windows.items())
    lines = "".join(_option(str(i), name, i == 0) for i, (name, _) in enumerate(LINES))
    fields = "".join(
        f'<input type="number" id="pf-{axis}{end}" min="0" max="100" step="0.5" '
        f'aria-label="{("start", "end")[end]}, {("from the west", "from the north")[axis == "y"]}, percent">'
        for end in (0, 1)
        for axis in ("x", "y")
    )
    live = (
        '<div class="live" id="pick"><div class="controls">'
        f'<label>Place<select id="pf-window">{places}</select></label>'
        f'<label>Line<select id="pf-line">{lines}<option value="own">drawn by hand</option></select></label>'
        f"<fieldset><legend>Ends, % from west and north</legend>{fields}</fieldset></div>"
        f'<div class="two pick"><div class="map"><div class="ground" style="aspect-ratio:{plates.aspect(window)}">'
        f'<img alt="Hillshade of the reference with the picked line"><svg class="overlay" aria-hidden="true">'
        '<line/><line/><circle r="7"/><circle r="7"/></svg></div></div>'
        '<figure><svg id="pf-chart" viewBox="0 0 500 480" role="img" aria-labelledby="pf-title" class="chart">'
        f'<title id="pf-title">Profile</title><g></g></svg>{charts.key_line(names, look)}'
        '<figcaption id="pf-status" aria-live="polite"></figcaption></figure></div></div>'
    )
    key = charts.key_line(names, look)
    body = f'{live}<div class="nojs"><div class="two">{fixed}</div>{key}</div>'
    lead = "Choose a line, drag its ends or draw a new one on the map, or type its ends."
    return _section("profiles", "Along a line", lead, body)


def _trust(results: Results, tables: dict[str, Table]) -> str:
    chart = _figure(
        charts.reliability_chart(results), results, "On the diagonal the stated σ is honest; below, too small."
    )
    table = "".join(to_html(tables[name]) for name in ("consistency", "uncertainty") if name in tables)
    table = f"<div>{table}{_folded(tables, 'reliability')}</div>" if table else ""
    lead = "Does the surface still average to its coarse input, and is its stated uncertainty honest?"
    return _section("trust", "Can it be trusted", lead, _two(chart, table))


def _method(results: Results) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in results.get("notes") or [])
    body = f'<ul class="notes">{notes}</ul>' if notes else ""
    rows = [("reference", results["reference"].get("path")), ("coarse", (results.get("coarse") or {}).get("path"))]
    rows += [(c["name"], c.get("path")) for c in results["candidates"]]
    rows += [(f"shift of {c['name']}", _shift(c["shift_m"])) for c in results["candidates"] if c.get("shift_m")]
    settings = (results.get("settings") or {}).items()
    rows += [(key.replace("_", " "), _plain(value)) for key, value in settings if value not in (None, [], {})]
    table = Table("settings", "Inputs and settings", ("what", "value"), tuple((k, v) for k, v in rows if v))
    return _section("method", "How it was measured", "What shaped the numbers.", body + to_html(table))


def _shift(shift: dict[str, float] | None) -> str:
    return ", ".join(f"{axis} {number(value)} m" for axis, value in (shift or {}).items())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _footer(results: Results) -> str:
    version = escape(results.get("terrafine", ""))
    return (
        f"<footer>Terrafine {version} · {escape(results['format'])}. Every number and chart on this sheet comes from "
        "results.json beside it; the tables lie there as CSV.</footer>"
    )
