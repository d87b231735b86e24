"""Streams of a drainage as lines, and the ground that drains to each as numbers on the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from terrafine.evaluation.hydrology.d8 import Drainage, cell_area_km2
from terrafine.evaluation.hydrology.streams import streams

__all__ = ["NONE", "Segment", "catchments", "outlets", "segments"]

NONE = 0
"""Number of no segment: what lies below one that leaves the extent."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stream between its head or a confluence and the next confluence or the border.

    Attributes
    ----------
    number, below
        Its number, from 1, and that of the segment that it flows into; `NONE` where it leaves the extent.
    line
        Centres of its cells from the top, in the CRS of the grid, and of the cell that it flows into.
    end
        Row and column (y, x) of its last cell.
    order
        Strahler order.
    area_km2
        Contributing area of its last cell.
    length_m
        Length on the ground.
    complete
        Whether no cell that drains into it lies on the border of the extent or of nodata, where water may come in that
        the raster does not hold; then area and order are lower bounds.
    """

    number: int
    below: int
    line: Any
    end: tuple[int, int]
    order: int
    area_km2: float
    length_m: float
    complete: bool


def segments(drained: Drainage, area_km2: float, transform: Affine) -> list[Segment]:
    """Return the streams as segments, upstream ones before those that they flow into.

    Parameters
    ----------
    drained
        The drainage.
    area_km2
        Contributing area at which streams begin.
    transform
        Of the grid: column and row to coordinates.

    Returns
    -------
    list of Segment
        Empty where no stream has that area.

    Raises
    ------
    UsageError
        If the area is not positive.
    """
    mask = streams(drained, area_km2)
    if not mask.any():
        return []
    network, shape = drained.network, drained.valid.shape
    order = np.asarray(network.stream_order(type="strahler", mask=mask.ravel())).reshape(shape)
    inflow = _border_cells_above(drained)
    network.set_transform(Affine.identity(), latlon=False)
    found = []
    for feature in network.streams(mask=mask):
        cells = np.floor(np.asarray(feature["geometry"]["coordinates"])[:, ::-1]).astype(np.int64)
        cells = cells[np.concatenate(([True], (np.diff(cells, axis=0) != 0).any(axis=1)))]
        if len(cells) > 1:
            found.append((cells, bool(feature["properties"]["pit"])))
    heads = {(int(cells[0, 0]), int(cells[0, 1])): number for number, (cells, _) in enumerate(found, start=1)}
    out = []
    for number, (cells, is_last) in enumerate(found, start=1):
        y, x = (int(n) for n in (cells[-1] if is_last else cells[-2]))
        edge = float(inflow[y, x]) - _is_border(drained.valid, y, x)
        xs, ys = transform * (cells[:, 1] + 0.5, cells[:, 0] + 0.5)
        out.append(
            Segment(
                number=number,
                below=NONE if is_last else heads.get((int(cells[-1, 0]), int(cells[-1, 1])), NONE),
                line=shapely.linestrings(np.column_stack((xs, ys))),
                end=(y, x),
                order=int(order[y, x]),
                area_km2=float(drained.area_km2[y, x]),
                length_m=_length_m(cells, drained.pixel_size_m),
                complete=edge < 0.5,
            )
        )
    return out


def outlets(found: list[Segment]) -> list[Segment]:
    """Return the segments that leave the extent."""
    return [one for one in found if one.below == NONE]


def catchments(drained: Drainage, ends: list[Segment]) -> tuple[NDArray[np.int32], dict[int, float]]:
    """Return the ground that drains to the last cell of segments, each cell to the first that its water reaches.

    Parameters
    ----------
    drained
        The drainage.
    ends
        The segments: all for the catchment of each, the outlets for whole basins. Of several that end in one cell the
        last counts.

    Returns
    -------
    labels : ndarray of int32, (y, x)
        Number of the segment, 0 where water reaches none.
    area_km2 : dict
        Area of each number that has ground.
    """
    height, width = drained.valid.shape
    if not ends:
        return np.zeros((height, width), np.int32), {}
    last = {y * width + x: one.number for one in ends for y, x in (one.end,)}
    cells = sorted(last)
    numbers = np.array([last[c] for c in cells], np.uint32)
    labels = np.asarray(drained.network.basins(idxs=np.array(cells), ids=numbers)).reshape(height, width)
    labels = labels.astype(np.int32)
    area = np.zeros(int(numbers.max()) + 1)
    for row, size in zip(labels, cell_area_km2(drained.pixel_size_m), strict=True):
        area += np.bincount(row, minlength=len(area)) * size
    return labels, {int(n): float(area[n]) for n in sorted(numbers.tolist()) if area[n] > 0}


def _border_cells_above(drained: Drainage) -> NDArray[np.float64]:
    """For each cell, how many cells on the border of the extent or of nodata drain into it, itself included."""
    inside = ndimage.binary_erosion(drained.valid, np.ones((3, 3), bool), border_value=0)
    border = (drained.valid & ~inside).astype(np.float64)
    return np.asarray(drained.network.accuflux(border, nodata=-1.0), np.float64).reshape(border.shape)


def _is_border(valid: NDArray[np.bool_], y: int, x: int) -> bool:
    around = valid[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    return around.shape != (3, 3) or not bool(around.all())


def _length_m(cells: NDArray[np.int64], pixel_size_m: NDArray[np.float64]) -> float:
    """Length of a way from cell to cell."""
    steps = np.abs(np.diff(cells, axis=0))
    x, y = pixel_size_m[0][cells[:-1, 0]], pixel_size_m[1][cells[:-1, 0]]
    return float(np.hypot(steps[:, 0] * y, steps[:, 1] * x).sum())
