"""A plain sheet, for class maps and images: verdict, tables, pictures and notes on one self-contained page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from terrafine.evaluation.report.svg import number, short
from terrafine.evaluation.report.tables import Table, to_csv, to_html

__all__ = ["Picture", "Section", "render_sheet", "sheet_texts"]


@dataclass(frozen=True)
class Picture:
    """A PNG data URI with its caption and its width over height on the ground."""

    uri: str
    caption: str
    aspect: str


@dataclass(frozen=True)
class Section:
    """A heading, a sentence under it, and what it shows; left out of the page where it shows nothing."""

    title: str
    lead: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)


def render_sheet(results: Mapping[str, Any], title: str, sections: Sequence[Section]) -> str:
    """The whole page as HTML text; it loads nothing from anywhere, and its policy forbids it to."""
    style = files("terrafine.evaluation.report").joinpath("page.css").read_text(encoding="utf-8")
    body = "".join(_section(i, section) for i, section in enumerate(sections)) + _method(results)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)} · Terrafine evaluation</title><style>{style}</style></head><body>"
        '<a class="skip" href="#main">Skip to the results</a>'
        f'<div class="sheet">{_header(results, title)}<main id="main">{body}</main>{_footer(results)}</div>'
        "</body></html>\n"
    )


def sheet_texts(results: Mapping[str, Any], title: str, sections: Sequence[Section]) -> dict[str, str]:
    """The report's files by name: index.html and a CSV for each table."""
    texts = {"index.html": render_sheet(results, title, sections)}
    return texts | {f"{t.name}.csv": to_csv(t) for section in sections for t in section.tables if t.rows}


def _header(results: Mapping[str, Any], title: str) -> str:
    reference = results["reference"]
    size = reference.get("pixel_size_m")
    facts = {
        "Candidates": ", ".join(c["name"] for c in results["candidates"]),
        "Reference": Path(reference.get("path", "reference")).name,
        "Points": number(reference["points"]) if "points" in reference else "",
        "Grid": f"{number(reference['width'])} × {number(reference['height'])}" if "width" in reference else "",
        "Pixel, x × y": " × ".join(short(side, 4) for side in size) + " m" if size else "",
        "CRS": reference.get("crs", ""),
    }
    cells = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items() if v)
    return (
        f'<header><div class="top"><h1>{escape(title)}</h1></div>'
        f'<p class="verdict">{escape(results["verdict"]["sentence"])}</p><dl class="titleblock">{cells}</dl></header>'
    )


def _section(i: int, section: Section) -> str:
    body = "".join(to_html(table) for table in section.tables if table.rows)
    if section.pictures:
        body += '<div class="plates">' + "".join(_figure(p) for p in section.pictures) + "</div>"
    if not body:
        return ""
    return (
        f'<section aria-labelledby="h-{i}"><h2 id="h-{i}">{escape(section.title)}</h2>'
        f'<p class="lead">{escape(section.lead)}</p>{body}</section>'
    )


def _figure(picture: Picture) -> str:
    return (
        f'<figure><div class="map"><div class="ground" style="aspect-ratio:{picture.aspect}">'
        f'<img alt="{escape(picture.caption)}" src="{picture.uri}"></div></div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _method(results: Mapping[str, Any]) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in results.get("notes") or [])
    body = f'<ul class="notes">{notes}</ul>' if notes else ""
    settings = (results.get("settings") or {}).items()
    rows = tuple((key.replace("_", " "), _plain(value)) for key, value in settings if value not in (None, [], {}))
    table = to_html(Table("settings", "Settings", ("what", "value"), rows))
    return (
        '<section aria-labelledby="h-method"><h2 id="h-method">How it was measured</h2>'
        f'<p class="lead">What shaped the numbers.</p>{body}{table}</section>'
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _footer(results: Mapping[str, Any]) -> str:
    return (
        f"<footer>Terrafine {escape(results.get('terrafine', ''))} · {escape(results['format'])}. Every number on this "
        "sheet comes from results.json beside it; the tables lie there as CSV.</footer>"
    )
