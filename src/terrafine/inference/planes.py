"""Levelling of relative tiles: each tile is known up to a plane, and the planes are solved jointly.

A network that processes its tile as a whole gives every tile its own level and tilt. Where two parts overlap, a plane
is fitted to their difference; the planes of the two tiles must differ by it. All these equations are solved together by
least squares. A very small weight pulls levels and tilts towards zero; it only matters for what no overlap determines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import lsqr

from terrafine.inference.context import JobContext
from terrafine.inference.plan import Plan, Tile
from terrafine.inference.shardfile import ShardReader

__all__ = ["Planes", "solve_planes"]

F64 = NDArray[np.float64]
_DAMPING = 1e-3  # weight of a plane of zero, against an overlap of a hundred cells
_MIN_OVERLAP = 16  # valid cells that an overlap needs to be used


@dataclass(frozen=True, slots=True)
class Planes:
    """Planes of all tiles.

    Attributes
    ----------
    plan
        Plan of the run.
    values
        Level, and tilts along y and x over half a tile, float64 (tile row, tile column, 3).
    """

    plan: Plan
    values: F64

    def of(self, tile: Tile, rows: slice, cols: slice) -> NDArray[np.float32]:
        """Compute the plane of a tile in some cells.

        Parameters
        ----------
        tile
            The tile.
        rows, cols
            Coarse rows and columns.

        Returns
        -------
        ndarray
            Values to subtract, float32 (y, x).
        """
        level, down, across = self.values[tile.row, tile.col]
        y, x = _scaled(self.plan, tile, np.arange(rows.start, rows.stop), np.arange(cols.start, cols.stop))
        return np.asarray(level + down * y[:, None] + across * x[None, :], np.float32)


def solve_planes(context: JobContext) -> Planes:
    """Solve the planes of all tiles of a finished job from the first band of the parts.

    The scale is 1. Nodata is ignored.

    Parameters
    ----------
    context
        The job.

    Returns
    -------
    Planes
        The planes.

    Raises
    ------
    JobError
        For a damaged shard.
    """
    plan = context.plan
    rows: list[int] = []
    cols: list[int] = []
    entries: list[float] = []
    right: list[float] = []

    def equation(terms: list[tuple[Tile, F64, float]], value: float) -> None:
        for tile, factors, sign in terms:
            first = 3 * (tile.row * plan.tile_grid[1] + tile.col)
            rows.extend([len(right)] * 3)
            cols.extend(range(first, first + 3))
            entries.extend((sign * factors).tolist())
        right.append(value)

    for a, b, part_a, part_b in _neighbours(context):
        shared = tuple(slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a.part, b.part, strict=True))
        difference = part_a[_within(a, shared)].astype(np.float64) - part_b[_within(b, shared)]
        for corner, value, weight in _corners(difference, shared):
            factors = [np.array([1.0, *np.ravel(_scaled(plan, t, *corner))]) * weight for t in (a, b)]
            equation([(a, factors[0], 1.0), (b, factors[1], -1.0)], value * weight)
    for tile in plan.all_tiles():
        for factors in np.eye(3) * (_DAMPING, _DAMPING, _DAMPING):
            equation([(tile, factors, 1.0)], 0.0)
    count = plan.tile_grid[0] * plan.tile_grid[1]
    system = csr_matrix((entries, (rows, cols)), shape=(len(right), 3 * count))
    found = lsqr(system, np.array(right), atol=1e-12, btol=1e-12, iter_lim=20 * count + 200)[0]
    return Planes(plan, found.reshape(*plan.tile_grid, 3))


def _corners(difference: F64, shared: tuple[slice, ...]) -> Iterator[tuple[tuple[F64, F64], float, float]]:
    """The plane fitted to a difference, evaluated at three points of the overlap: ((y, x), value, weight)."""
    known = np.isfinite(difference)
    if known.sum() < _MIN_OVERLAP:
        return
    y, x = (np.arange(s.start, s.stop, dtype=np.float64) for s in shared)
    scale_y, scale_x = max(1.0, (y[-1] - y[0]) / 2), max(1.0, (x[-1] - x[0]) / 2)
    v, u = np.meshgrid((y - y.mean()) / scale_y, (x - x.mean()) / scale_x, indexing="ij")
    table = np.stack([np.ones_like(v[known]), v[known], u[known]], axis=1)
    plane = np.linalg.lstsq(table, difference[known], rcond=None)[0]
    weight = np.sqrt(known.sum() / 100)
    for at_y, at_x in ((-1.0, -1.0), (-1.0, 1.0), (1.0, 0.0)):
        where = np.array([y.mean() + at_y * scale_y]), np.array([x.mean() + at_x * scale_x])
        yield where, float(plane @ (1.0, at_y, at_x)), float(weight)


def _neighbours(context: JobContext) -> Iterator[tuple[Tile, Tile, NDArray[np.float32], NDArray[np.float32]]]:
    """Each tile with the one to its west and the one to its north, and both parts; two tile rows are held."""
    above: dict[int, tuple[Tile, NDArray[np.float32]]] = {}
    for row in range(context.plan.tile_grid[0]):
        here: dict[int, tuple[Tile, NDArray[np.float32]]] = {}
        for tile, part in _row(context, row):
            here[tile.col] = (tile, part)
            for other in (here.get(tile.col - 1), above.get(tile.col)):
                if other is not None:
                    yield other[0], tile, other[1], part
        above = here


def _row(context: JobContext, row: int) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """Tiles of one tile row that hold data, with the first band of their parts."""
    plan = context.plan
    for index in range(row * plan.shards_in_row, (row + 1) * plan.shards_in_row):
        reader = ShardReader(context.path(index), context.key, index)
        try:
            for nth, tile in enumerate(plan.tiles(index)):
                values = reader.read(nth, 0, slice(0, tile.part_shape[0] * plan.scale))
                if values is not None:
                    yield tile, values
        finally:
            reader.close()


def _scaled(plan: Plan, tile: Tile, y: NDArray[Any], x: NDArray[Any]) -> tuple[F64, F64]:
    """Cells relative to the middle of the tile, in half tiles."""
    middle = [(n + 0.5) * side - 0.5 for n, side in zip((tile.row, tile.col), plan.tile, strict=True)]
    return (y - middle[0]) / (plan.tile[0] / 2), (x - middle[1]) / (plan.tile[1] / 2)


def _within(tile: Tile, shared: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(s.start - p.start, s.stop - p.start) for s, p in zip(shared, tile.part, strict=True))
