"""The true area of each sequence of classes in each zone, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.campaign.folder import DONE, Folder
from terrafine.campaign.plan import Plan, Unit
from terrafine.campaign.statistics.sequences import IMPERVIOUS, NOT_KNOWN, Sequences
from terrafine.raster.read.class_stack import class_rows, grid_of, inside
from terrafine.raster.utm_tiles import Tile, UtmTiles, area_scale, owned

__all__ = ["CHANGE", "TileCounts", "blank_tile", "change_of", "count_tile", "files_of", "tile_tasks"]

F64 = NDArray[np.float64]
CHANGE = ("stays other", "stays impervious", "became impervious", "no longer impervious", "unknown")
"""What became of a cell from the first epoch to the last; the order of `TileCounts.parts`."""
_PARTS = 64


@dataclass(frozen=True, slots=True)
class TileCounts:
    """One tile's share of the statistics.

    Attributes
    ----------
    tile
        The tile.
    area_m2
        Area of each sequence in the region and in each zone, float64 (1 + zone, sequence).
    cells
        Cells of each sequence in the region, int64 (sequence,): the population of a sample.
    parts
        Share of each part of the tile by `CHANGE`, float32 (5, part, part); for the map of change.
    """

    tile: Tile
    area_m2: F64
    cells: NDArray[np.int64]
    parts: NDArray[np.float32]


def files_of(plan: Plan, folder: Folder, units: Sequence[Unit]) -> list[Path | None]:
    """The class map of a tile in each epoch; None where it has none."""
    return [folder.tile(plan, u) if folder.state(plan, u).name == DONE else None for u in units]


def tile_tasks(plan: Plan) -> dict[Tile, list[Unit]]:
    """Units of each tile, one for each epoch in order."""
    found: dict[Tile, list[Unit]] = {tile: [] for tile in plan.tiles}
    for unit in plan.units():
        found[unit.tile].append(unit)
    return found


def count_tile(tile: Tile, paths: Sequence[Path | None], areas: Sequence[Any]) -> TileCounts:
    """Count one tile.

    Parameters
    ----------
    tile
        The tile.
    paths
        Its class map in each epoch, or None; at least one is there.
    areas
        The region and then the zones, in longitude and latitude.

    Returns
    -------
    TileCounts
    """
    sequences = Sequences(len(paths))
    n = len(sequences.states)
    grid = grid_of(next(p for p in paths if p is not None))
    height, width = (int(v) for v in grid.shape)
    cell_m2 = abs(grid.affine.a * grid.affine.e)
    totals, cells = np.zeros((len(areas), n)), np.zeros(n, np.int64)
    kind = change_of(sequences)
    step = max(1, -(-height // _PARTS)), max(1, -(-width // _PARTS))
    parts = np.zeros((len(CHANGE), -(-height // step[0]), -(-width // step[1])))
    for rows, block in class_rows(paths, rows=step[0] * max(1, 512 // step[0])):
        here = grid[rows, :]
        weight = area_scale(here) * cell_m2
        code = sequences.code(block)
        own = owned(here)
        for i, area in enumerate(areas):
            chosen = own & inside(area, here)
            if not chosen.any():
                continue
            totals[i] += np.bincount(code[chosen], weights=weight[chosen], minlength=n)
            if i == 0:
                cells += np.bincount(code[chosen], minlength=n)
                _add_parts(parts, kind[code], chosen, rows, step)
    size = np.maximum(parts.sum(axis=0), 1)
    return TileCounts(tile, totals, cells, (parts / size).astype(np.float32))


def blank_tile(tile: Tile, lattice: UtmTiles, areas: Sequence[Any], epochs: int) -> TileCounts:
    """The counts of a tile without a map in any epoch: its ground is unknown throughout."""
    grid = lattice.core(tile)
    n = 3**epochs
    totals = np.zeros((len(areas), n))
    weight = area_scale(grid) * owned(grid) * lattice.resolution_m**2
    for i, area in enumerate(areas):
        totals[i, -1] = float(weight[inside(area, grid)].sum())
    return TileCounts(tile, totals, np.zeros(n, np.int64), np.zeros((len(CHANGE), 1, 1), np.float32))


def change_of(sequences: Sequences) -> NDArray[np.int64]:
    """Number in `CHANGE` of each sequence."""
    first, last = sequences.states[:, 0], sequences.states[:, -1]
    kind = np.where(first == IMPERVIOUS, np.where(last == IMPERVIOUS, 1, 3), np.where(last == IMPERVIOUS, 2, 0))
    return np.asarray(np.where((first == NOT_KNOWN) | (last == NOT_KNOWN), 4, kind))


def _add_parts(
    parts: F64, kind: NDArray[np.int64], chosen: NDArray[np.bool_], rows: slice, step: tuple[int, int]
) -> None:
    top = rows.start // step[0]
    down = (np.arange(rows.start, rows.stop) // step[0]) - top
    across = np.arange(kind.shape[1]) // step[1]
    count = down[-1] + 1
    place = (down[:, None] * parts.shape[2] + across[None])[chosen]
    for number in range(len(CHANGE)):
        here = np.bincount(place[kind[chosen] == number], minlength=count * parts.shape[2])
        parts[number, top : top + count] += here.reshape(count, parts.shape[2])
