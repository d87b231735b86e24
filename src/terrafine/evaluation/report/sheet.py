"""A plain sheet, for class maps and images: verdict, tables, pictures and notes on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from terrafine.evaluation.report.document import document, header, method, section
from terrafine.evaluation.report.plates import scale_bar
from terrafine.evaluation.report.tables import Table, to_csv, to_html

__all__ = ["Picture", "Section", "render_sheet", "sheet_texts"]


@dataclass(frozen=True)
class Picture:
    """A PNG data URI with its caption, its width over height on the ground, and its width in metres."""

    uri: str
    caption: str
    aspect: str
    width_m: float = 0.0
    alt: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence under it, and what it shows; left out of the page where it shows nothing.

    `legend` is HTML under the pictures.
    """

    title: str
    lead: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)
    legend: str = ""


def render_sheet(results: Mapping[str, Any], title: str, sections: Sequence[Section]) -> str:
    """The whole page as HTML text, without a script."""
    body = [_section(str(i), content) for i, content in enumerate(sections)]
    return document(results, title, header(results, title), [*body, method(results, "Settings")])


def sheet_texts(results: Mapping[str, Any], title: str, sections: Sequence[Section]) -> dict[str, str]:
    """The report's files by name: index.html and a CSV for each table."""
    texts = {"index.html": render_sheet(results, title, sections)}
    return texts | {f"{t.name}.csv": to_csv(t) for content in sections for t in content.tables if t.rows}


def _section(key: str, content: Section) -> str:
    body = "".join(to_html(table) for table in content.tables if table.rows)
    if content.pictures:
        body += '<div class="plates">' + "".join(_figure(p) for p in content.pictures) + "</div>" + content.legend
    return section(key, content.title, content.lead, body)


def _figure(picture: Picture) -> str:
    bar = scale_bar(picture.width_m) if picture.width_m else ""
    return (
        f'<figure><div class="map"><div class="ground" style="aspect-ratio:{picture.aspect}">'
        f'<img alt="{escape(picture.alt or picture.caption)}" src="{picture.uri}">{bar}</div></div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )
