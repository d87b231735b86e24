"""A plain page for class maps and images: verdict, tables, pictures and notes on one self-contained sheet."""

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
    """A picture with its caption.

    Attributes
    ----------
    uri
        PNG data URI.
    caption, alt
        Caption and alternative text.
    aspect
        CSS aspect ratio on the ground.
    width_m
        Width in metres; 0 for no scale bar.
    """

    uri: str
    caption: str
    aspect: str
    width_m: float = 0.0
    alt: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence under it and its content; left out of the page if it has none.

    Attributes
    ----------
    title, lead
        The heading and the sentence.
    tables, pictures
        The content.
    legend
        HTML under the pictures.
    """

    title: str
    lead: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)
    legend: str = ""


def render_sheet(results: Mapping[str, Any], title: str, sections: Sequence[Section]) -> str:
    """Return the whole page as HTML, without a script.

    Parameters
    ----------
    results
        The results.
    title
        Title of the page.
    sections
        The sections.

    Returns
    -------
    str
        HTML.
    """
    body = [_section(str(i), content) for i, content in enumerate(sections)]
    return document(results, title, header(results, title), [*body, method(results, "Settings")])


def sheet_texts(results: Mapping[str, Any], title: str, sections: Sequence[Section]) -> dict[str, str]:
    """Return the files of the report.

    Parameters
    ----------
    results
        The results.
    title
        Title of the page.
    sections
        The sections.

    Returns
    -------
    dict
        File name to text: index.html and a CSV for each table.
    """
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
