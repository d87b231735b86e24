"""The pictures of the report from a compared group: its overview, and one window that is read again."""

from __future__ import annotations

import numpy as np

from terrafine.evaluation.elevation.group import Group
from terrafine.evaluation.overview import pooled
from terrafine.evaluation.results import Figures, Window

__all__ = ["draw"]

_DETAIL = 224  # cells along the side of the detail


def draw(group: Group) -> Figures | None:
    """Return the pictures of a compared group.

    Reads one window of 224 × 224 cells; everything else was kept while the blocks streamed by.

    Parameters
    ----------
    group
        A group that has run.

    Returns
    -------
    Figures or None
        None if no overview was gathered or one of its sides has fewer than three cells.
    """
    view = group.overview
    if view is None or min(view.shape) < 3:
        return None
    names = ["reference", *(surface.name for surface in group.surfaces)]
    drainage = group.drainage
    streams = {} if drainage is None else {name: pooled(mask, view) for name, mask in drainage.streams.items()}
    k = view.factor
    title = "Whole extent" if k == 1 else f"Whole extent, {k} × {k} pixels averaged into one"
    area = None if drainage is None else drainage.area_km2
    overview = _window(title, k, group.size, {name: view.mean(name) for name in names}, streams, area)
    where = view.liveliest("reference", _DETAIL)
    if where is None:
        return Figures(overview)
    rows, cols = where
    near = {} if drainage is None else {name: mask[rows, cols] for name, mask in drainage.streams.items()}
    found = group.shown(*group.read(rows, cols))
    detail = _window("Detail at full resolution", 1, group.size, found, near, area)
    return Figures(overview, detail, view.box(rows, cols))


def _window(
    title: str,
    factor: int,
    size: tuple[float, float],
    surfaces: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]],
    streams: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]],
    area_km2: float | None,
) -> Window:
    """`size` is metres (y, x) of a cell at full resolution; a window states (x, y)."""
    return Window(
        title=title,
        pixel_size_m=(size[1] * factor, size[0] * factor),
        reference=surfaces["reference"],
        surfaces={name: z for name, z in surfaces.items() if name != "reference"},
        streams=streams,
        streams_area_km2=area_km2,
    )
