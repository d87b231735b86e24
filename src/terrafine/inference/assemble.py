"""Assembly of finished shards to rows of the output raster, from the top, in bounded memory and a fixed order.

Where tiling is exact, each output cell belongs to one tile, and tiles are placed side by side. Where tiling is blended,
neighbouring parts overlap and each is weighted by a smooth ramp; the ramps of neighbours sum to one. A weight is
constant within a coarse cell, so the blend of parts that keep the observation keeps it too. From relative parts, the
planes by which they disagree are removed first (`terrafine.inference.planes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.inference.context import JobContext, TileOutput
from terrafine.inference.plan import Plan, Tile
from terrafine.inference.planes import Planes, solve_planes
from terrafine.inference.shardfile import ShardReader

__all__ = ["Residuals", "assemble_rows", "blend_weights", "add_tile", "residuals"]

_BLOCK_BYTES = 32_000_000
_BLOCK_ROWS = 512  # rows of a block in the output file: whole blocks are compressed once


def assemble_rows(context: JobContext) -> Iterator[NDArray[np.float32]]:
    """Assemble the output from the finished shards, as blocks of rows from the top.

    Parameters
    ----------
    context
        The job.

    Yields
    ------
    ndarray
        Values (band, y, x) over the full width, NaN where nodata.

    Raises
    ------
    JobError
        For a damaged shard.
    """
    plan, k = context.plan, context.plan.scale
    planes = solve_planes(context) if context.spec.relative and plan.overlap else None
    heights = [not name.endswith("_sigma") for name in context.outputs]
    shards = _OpenShards(context)
    try:
        for rows in _row_blocks(plan, len(context.outputs)):
            out = np.zeros if plan.overlap else np.empty
            block = out((len(context.outputs), (rows.stop - rows.start) * k, plan.output_shape[1]), np.float32)
            for tile_row in range(*_tile_rows(plan, rows)):
                for tile, reader, nth in shards.in_row(tile_row):
                    _add_tile_rows(block, plan, tile, rows, reader, nth, planes, heights)
            shards.close_before(_tile_rows(plan, rows)[0])
            yield block
    finally:
        shards.close()


@dataclass(frozen=True, slots=True)
class Residuals:
    """Differences between the output, averaged to the input's cells, and the input, as measured for each tile.

    Attributes
    ----------
    tiles
        float64 (2, tile row, tile column) in the input's unit: the largest, then the mean over the tile's valid cells;
        NaN where a tile is nodata.
    """

    tiles: NDArray[np.float64]

    @property
    def largest(self) -> float:
        """Largest residual of all valid cells."""
        return float(np.fmax.reduce(self.tiles[0], axis=None, initial=0.0))

    @property
    def mean(self) -> float:
        """Mean of the means of the tiles that hold data."""
        known = self.tiles[1][np.isfinite(self.tiles[1])]
        return float(known.mean()) if known.size else 0.0


def residuals(context: JobContext) -> Residuals:
    """Read the residuals that the finished shards recorded for their tiles.

    Parameters
    ----------
    context
        The job.

    Returns
    -------
    Residuals
        Residuals of all tiles.

    Raises
    ------
    JobError
        For a damaged shard.
    """
    found = np.full((2, *context.plan.tile_grid), np.nan)
    for index in range(context.plan.shards):
        reader = ShardReader(context.path(index), context.key, index)
        for tile, pair in zip(context.plan.tiles(index), reader.residuals, strict=True):
            found[:, tile.row, tile.col] = pair
        reader.close()
    return Residuals(found)


def add_tile(block: NDArray[np.float32], plan: Plan, output: TileOutput) -> None:
    """Add one tile to the whole output, which starts as zeros where parts overlap.

    Parameters
    ----------
    block
        The output, (band, y, x), changed in place.
    plan
        Plan of the run.
    output
        Output of the tile.
    """
    rows, cols = output.tile.part
    k = plan.scale
    target = block[:, rows.start * k : rows.stop * k, cols.start * k : cols.stop * k]
    if not plan.overlap:
        target[...] = np.nan if output.values is None else output.values
    elif output.values is None:
        target[...] = np.nan
    else:
        target += output.values * blend_weights(plan, output.tile, rows)


def blend_weights(plan: Plan, tile: Tile, rows: slice) -> NDArray[np.float32]:
    """Compute the blending weights of a part's cells; over all tiles they sum to one.

    Parameters
    ----------
    plan
        Plan of the run.
    tile
        Tile of the part.
    rows
        Coarse rows of the part.

    Returns
    -------
    ndarray
        Weights on the fine grid, (y, x).
    """
    y = _ramp(plan, 0, tile.row, np.arange(rows.start, rows.stop))
    x = _ramp(plan, 1, tile.col, np.arange(tile.part[1].start, tile.part[1].stop))
    fine = np.repeat(y, plan.scale)[:, None] * np.repeat(x, plan.scale)[None, :]
    return fine.astype(np.float32)


def _ramp(plan: Plan, axis: int, index: int, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Rises over the boundary with the tile before, falls over the one with the tile after; smoothstep in between."""

    def step(boundary: int) -> NDArray[np.float64]:
        t = np.clip((cells + 0.5 - boundary) / (2 * plan.overlap) + 0.5, 0.0, 1.0)
        return t * t * (3 - 2 * t)

    side, count = plan.tile[axis], plan.tile_grid[axis]
    weight = step(index * side) if index > 0 else np.ones(len(cells))
    if index < count - 1:
        weight = weight * (1 - step((index + 1) * side))
    return weight


def _add_tile_rows(
    block: NDArray[np.float32],
    plan: Plan,
    tile: Tile,
    rows: slice,
    reader: ShardReader,
    nth: int,
    planes: Planes | None,
    heights: list[bool],
) -> None:
    """Add the rows that a tile's part shares with the block; the tile's plane, if any, is removed from heights."""
    part_rows, cols = tile.part
    k = plan.scale
    shared = slice(max(rows.start, part_rows.start), min(rows.stop, part_rows.stop))
    if shared.start >= shared.stop:
        return
    inside = slice((shared.start - part_rows.start) * k, (shared.stop - part_rows.start) * k)
    target_rows = slice((shared.start - rows.start) * k, (shared.stop - rows.start) * k)
    weights = blend_weights(plan, tile, shared) if plan.overlap else None
    for band in range(block.shape[0]):
        target = block[band, target_rows, cols.start * k : cols.stop * k]
        values = reader.read(nth, band, inside)
        if values is not None and planes is not None and heights[band]:
            values -= planes.of(tile, shared, cols)
        if values is None:
            target[...] = np.nan
        elif weights is None:
            target[...] = values
        else:
            values *= weights
            target += values


def _row_blocks(plan: Plan, bands: int) -> Iterator[slice]:
    """Coarse rows of each block: as many as the memory allows, and whole rows of file blocks where they fit."""
    width = plan.output_shape[1] * 4 * bands
    fine = max(plan.scale, min(_BLOCK_ROWS, _BLOCK_BYTES // width))
    step = max(1, fine // plan.scale)
    for start in range(0, plan.shape[0], step):
        yield slice(start, min(start + step, plan.shape[0]))


def _tile_rows(plan: Plan, rows: slice) -> tuple[int, int]:
    """First and last + 1 tile row whose parts reach into those coarse rows."""
    first = max(0, (rows.start - plan.overlap) // plan.tile[0])
    last = min(plan.tile_grid[0], (rows.stop - 1 + plan.overlap) // plan.tile[0] + 1)
    return first, last


class _OpenShards:
    """The few shards that the current rows lie in; opened when needed, closed when passed."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._open: dict[int, ShardReader] = {}

    def in_row(self, tile_row: int) -> Iterator[tuple[Tile, ShardReader, int]]:
        """Tiles of one tile row from west to east, each with its shard and its place in it."""
        plan = self._context.plan
        for index in range(tile_row * plan.shards_in_row, (tile_row + 1) * plan.shards_in_row):
            if index not in self._open:
                self._open[index] = ShardReader(self._context.path(index), self._context.key, index)
            for nth, tile in enumerate(plan.tiles(index)):
                yield tile, self._open[index], nth

    def close_before(self, tile_row: int) -> None:
        """Close the shards of the tile rows above."""
        for index in [i for i in self._open if i < tile_row * self._context.plan.shards_in_row]:
            self._open.pop(index).close()

    def close(self) -> None:
        """Close all."""
        for reader in self._open.values():
            reader.close()
        self._open.clear()
