"""The grid on which a DEM is stored, from its items: heights are copied where the area has one such grid."""

from __future__ import annotations

import datetime as dt
from typing import Any

from terrafine.acquire.catalogue import Scene, find_scenes
from terrafine.acquire.options import FetchOptions
from terrafine.acquire.service import Collection, Service
from terrafine.raster.area import AreaOfInterest
from terrafine.raster.native_grid import native_grid

__all__ = ["stored_grid"]

_SAME = 1e-6  # of a cell, by which cell sizes and edges of two tiles may differ
_EDGE = 0.01  # of a cell


def stored_grid(
    service: Service,
    collection: Collection,
    area: AreaOfInterest,
    options: FetchOptions,
    dates: tuple[dt.date, dt.date] | None = None,
) -> Any | None:
    """Return the stored grid of a DEM over an area.

    Parameters
    ----------
    service, collection, area, options, dates
        As in `find_scenes`.

    Returns
    -------
    GeoBox or None
        None where the items state no grid, or not one and the same: tiles of GLO-30 are wider in longitude north of
        50 degrees.

    Raises
    ------
    NetworkError, EmptyError, ResourceError
        As `find_scenes`.
    """
    scenes = find_scenes(service, collection, area, dates, options)
    grids = [_stated(scene, collection) for scene in scenes]
    first = grids[0]
    if first is None or not all(_same(first, other) for other in grids):
        return None
    return native_grid(area, first[0], first[1])


def _stated(scene: Scene, collection: Collection) -> tuple[list[float], str] | None:
    asset = scene.asset(next(iter(collection.assets.values()))) or {}
    transform = asset.get("proj:transform", scene.properties.get("proj:transform"))
    code = str(scene.properties.get("proj:code") or scene.properties.get("proj:epsg") or "").rpartition(":")[2]
    if not (isinstance(transform, list) and len(transform) >= 6 and code.isdigit()):
        return None
    if not all(isinstance(v, int | float) for v in transform[:6]):
        return None
    return [float(v) for v in transform[:6]], f"EPSG:{code}"


def _same(one: tuple[list[float], str], other: tuple[list[float], str] | None) -> bool:
    """Whether two tiles are parts of one grid."""
    if other is None or one[1] != other[1]:
        return False
    (a, _, c, _, e, f), (a2, _, c2, _, e2, f2) = one[0], other[0]
    if abs(a - a2) > _SAME * abs(a) or abs(e - e2) > _SAME * abs(e):
        return False
    steps = ((c - c2) / a, (f - f2) / e)
    return all(abs(step - round(step)) < _EDGE for step in steps)
