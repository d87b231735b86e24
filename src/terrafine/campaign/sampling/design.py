"""A stratified random sample of cells, strata by what the map says became of them; as Olofsson et al. 2014 advise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.campaign.statistics.sequences import IMPERVIOUS, Sequences
from terrafine.campaign.statistics.tiles import CHANGE, TileCounts
from terrafine.errors import DataError, UsageError
from terrafine.raster.read.class_stack import UNKNOWN, class_rows, grid_of, inside
from terrafine.raster.utm_tiles import owned, to_degrees

__all__ = ["STRATA", "Design", "Point", "Stratum", "allocate", "draw", "mapped_areas", "strata_of", "suggested_points"]

STRATA = CHANGE[:4]
"""Cells that are unknown in the first or last epoch are in no stratum: what is stated is of the others."""
_ACCURACY = {"stays other": 0.95, "stays impervious": 0.85, "became impervious": 0.7, "no longer impervious": 0.6}


@dataclass(frozen=True, slots=True)
class Stratum:
    """One stratum: its cells, their true area, and how many are drawn."""

    name: str
    cells: int
    area_m2: float
    points: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """One cell of the sample.

    Attributes
    ----------
    number
        From 1, in random order.
    stratum
        Name of its stratum.
    tile, row, col
        Where the cell lies.
    longitude, latitude
        Its centre.
    outline
        Its corners, longitude and latitude.
    mapped
        Class of the map in each epoch: 0 other, 1 impervious (buildings too), 255 unknown.
    """

    number: int
    stratum: str
    tile: str
    row: int
    col: int
    longitude: float
    latitude: float
    outline: tuple[tuple[float, float], ...]
    mapped: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """A sample and how it was drawn; `mapped_m2` is what the map shows as impervious in each epoch."""

    seed: int
    epochs: tuple[str, ...]
    strata: tuple[Stratum, ...]
    points: tuple[Point, ...]
    keys: str
    mapped_m2: tuple[float, ...] = ()


def strata_of(sequences: Sequences, counts: Sequence[TileCounts]) -> tuple[list[Stratum], NDArray[np.int64]]:
    """The strata, and the cells of each in each tile, int64 (tile, stratum)."""
    from terrafine.campaign.statistics.tiles import change_of

    kind = change_of(sequences)
    cells = np.array([[int(c.cells[kind == k].sum()) for k in range(len(STRATA))] for c in counts], np.int64)
    area = np.array([[float(c.area_m2[0][kind == k].sum()) for k in range(len(STRATA))] for c in counts])
    strata = [Stratum(name, int(cells[:, k].sum()), float(area[:, k].sum())) for k, name in enumerate(STRATA)]
    return strata, cells


def mapped_areas(sequences: Sequences, counts: Sequence[TileCounts]) -> tuple[float, ...]:
    """Area that the map shows as impervious in each epoch, on the ground that the strata cover; square metres."""
    from terrafine.campaign.statistics.tiles import change_of

    covered = change_of(sequences) < len(STRATA)
    total = np.sum([c.area_m2[0] for c in counts], axis=0)
    return tuple(float(total[covered & (sequences.states[:, e] == IMPERVIOUS)].sum()) for e in range(sequences.epochs))


def suggested_points(strata: Sequence[Stratum], standard_error: float) -> int:
    """Points for a standard error of the overall accuracy, (Σ W S / SE)², with accuracies assumed for each stratum.

    References
    ----------
    Cochran 1977, Sampling Techniques, eq. 5.25; Olofsson et al. 2014, eq. 13, https://doi.org/10.1016/j.rse.2014.02.015
    """
    total = sum(s.area_m2 for s in strata)
    spread = sum(s.area_m2 / total * math.sqrt(_ACCURACY[s.name] * (1 - _ACCURACY[s.name])) for s in strata)
    return math.ceil((spread / standard_error) ** 2)


def allocate(strata: Sequence[Stratum], points: int, minimum: int) -> list[Stratum]:
    """Points of each stratum: the minimum, or what its area comes to of the rest, never more than it has cells.

    Raises
    ------
    UsageError
        For fewer points than the minimum of each stratum.
    DataError
        For a map without cells.
    """
    from dataclasses import replace

    present = [s for s in strata if s.cells > 0]
    if not present:
        raise DataError("no cell is known in the first and the last epoch; run the campaign first")
    floor = {s.name: min(minimum, s.cells) for s in present}
    if points < sum(floor.values()):
        raise UsageError(
            f"{points} points for {len(present)} strata of at least {minimum}; expected {sum(floor.values())} or more, "
            "or a smaller minimum"
        )
    rest = points - sum(floor.values())
    total = sum(s.area_m2 for s in present)
    shares = {s.name: rest * s.area_m2 / total for s in present}
    given = {name: int(v) for name, v in shares.items()}
    for name in sorted(shares, key=lambda n: given[n] - shares[n])[: rest - sum(given.values())]:
        given[name] += 1
    return [replace(s, points=min(s.cells, floor[s.name] + given[s.name]) if s.cells else 0) for s in strata]


def draw(
    sequences: Sequences,
    counts: Sequence[TileCounts],
    strata: Sequence[Stratum],
    cells: NDArray[np.int64],
    paths: Mapping[Any, Sequence[Path | None]],
    area: Any,
    seed: int,
) -> list[Point]:
    """Draw the cells: each of a stratum has the same chance, and none is drawn twice.

    Parameters
    ----------
    sequences, counts
        The sequences and the counts of each tile.
    strata, cells
        As `strata_of` and `allocate` give them.
    paths
        Tile -> its class map in each epoch.
    area
        The region.
    seed
        Of the random numbers.

    Returns
    -------
    list of Point
        In random order.
    """
    rng = np.random.default_rng(seed)
    wanted: dict[int, dict[int, NDArray[np.int64]]] = {}
    for k, stratum in enumerate(strata):
        if not stratum.points:
            continue
        ranks = np.sort(rng.choice(stratum.cells, stratum.points, replace=False, shuffle=False))
        ends = np.cumsum(cells[:, k])
        for t in np.unique(np.searchsorted(ends, ranks, side="right")).tolist():
            first = int(ends[t] - cells[t, k])
            wanted.setdefault(t, {})[k] = ranks[(ranks >= first) & (ranks < ends[t])] - first
    found: list[Point] = []
    for t, ranks_of in sorted(wanted.items()):
        tile = counts[t].tile
        found += _locate(sequences, tile, paths[tile], area, ranks_of)
    order = rng.permutation(len(found))
    return [_numbered(found[i], n + 1) for n, i in enumerate(order.tolist())]


def _numbered(point: Point, number: int) -> Point:
    from dataclasses import replace

    return replace(point, number=number)


def _locate(
    sequences: Sequences, tile: Any, paths: Sequence[Path | None], area: Any, ranks_of: Mapping[int, NDArray[np.int64]]
) -> list[Point]:
    """The cells of those ranks, counted along rows from the top, within each stratum of a tile."""
    from terrafine.campaign.statistics.tiles import change_of

    kind = change_of(sequences)
    grid = grid_of(next(p for p in paths if p is not None))
    passed = dict.fromkeys(ranks_of, 0)
    found = []
    for rows, block in class_rows(paths):
        here = grid[rows, :]
        chosen = owned(here) & inside(area, here)
        which = kind[sequences.code(block)]
        for k, ranks in ranks_of.items():
            flat = np.flatnonzero(chosen & (which == k))
            mine = ranks[(ranks >= passed[k]) & (ranks < passed[k] + len(flat))] - passed[k]
            for place in flat[mine].tolist():
                row, col = divmod(place, block.shape[2])
                mapped = tuple(int(v) if v == UNKNOWN else min(int(v), 1) for v in block[:, row, col])
                found.append(_point(tile, grid, rows.start + row, col, STRATA[k], mapped))
            passed[k] += len(flat)
    return found


def _point(tile: Any, grid: Any, row: int, col: int, stratum: str, mapped: tuple[int, ...]) -> Point:
    import shapely

    a = grid.affine
    left, top = a.c + a.a * col, a.f + a.e * row
    middle = to_degrees(shapely.Point(left + a.a / 2, top + a.e / 2), tile.epsg)
    cell = to_degrees(shapely.box(left, top + a.e, left + a.a, top), tile.epsg)
    corners = tuple((float(x), float(y)) for x, y in shapely.get_coordinates(cell))
    return Point(0, stratum, tile.name, row, col, float(middle.x), float(middle.y), corners, mapped)
