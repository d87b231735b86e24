"""Plan of a run: division of a raster into tiles and shards, for a model and a memory limit.

A plan is a value: frozen, hashable, printable, and equal after a round trip through JSON. It holds no list: tiles and
shards are computed from their index, so a plan for a continent is as small as one for a village.

    tile     inner cells published by one tile; every output cell belongs to exactly one inner tile
    window   input of the model: inner tile + halo, always the same shape, origins on multiples of `multiple`
    part     cells kept of the model's output: inner tile (exact) or inner tile + overlap (blend), clipped
    shard    consecutive tiles of one tile row: the unit of batching, execution and commit
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from terrafine.errors import JobError

__all__ = ["Plan", "Shard", "Tile"]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile in cells of the coarse grid.

    Attributes
    ----------
    row, col
        Tile row and tile column.
    inner
        Rows and columns that only this tile publishes.
    part
        Rows and columns that are kept of the model's output.
    window
        Rows and columns that the model reads; they may reach outside the raster, the others do not.
    """

    row: int
    col: int
    inner: tuple[slice, slice]
    part: tuple[slice, slice]
    window: tuple[slice, slice]

    @property
    def part_shape(self) -> tuple[int, int]:
        """Rows and columns of the published part, coarse cells."""
        rows, cols = self.part
        return rows.stop - rows.start, cols.stop - cols.start


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive tiles of one tile row.

    Attributes
    ----------
    index
        Number of the shard.
    row
        Tile row.
    first, last
        First tile column, and the one after the last.
    """

    index: int
    row: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Division of a raster into the tiles and shards that a model processes.

    Attributes
    ----------
    shape
        (y, x) of the coarse raster.
    scale
        Output cells along one side of a coarse cell.
    tile
        (y, x) of an inner tile in coarse cells; the last row and column may be shorter.
    halo
        Coarse cells around an inner tile that are input of the model.
    overlap
        Coarse cells around an inner tile that are published and blended; 0 when tiling is exact.
    margin
        Further cells read around a window that holds nodata, so that fills do not depend on the tiling.
    batch
        Tiles that go through the model together.
    shard_tiles
        Largest number of tiles in a shard.
    inputs, outputs
        Number of bands read and written.
    memory_bytes
        Projected peak of the resident memory.
    """

    shape: tuple[int, int]
    scale: int
    tile: tuple[int, int]
    halo: int
    overlap: int
    margin: int
    batch: int
    shard_tiles: int
    inputs: int
    outputs: int
    memory_bytes: int

    @property
    def tile_grid(self) -> tuple[int, int]:
        """Tile rows and tile columns."""
        return -(-self.shape[0] // self.tile[0]), -(-self.shape[1] // self.tile[1])

    @property
    def output_shape(self) -> tuple[int, int]:
        """Rows and columns of the output raster."""
        return self.shape[0] * self.scale, self.shape[1] * self.scale

    @property
    def shards_in_row(self) -> int:
        """Number of shards in a tile row."""
        return -(-self.tile_grid[1] // self.shard_tiles)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self.tile_grid[0] * self.shards_in_row

    def shard(self, index: int) -> Shard:
        """Return a shard by its index; shards are numbered row by row.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        Shard
            The shard.
        """
        row, nth = divmod(index, self.shards_in_row)
        first = nth * self.shard_tiles
        return Shard(index, row, first, min(first + self.shard_tiles, self.tile_grid[1]))

    def tiles(self, index: int) -> list[Tile]:
        """List the tiles of a shard, from west to east.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        list[Tile]
            The tiles.
        """
        shard = self.shard(index)
        return [self.tile_at(shard.row, col) for col in range(shard.first, shard.last)]

    def window(self, index: int) -> tuple[slice, slice]:
        """Return the coarse cells that the model reads for a shard, with the halo; they may reach outside.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        rows, cols : slice
            First and one past the last row and column.
        """
        tiles = self.tiles(index)
        return tiles[0].window[0], slice(tiles[0].window[1].start, tiles[-1].window[1].stop)

    def inner(self, index: int) -> tuple[slice, slice]:
        """Return the coarse cells of a shard, each of which is in no other shard.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        rows, cols : slice
            First and one past the last row and column.
        """
        tiles = self.tiles(index)
        return tiles[0].inner[0], slice(tiles[0].inner[1].start, tiles[-1].inner[1].stop)

    def neighbours(self, index: int) -> list[int]:
        """Return the shards whose published parts reach into a shard, in order; that shard alone if tiling is exact.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        list[int]
            Indices, the shard's own among them.
        """
        if not self.overlap:
            return [index]
        row, nth = divmod(index, self.shards_in_row)
        rows = range(max(row - 1, 0), min(row + 2, self.tile_grid[0]))
        return [
            r * self.shards_in_row + n for r in rows for n in range(max(nth - 1, 0), min(nth + 2, self.shards_in_row))
        ]

    def tile_at(self, row: int, col: int) -> Tile:
        """Return a tile by its tile row and tile column.

        Parameters
        ----------
        row
            Tile row.
        col
            Tile column.

        Returns
        -------
        Tile
            The tile.
        """
        inner = tuple(
            slice(i * t, min((i + 1) * t, n)) for i, t, n in zip((row, col), self.tile, self.shape, strict=True)
        )
        part = tuple(
            slice(max(s.start - self.overlap, 0), min(s.stop + self.overlap, n))
            for s, n in zip(inner, self.shape, strict=True)
        )
        window = tuple(
            slice(i * t - self.halo, (i + 1) * t + self.halo) for i, t in zip((row, col), self.tile, strict=True)
        )
        return Tile(row, col, (inner[0], inner[1]), (part[0], part[1]), (window[0], window[1]))

    def all_tiles(self) -> Iterator[Tile]:
        """Iterate over every tile in shard order."""
        for index in range(self.shards):
            yield from self.tiles(index)

    @property
    def shard_bytes(self) -> int:
        """Upper limit of the disk space of all finished shards."""
        rows, cols = (n + 2 * self.overlap * (g - 1) for n, g in zip(self.shape, self.tile_grid, strict=True))
        return rows * cols * self.scale**2 * 4 * self.outputs

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return canonical JSON, so that equal plans give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, where: str = "plan") -> Plan:
        """Read a plan from the text of `to_json`.

        Parameters
        ----------
        text
            JSON text.
        where
            Source of the text, for error messages.

        Returns
        -------
        Plan
            The plan.

        Raises
        ------
        JobError
            For any other text.
        """
        try:
            record = json.loads(text)
            for key in ("shape", "tile"):
                record[key] = tuple(record[key])
            return cls(**record)
        except (ValueError, KeyError, TypeError) as e:
            raise JobError(f"{where}: no plan of this version of Terrafine ({e}); start over with restart=True") from e

    def __str__(self) -> str:
        (h, w), (H, W), (ny, nx) = self.shape, self.output_shape, self.tile_grid
        blend = f", {self.overlap} of them blended" if self.overlap else ""
        return (
            f"{h} × {w} cells -> {H} × {W} (×{self.scale}); {ny} × {nx} tiles of {self.tile[0]} × {self.tile[1]} cells "
            f"with a halo of {self.halo}{blend}; {self.shards} shards, batches of {self.batch}; "
            f"peak memory about {self.memory_bytes / 1e6:,.0f} MB"
        )
