"""The grid on which a DEM is stored, from its files: heights are copied where the area has one such grid."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from terrafine.acquire.catalogue import Scene, find_scenes
from terrafine.acquire.options import FetchOptions
from terrafine.acquire.remote import AssetError, AssetReader
from terrafine.acquire.service import Collection, Service
from terrafine.acquire.signing import Signer
from terrafine.raster.area import AreaOfInterest
from terrafine.raster.gdal import quiet_threads
from terrafine.raster.native_grid import native_grid

__all__ = ["stored_grid"]

Grid = tuple[tuple[float, ...], str]

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
        None where the files have not one and the same grid: tiles of GLO-30 are wider in longitude north of 50 degrees.

    Raises
    ------
    NetworkError, EmptyError, ResourceError
        As `find_scenes`.
    """
    reader = AssetReader(Signer(service, collection.id, options), options)
    asset = next(iter(collection.assets.values()))

    def grid(scene: Scene) -> Grid | None:
        try:
            return reader.grid(scene, asset)
        except AssetError:
            return None  # left out when it is read, and named

    scenes = find_scenes(service, collection, area, dates, options)
    with quiet_threads(), ThreadPoolExecutor(options.connections) as pool:
        grids = [found for found in pool.map(grid, scenes) if found is not None]
    if not grids or not all(_same(grids[0], other) for other in grids):
        return None
    return native_grid(area, *grids[0])


def _same(one: Grid, other: Grid) -> bool:
    """Whether two tiles are parts of one grid."""
    if one[1] != other[1]:
        return False
    (a, _, c, _, e, f), (a2, _, c2, _, e2, f2) = one[0], other[0]
    if abs(a - a2) > _SAME * abs(a) or abs(e - e2) > _SAME * abs(e):
        return False
    steps = ((c - c2) / a, (f - f2) / e)
    return all(abs(step - round(step)) < _EDGE for step in steps)
