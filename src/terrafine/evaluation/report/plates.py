"""The maps of the page: each picture once, as a captioned plate; the swipe and profile drawers refer to them by id."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from terrafine.evaluation.nice import nice_length
from terrafine.evaluation.report.pictures import (
    Floats,
    error_limit,
    error_map,
    exaggeration_for,
    illumination,
    shade,
    stream_map,
)
from terrafine.evaluation.report.svg import number, short
from terrafine.evaluation.report.tables import display_name
from terrafine.evaluation.results import Window

__all__ = [
    "Plate",
    "aspect",
    "box_html",
    "index",
    "plate_html",
    "plates",
    "ramp",
    "ramp_html",
    "ramp_limit",
    "scale_bar",
    "width_m",
]


@dataclass(frozen=True)
class Plate:
    """One picture of a window.

    Attributes
    ----------
    key
        Its name in the window: "reference", "shade:NAME", "error:NAME" or "streams:NAME".
    id
        Unique id in the page.
    name, alt
        Caption and alternative text.
    uri
        PNG data URI.
    """

    key: str
    id: str
    name: str
    alt: str
    uri: str


def aspect(window: Window) -> str:
    """Return the CSS aspect ratio of a window on the ground, not in pixels.

    Parameters
    ----------
    window
        The window.

    Returns
    -------
    str
        Such as "4 / 3".
    """
    rows, cols = window.reference.shape
    return f"{cols * window.pixel_size_m[0]:.6g} / {rows * window.pixel_size_m[1]:.6g}"


def plates(window: Window, place: str) -> list[Plate]:
    """Draw all pictures of a window: reference, and hillshade, error and streams of each surface.

    Parameters
    ----------
    window
        The window.
    place
        Prefix of the ids.

    Returns
    -------
    list of Plate
        The pictures.
    """
    factor = exaggeration_for(window.reference, window.pixel_size_m)
    limit = error_limit(window)
    light = illumination(window.reference, window.pixel_size_m, factor)
    lit = "Hillshade, light from the north-west" + (f", heights × {factor:g}" if factor > 1 else "")
    found = [Plate("reference", f"{place}-ref", "Reference", f"{lit}: reference. {_relief(window)}", shade(light))]
    for i, (name, surface) in enumerate(window.surfaces.items()):
        shown = display_name(name)
        picture = shade(illumination(surface, window.pixel_size_m, factor))
        found.append(Plate(f"shade:{name}", f"{place}-s{i}", shown, f"{lit}: {shown}.", picture))
    for i, (name, surface) in enumerate(window.surfaces.items()):
        error = surface.astype(np.float64) - window.reference
        title = f"Error of {display_name(name)}"
        found.append(
            Plate(f"error:{name}", f"{place}-e{i}", title, f"{title}. {_spread(error)}", error_map(error, limit))
        )
    if "reference" in window.streams:
        for i, name in enumerate(name for name in window.streams if name != "reference"):
            title = f"Streams of {display_name(name)}"
            picture = stream_map(light, window.streams[name], window.streams["reference"])
            found.append(Plate(f"streams:{name}", f"{place}-w{i}", title, f"{title} against the reference's.", picture))
    return found


def _relief(window: Window) -> str:
    seen = window.reference[np.isfinite(window.reference)]
    if seen.size == 0:
        return "Nothing here was observed."
    return f"From {number(float(seen.min()), 4)} to {number(float(seen.max()), 4)} m."


def _spread(error: Floats) -> str:
    seen = error[np.isfinite(error)]
    if seen.size == 0:
        return "Nothing here was observed."
    low, high = np.percentile(seen, [5, 95])
    return f"Nine tenths of it lie between {number(float(low))} and {number(float(high))} m."


def scale_bar(width_m: float, key: str = "") -> str:
    """Return a scale bar of round length, at most a third of the width of a picture.

    Parameters
    ----------
    width_m
        Width of the picture in metres.
    key
        Unique id of the bar, or empty.

    Returns
    -------
    str
        HTML.
    """
    length = nice_length(width_m / 3)
    text = f"{short(length / 1000)} km" if length >= 1000 else f"{short(length)} m"
    name = f' id="{key}"' if key else ""
    wide = 100 * length / width_m
    return f'<span class="bar" style="width:calc({wide:.2f}% + 1rem)"{name}>{text}<i></i></span>'


def box_html(box: tuple[float, float, float, float] | None) -> str:
    """Return a frame over a picture.

    Parameters
    ----------
    box
        Left, top, right, bottom as shares of the picture, or None.

    Returns
    -------
    str
        HTML; empty for None.
    """
    if box is None:
        return ""
    left, top, right, bottom = (100 * side for side in box)
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    return f'<span class="box" style="{place}"></span>'


def plate_html(plate: Plate, window: Window, bar_key: str = "", over: str = "") -> str:
    """Return a figure with a picture and its caption.

    Parameters
    ----------
    plate
        The picture.
    window
        Its window.
    bar_key
        Unique id of its scale bar; empty for no bar.
    over
        HTML over the picture.

    Returns
    -------
    str
        HTML.
    """
    bar = scale_bar(width_m(window), bar_key) if bar_key else ""
    return (
        f'<figure><div class="map"><div class="ground" style="aspect-ratio:{aspect(window)}">'
        f'<img id="{plate.id}" alt="{escape(plate.alt)}" src="{plate.uri}">{over}{bar}</div></div>'
        f"<figcaption>{escape(plate.name)}</figcaption></figure>"
    )


def width_m(window: Window) -> float:
    """Return the width of a window on the ground.

    Parameters
    ----------
    window
        The window.

    Returns
    -------
    float
        Metres.
    """
    return float(window.reference.shape[1] * window.pixel_size_m[0])


def ramp_limit(window: Window) -> str:
    """Return the limit of the colours of the error maps as text.

    Parameters
    ----------
    window
        The window.

    Returns
    -------
    str
        Metres.
    """
    return short(error_limit(window))


def ramp_html(window: Window) -> str:
    """Return the legend of the error maps.

    Parameters
    ----------
    window
        The window.

    Returns
    -------
    str
        HTML.
    """
    limit = ramp_limit(window)
    return ramp(
        f"{limit} m too low", f"{limit} m too high", "Colours run from blue, too low, over white to red, too high"
    )


def ramp(low: str, high: str, label: str, kind: str = "") -> str:
    """Return a legend: a bar of colours between two texts.

    Parameters
    ----------
    low, high
        The texts.
    label
        Accessible name of the bar.
    kind
        "shades" for dark to light; otherwise blue to red.

    Returns
    -------
    str
        HTML.
    """
    return (
        f'<div class="ramp {kind}"><span>{escape(low)}</span><i role="img" aria-label="{escape(label)}"></i>'
        f"<span>{escape(high)}</span></div>"
    )


def index(found: list[Plate]) -> dict[str, Any]:
    """Return what the script of the page needs of pictures.

    Parameters
    ----------
    found
        The pictures.

    Returns
    -------
    dict
        Key to id, name and alternative text.
    """
    return {plate.key: {"id": plate.id, "name": plate.name, "alt": plate.alt} for plate in found}
