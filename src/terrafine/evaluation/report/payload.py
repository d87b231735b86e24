"""Data for the script of the page: positions of pictures, lines to choose from, and packed heights for profiles."""

from __future__ import annotations

import json
from typing import Any

from terrafine.evaluation.report import charts, plates
from terrafine.evaluation.report.pictures import pack
from terrafine.evaluation.report.plates import Plate
from terrafine.evaluation.report.tables import display_name
from terrafine.evaluation.results import Results, Window

__all__ = ["LINES", "payload"]

LINES = (
    ("west to east, middle", (0.0, 0.5, 1.0, 0.5)),
    ("north to south, middle", (0.5, 0.0, 0.5, 1.0)),
    ("north-west to south-east", (0.0, 0.0, 1.0, 1.0)),
    ("south-west to north-east", (0.0, 1.0, 1.0, 0.0)),
    ("west to east, northern third", (0.0, 1 / 3, 1.0, 1 / 3)),
    ("west to east, southern third", (0.0, 2 / 3, 1.0, 2 / 3)),
)


def payload(results: Results, windows: dict[str, Window], found: dict[str, list[Plate]]) -> str:
    """Return JSON for a script element; it contains no `<`, so that it cannot end that element.

    Parameters
    ----------
    results
        The results.
    windows
        The windows by place.
    found
        The pictures of each window.

    Returns
    -------
    str
        JSON.
    """
    look = charts.styles(results)
    grids: dict[str, Any] = {}
    for place, window in windows.items():
        surfaces = {name: window.surfaces[name] for name in window.surfaces if name in look}
        grids[place] = [
            {
                "name": display_name(name),
                "style": [look[name].colour, look[name].dash, look[name].width],
                "pack": pack(surface),
            }
            for name, surface in {"reference": window.reference, **surfaces}.items()
        ]
    data = {
        "plates": {place: plates.index(rows) for place, rows in found.items()},
        "limit": {place: plates.ramp_limit(window) for place, window in windows.items()},
        "aspect": {place: plates.aspect(window) for place, window in windows.items()},
        "size": {
            place: [w.reference.shape[1] * w.pixel_size_m[0], w.reference.shape[0] * w.pixel_size_m[1]]
            for place, w in windows.items()
        },
        "lines": [{"name": name, "at": line} for name, line in LINES],
        "grids": grids,
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
