"""The maps of the report of elevation models: swipe, plates, and profiles along lines."""

from __future__ import annotations

from html import escape

from terrafine.evaluation.report import charts, plates
from terrafine.evaluation.report.document import section
from terrafine.evaluation.report.payload import LINES
from terrafine.evaluation.report.plates import Plate
from terrafine.evaluation.results import Figures, Results, Window

__all__ = ["maps", "profiles", "windows_of"]


def windows_of(figures: Figures | None) -> dict[str, Window]:
    """Return the windows of the pictures.

    Parameters
    ----------
    figures
        The pictures, or None.

    Returns
    -------
    dict
        `overview`, and `detail` if there is one.
    """
    if figures is None:
        return {}
    windows = {"overview": figures.overview}
    if figures.detail is not None:
        windows["detail"] = figures.detail
    return windows


def maps(results: Results, windows: dict[str, Window], found: dict[str, list[Plate]], figures: Figures | None) -> str:
    """Return the section of maps: two pictures under a movable seam, then every picture with its caption.

    Parameters
    ----------
    results
        The results.
    windows
        The windows by place.
    found
        The pictures of each window.
    figures
        The pictures as arrays, or None.

    Returns
    -------
    str
        HTML; empty without pictures.
    """
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
        f'<div class="map"><div class="ground" style="aspect-ratio:{plates.aspect(window)}">'
        '<img alt="" draggable="false"><img class="over" alt="" draggable="false">'
        '<span class="seam" role="slider" tabindex="0" '
        'aria-label="Seam between left and right picture" aria-valuemin="0" aria-valuemax="100" aria-valuenow="50">'
        '</span><span class="tag l"></span><span class="tag r"></span>'
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
        "Drag the seam to compare two surfaces; the arrow keys move it too. "
        "On the error maps blue ground is too low, red ground too high."
    )
    return section("maps", "What it looks like", lead, body)


def _error_figure(window: Window, found: list[Plate], name: str) -> str:
    plate = next((p for p in found if p.key == f"error:{name}"), None)
    if plate is None:
        return ""
    # The picture itself stands once on the page, among the plates; the script lends it here.
    return (
        f'<figure id="sw-error"><div class="map"><div class="ground" style="aspect-ratio:{plates.aspect(window)}">'
        f'<img data-key="{escape(plate.key)}" alt="{escape(plate.alt)}">{plates.scale_bar(plates.width_m(window))}'
        "</div></div>"
        f"<figcaption>{escape(plate.name)}</figcaption>{plates.ramp_html(window)}</figure>"
    )


def _best_baseline(window: Window) -> str | None:
    return next((name for name in ("back_projected", "bicubic") if name in window.surfaces), None)


def _option(value: str, text: str, chosen: bool) -> str:
    return f'<option value="{escape(value)}"{" selected" if chosen else ""}>{escape(text)}</option>'


def profiles(results: Results, windows: dict[str, Window]) -> str:
    """Return the section of profiles: a line on a map and the heights along it; two fixed lines without a script.

    Parameters
    ----------
    results
        The results.
    windows
        The windows by place.

    Returns
    -------
    str
        HTML; empty without windows.
    """
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
        f'<img alt="Hillshade of the reference with the picked line" draggable="false">'
        '<svg class="overlay" aria-hidden="true"><line/><line/><circle r="7"/><circle r="7"/></svg></div></div>'
        '<figure><svg id="pf-chart" viewBox="0 0 500 480" role="img" aria-labelledby="pf-title" class="chart">'
        f'<title id="pf-title">Profile</title><g></g></svg>{charts.key_line(names, look)}'
        '<figcaption id="pf-status" aria-live="polite"></figcaption></figure></div></div>'
    )
    key = charts.key_line(names, look)
    body = f'{live}<div class="nojs"><div class="two">{fixed}</div>{key}</div>'
    lead = "Choose a line, drag its ends or draw a new one on the map, or type its ends."
    return section("profiles", "Along a line", lead, body)
