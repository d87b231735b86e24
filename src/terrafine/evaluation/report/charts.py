"""The charts of the page, each from `results.json` alone (profiles: from the pictures' arrays)."""

from __future__ import annotations

import math
from html import escape
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terrafine.evaluation.report.svg import Plot, Scale, Style, number
from terrafine.evaluation.report.tables import BASELINES, display_name, scored
from terrafine.evaluation.results import Results, Window

__all__ = [
    "by_slope_chart",
    "coherence_chart",
    "histogram_chart",
    "key_line",
    "power_chart",
    "profile_chart",
    "ranking_chart",
    "reliability_chart",
    "sample_line",
    "styles",
]

COLOURS = ("#9a4210", "#1d5f38", "#6b2f86", "#0b5c8a", "#7a6200", "#a01650")
BASELINE_STYLES = {"back_projected": Style("#3d4a47", "7 3"), "bicubic": Style("#6a7673", "2 3")}
REFERENCE_STYLE = Style("#14201e", width=2.4)


def styles(results: Results) -> dict[str, Style]:
    """One style for each surface, the same all over the page; a second round of colours is dashed."""
    found = {"reference": REFERENCE_STYLE}
    names = [candidate["name"] for candidate in results["candidates"]]
    for i, (name, colour) in enumerate(zip(names, cycle(COLOURS), strict=False)):
        found[name] = Style(colour, "" if i < len(COLOURS) else "9 2 2 2", 2.2)
    return {**found, **{name: BASELINE_STYLES[name] for name in BASELINES}}


def key_line(names: list[str], look: dict[str, Style]) -> str:
    """The legend of a chart, as a list with drawn samples."""
    items = "".join(
        f'<li><svg viewBox="0 0 30 8" class="sample" aria-hidden="true"><line x1="1" x2="29" y1="4" y2="4" '
        f'stroke="{look[name].colour}" stroke-width="{look[name].width}" stroke-dasharray="{look[name].dash}"/></svg>'
        f"{escape(display_name(name))}</li>"
        for name in names
    )
    return f'<ul class="key">{items}</ul>'


def _values(results: Results, *path: str) -> list[tuple[str, Any]]:
    found = []
    for name, scores in scored(results):
        value: Any = scores
        for key in path:
            value = (value or {}).get(key)
        if value:
            found.append((name, value))
    return found


def ranking_chart(results: Results) -> str:
    """RMSE of each surface with its 95 % interval, best first."""
    rows = [(name, scores["elevation"]) for name, scores in scored(results)]
    known = [(name, e, float(e["rmse"] or 0)) for name, e in rows if e.get("rmse") is not None]
    if not known:
        return ""
    known.sort(key=lambda row: row[2])
    tops = [max([rmse, *(e.get("intervals") or {}).get("rmse", [])]) for _, e, rmse in known]
    look = styles(results)
    names = [display_name(name) for name, _, _ in known]
    widest = max(len(name) for name in names)
    plot = Plot(
        Scale(0, max(tops) * 1.16 or 1.0),
        Scale(-0.5, len(known) - 0.5, reverse=True),
        "RMSE of elevation, metres (bars: 95 % interval)",
        "",
        width=960,
        height=60 + 28 * len(known),
        left=min(24 + 7 * widest, 240),
        y_names=names,
    )
    for row, (name, elevation, rmse) in enumerate(known):
        plot.range_mark(row, rmse, (elevation.get("intervals") or {}).get("rmse"), look[name])
    spoken = "; ".join(f"{display_name(name)} {number(rmse)} m" for name, _, rmse in known)
    return plot.render(f"RMSE of elevation, best first: {spoken}", "c-ranking")


def histogram_chart(results: Results) -> tuple[str, list[str]]:
    """Distribution of errors as density in percent per metre, and the surfaces shown."""
    found = _values(results, "elevation", "histogram")
    if not found:
        return "", []
    limits = [abs(edge) for _, h in found for edge in (h["edges_m"][0], h["edges_m"][-1])]
    reach = max(limits)
    curves = []
    for name, histogram in found:
        edges = np.asarray(histogram["edges_m"], dtype=float)
        total = sum(histogram["counts"]) + histogram.get("below", 0) + histogram.get("above", 0)
        density = 100 * np.asarray(histogram["counts"]) / max(total, 1) / np.diff(edges)
        curves.append((name, edges.tolist(), density.tolist()))
    top = max(max(density, default=0) for _, _, density in curves) * 1.08 or 1.0
    plot = Plot(Scale(-reach, reach), Scale(0, top), "error, metres (candidate − reference)", "% of pixels per metre")
    plot.rule(x=0)
    look = styles(results)
    for name, edges, density in reversed(curves):
        plot.steps(edges, density, look[name])
    spoken = "; ".join(
        f"{display_name(n)}: median {number(e.get('median'))} m, NMAD {number(e.get('nmad'))} m"
        for n, e in ((n, s["elevation"]) for n, s in scored(results))
    )
    return plot.render(f"Distribution of elevation errors. {spoken}", "c-histogram"), [n for n, _, _ in curves]


def by_slope_chart(results: Results) -> tuple[str, list[str]]:
    """RMSE by slope class of the reference."""
    found = _values(results, "by_slope")
    if not found:
        return "", []
    labels = [row["label"] for row in found[0][1]]
    curves = []
    for name, rows in found:
        by_label = {row["label"]: row.get("rmse") for row in rows}
        curves.append((name, [by_label.get(label) for label in labels]))
    top = max((v for _, values in curves for v in values if v is not None), default=1.0) * 1.08 or 1.0
    plot = Plot(Scale(-0.4, len(labels) - 0.6), Scale(0, top), "slope of the reference", "RMSE, metres", x_names=labels)
    look = styles(results)
    for name, values in reversed(curves):
        plot.line(list(range(len(labels))), values, look[name], dots=True)
    return plot.render("RMSE of elevation by slope of the reference; numbers in the table", "c-slope"), [
        n for n, _ in curves
    ]


def _wavelengths(found: list[tuple[str, Any]]) -> Scale:
    every = [w for _, spectrum in found for w in spectrum["wavelength_m"]]
    return Scale(min(every), max(*every, min(every) * 1.01), log=True, reverse=True)


def coherence_chart(results: Results) -> tuple[str, list[str]]:
    """Coherence with the reference by wavelength, with the 0.5 line that defines effective resolution."""
    found = [(n, s) for n, s in _values(results, "spectrum") if s.get("coherence") and len(s["wavelength_m"]) > 1]
    if not found:
        return "", []
    plot = Plot(_wavelengths(found), Scale(0, 1), "wavelength, metres (finer to the right)", "coherence with reference")
    plot.rule(y=0.5, label="0.5: effective resolution")
    look = styles(results)
    for name, spectrum in reversed(found):
        plot.line(spectrum["wavelength_m"], spectrum["coherence"], look[name])
    spoken = "; ".join(f"{display_name(n)} {number(s.get('effective_resolution_m'))} m" for n, s in found)
    return plot.render(f"Coherence by wavelength. Effective resolution: {spoken}", "c-coherence"), [n for n, _ in found]


def power_chart(results: Results) -> tuple[str, list[str]]:
    """Power relative to the reference by wavelength: below 1 detail is missing, above 1 there is too much."""
    found = [(n, s) for n, s in _values(results, "spectrum") if s.get("ratio") and len(s["wavelength_m"]) > 1]
    if not found:
        return "", []
    most = max(v for _, s in found for v in s["ratio"] if v is not None)
    plot = Plot(
        _wavelengths(found),
        Scale(0, min(max(most, 1.2) * 1.05, 3.0)),
        "wavelength, metres (finer to the right)",
        "power ÷ reference's power",
    )
    plot.rule(y=1.0, label="1: as much detail as the reference")
    look = styles(results)
    for name, spectrum in reversed(found):
        plot.line(spectrum["wavelength_m"], spectrum["ratio"], look[name])
    return plot.render("Power relative to the reference by wavelength; numbers in spectrum.csv", "c-power"), [
        n for n, _ in found
    ]


def reliability_chart(results: Results) -> tuple[str, list[str]]:
    """How often the reference fell inside the stated interval, against how often it should."""
    found = _values(results, "uncertainty", "reliability")
    if not found:
        return "", []
    plot = Plot(Scale(0, 1), Scale(0, 1), "stated probability", "observed share", width=400, height=400)
    plot.line([0, 1], [0, 1], Style("#55605c", "2 3", 1.2))
    look = styles(results)
    for name, rows in found:
        plot.line([r["nominal"] for r in rows], [r["observed"] for r in rows], look[name], dots=True)
    return plot.render("Reliability of the stated uncertainty; on the diagonal it is honest", "c-reliability"), [
        n for n, _ in found
    ]


def sample_line(
    elevation: NDArray[np.floating[Any]], line: tuple[float, float, float, float], count: int = 256
) -> NDArray[np.float64]:
    """Elevations at `count` points of a line (x0, y0, x1, y1) in shares of the picture, bilinear; NaN near nodata."""
    rows, cols = elevation.shape
    x = np.linspace(line[0], line[2], count) * cols - 0.5
    y = np.linspace(line[1], line[3], count) * rows - 0.5
    where = np.stack([np.clip(y, 0, rows - 1), np.clip(x, 0, cols - 1)])
    return np.asarray(ndimage.map_coordinates(elevation.astype(np.float64), where, order=1), dtype=np.float64)


def line_length_m(window: Window, line: tuple[float, float, float, float]) -> float:
    """Ground length of a line given in shares of the picture."""
    rows, cols = window.reference.shape
    return math.hypot(
        (line[2] - line[0]) * cols * window.pixel_size_m[0], (line[3] - line[1]) * rows * window.pixel_size_m[1]
    )


def profile_chart(results: Results, window: Window, line: tuple[float, float, float, float], key: str) -> str:
    """Heights of all surfaces along one line of a window."""
    look = styles(results)
    length = line_length_m(window, line)
    distance = np.linspace(0, length, 256)
    curves = {name: sample_line(surface, line) for name, surface in window.surfaces.items() if name in look}
    curves["reference"] = sample_line(window.reference, line)
    seen = np.concatenate(list(curves.values()))
    seen = seen[np.isfinite(seen)]
    if seen.size == 0 or length <= 0:
        return ""
    low, high = float(seen.min()), float(seen.max())
    margin = max((high - low) * 0.06, 0.05)
    plot = Plot(
        Scale(0, length), Scale(low - margin, high + margin), "distance along the line, metres", "elevation, metres"
    )
    truth = curves.pop("reference")
    plot.line(distance.tolist(), truth.tolist(), look["reference"])
    errors = {name: curve - truth for name, curve in curves.items()}
    reach = max((float(np.nanmax(np.abs(e))) for e in errors.values() if np.isfinite(e).any()), default=0.0) or 1.0
    below = Plot(Scale(0, length), Scale(-reach, reach), "distance along the line, metres", "error, metres", height=190)
    below.rule(y=0)
    for name, curve in curves.items():
        plot.line(distance.tolist(), curve.tolist(), look[name])
        below.line(distance.tolist(), errors[name].tolist(), look[name])
    title = f"Profile of {number(length)} m, from {number(low, 5)} to {number(high, 5)} m high"
    return plot.render(title, key) + below.render(f"Error along it, at most {number(reach)} m", f"{key}-error")
