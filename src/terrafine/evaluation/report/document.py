"""The page that all three reports share: head, header with verdict and facts, sections, method, footer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from terrafine.evaluation.metrics import Cell
from terrafine.evaluation.report.svg import number, short
from terrafine.evaluation.report.tables import Table, to_html

__all__ = ["document", "header", "method", "scroll_box", "section", "setting_rows"]

_STAMPS = {
    "better": "Better than interpolation",
    "worse": "Not better than interpolation",
    "open": "Not decided",
}
_BY_NAME = {"full_scale"}  # settings whose keys are names of candidates


def document(
    results: Mapping[str, Any], title: str, header_html: str, sections: Iterable[str], data: str | None = None
) -> str:
    """Return the whole page as HTML; it loads nothing, and its content security policy forbids loading.

    Parameters
    ----------
    results
        The results.
    title
        Title of the page.
    header_html
        The header.
    sections
        The sections as HTML.
    data
        JSON for the script of the page; without it the page has no script.

    Returns
    -------
    str
        HTML.
    """
    script = "" if data is None else f'<script type="application/json" id="data">{data}</script>{_script()}'
    allowed = "" if data is None else "; script-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'unsafe-inline'{allowed}\">"
        f"<title>{escape(title)} · Terrafine evaluation</title><style>{_resource('page.css')}</style></head><body>"
        '<a class="skip" href="#main">Skip to the results</a>'
        f'<div class="sheet">{header_html}<main id="main">{"".join(sections)}</main>{_footer(results)}</div>'
        f"{script}</body></html>\n"
    )


def _script() -> str:
    return "".join(f"<script>{_resource(name)}</script>" for name in ("swipe.js", "profiles.js"))


def _resource(name: str) -> str:
    return files("terrafine.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def header(results: Mapping[str, Any], heading: str, stamp: str = "", more: Mapping[str, str] | None = None) -> str:
    """Return the header of the page: heading, verdict and facts of the inputs.

    Parameters
    ----------
    results
        The results.
    heading
        The heading.
    stamp
        "better", "worse", "open" or empty.
    more
        Further facts by name.

    Returns
    -------
    str
        HTML.
    """
    reference = results["reference"]
    size = reference.get("pixel_size_m")
    facts = {
        "Candidates": ", ".join(c["name"] for c in results["candidates"]),
        "Reference": Path(reference.get("path", "reference")).name,
        "Points": number(reference["points"]) if "points" in reference else "",
        "Grid": f"{number(reference['width'])} × {number(reference['height'])}" if "width" in reference else "",
        "Pixel, x × y": " × ".join(short(side, 4) for side in size) + " m" if size else "",
        "CRS": reference.get("crs", ""),
        **(more or {}),
    }
    cells = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items() if v)
    mark = f'<span class="stamp {stamp}">{_STAMPS[stamp]}</span>' if stamp else ""
    return (
        f'<header><div class="top"><h1>{escape(heading)}</h1>{mark}</div>'
        f'<p class="verdict">{escape(results["verdict"]["sentence"])}</p><dl class="titleblock">{cells}</dl></header>'
    )


def section(key: str, title: str, lead: str, body: str) -> str:
    """Return a section with its heading and a sentence under it.

    Parameters
    ----------
    key
        Unique id of the section.
    title
        The heading.
    lead
        The sentence.
    body
        HTML of the content.

    Returns
    -------
    str
        HTML; empty if the body is.
    """
    if not body:
        return ""
    return (
        f'<section aria-labelledby="h-{key}"><h2 id="h-{key}">{escape(title)}</h2>'
        f'<p class="lead">{escape(lead)}</p>{body}</section>'
    )


def scroll_box(body: str, label: str) -> str:
    """Return a box that scrolls sideways by touch, wheel and keyboard if its content is wider than the page.

    Parameters
    ----------
    body
        HTML of the content.
    label
        Accessible name of the box.

    Returns
    -------
    str
        HTML.
    """
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{body}</div>'
        '<p class="hint">Scroll the chart sideways to see all of it.</p>'
    )


def method(results: Mapping[str, Any], caption: str, inputs: Sequence[tuple[str, str | None]] = ()) -> str:
    """Return the last section: notes, inputs and settings.

    Parameters
    ----------
    results
        The results.
    caption
        Caption of the table of settings.
    inputs
        Names of the inputs and their values.

    Returns
    -------
    str
        HTML.
    """
    notes = "".join(f"<li>{escape(note)}</li>" for note in results.get("notes") or [])
    body = f'<ul class="notes">{notes}</ul>' if notes else ""
    rows = [(name, value) for name, value in inputs if value] + setting_rows(results.get("settings") or {})
    table = Table("settings", caption, ("what", "value"), tuple(rows))
    return section("method", "How it was measured", "What shaped the numbers.", body + to_html(table))


def setting_rows(settings: Mapping[str, Any]) -> list[tuple[Cell, ...]]:
    """Return the rows of a table of settings: words for keys, and plain text for lists and nested values.

    Parameters
    ----------
    settings
        The settings of results.json.

    Returns
    -------
    list of tuple
        Name and value.
    """
    return [
        (_words(key.removesuffix("_m")) + (", metres" if key.endswith("_m") else ""), _plain(value, key in _BY_NAME))
        for key, value in settings.items()
        if value not in (None, [], {})
    ]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: Any, by_name: bool = False) -> str:
    """A setting as text: lists by commas, a class as "number = name", a mapping as "key value"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return short(value)
    if isinstance(value, Mapping):
        if set(value) == {"value", "name"}:
            number_, name = value["value"], value["name"]
            return name if name == str(number_) else f"{number_} = {name}"
        return ", ".join(f"{key if by_name else _words(str(key))} {_plain(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return "none" if value is None else str(value)


def _footer(results: Mapping[str, Any]) -> str:
    return (
        f"<footer>Terrafine {escape(results.get('terrafine', ''))} · {escape(results['format'])}. Every number and "
        "chart on this sheet comes from results.json beside it; the tables are there as CSV.</footer>"
    )
