"""What a fetch will read, write and hold in memory, known before its first pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from terrafine.acquire.blocks import Block
from terrafine.acquire.catalogue import Scene
from terrafine.acquire.observe import Pass
from terrafine.acquire.request import Request
from terrafine.raster.area import grid_area

__all__ = ["Projection", "bytes_per_cell", "disk_bytes", "grid_shape", "overlap", "project"]

_BYTES_READ = 1.4  # per cell and band: 16 bits, compressed
_COPIES = {"median": 3, "geomedian": 9, "best-clear": 3, "mean-db": 6, "mosaic": 2}


@dataclass(frozen=True, slots=True)
class Projection:
    """What a fetch will read and write, known before it begins.

    Attributes
    ----------
    scenes, passes
        Scenes, and passes of a satellite that they belong to.
    rows, cols
        Of the output.
    download_bytes
        Estimate of what is read over the network.
    disk_bytes
        Largest use of the disk while it runs.
    memory_bytes
        Largest use of memory by pixels.
    """

    scenes: int
    passes: int
    rows: int
    cols: int
    download_bytes: int
    disk_bytes: int
    memory_bytes: int

    def sentence(self) -> str:
        """Return it as one line."""
        return (
            f"{self.scenes} scenes in {self.passes} passes, {self.cols:,} × {self.rows:,} cells: reads about "
            f"{self.download_bytes / 1e6:,.0f} MB, needs up to {self.disk_bytes / 1e6:,.0f} MB of disk and "
            f"{self.memory_bytes / 1e6:,.0f} MB of memory for pixels"
        )


def grid_shape(request: Request) -> tuple[int, int]:
    return int(request.geobox.shape[0]), int(request.geobox.shape[1])


def bytes_per_cell(request: Request, count: int) -> int:
    return 4 * (len(request.bands) + 1) * (count * _COPIES[request.composite] // 2 + 4)


def disk_bytes(request: Request) -> int:
    rows, cols = grid_shape(request)
    return rows * cols * len(request.names) * 4 * 3  # blocks, level 0 with overviews, and the assembled file


def project(request: Request, groups: Sequence[Pass], blocks: Sequence[Block]) -> Projection:
    rows, cols = grid_shape(request)
    layers = len(request.bands) + bool(request.collection.mask)
    area = grid_area(request.geobox).geometry
    seen = sum(overlap(scene, area) for group in groups for scene in group.scenes)
    largest = max((b.rows.stop - b.rows.start) * (b.cols.stop - b.cols.start) for b in blocks)
    return Projection(
        sum(len(g.scenes) for g in groups),
        len(groups),
        rows,
        cols,
        int(seen * rows * cols * layers * _BYTES_READ),
        disk_bytes(request),
        largest * bytes_per_cell(request, len(groups)),
    )


def _footprint(scene: Scene) -> Any:
    """The outline of a scene; None where the item has none that can be used."""
    try:
        found = shapely.make_valid(shape(scene.item["geometry"]))
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError):
        return None
    west, _, east, _ = found.bounds if not found.is_empty else (0, 0, 999, 0)
    return None if east - west > 180 else found


def overlap(scene: Scene, area: Any) -> float:
    """Share of an area that a scene covers."""
    outline = _footprint(scene)
    if outline is None:
        return 1.0
    west, _, east, _ = area.bounds
    moved = [
        shapely.transform(outline, lambda xy, d=d: xy + np.array([d, 0.0]))
        for d in (0.0, 360.0)
        if d == 0 or east > 180
    ]
    return max(float(shapely.intersection(m, area).area / area.area) for m in moved) if east > west else 1.0
