"""A grid, a spec and a memory limit become a plan: which cells are read, run and published together.

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
from typing import TYPE_CHECKING

from terrafine.errors import JobError, ResourceError, UsageError

if TYPE_CHECKING:
    from terrafine.nn.spec import ModelSpec

__all__ = ["Plan", "Shard", "Tile", "make_plan"]

_MB = 1_000_000
_BASE_BYTES = 420 * _MB  # Python, torch and GDAL before the first tile, measured as resident size
_SHARD_PIXELS = 8_000_000  # output pixels of a shard: seconds of work, so that a kill loses seconds
_ROWS_BYTES = 32 * _MB  # a block of finished rows on its way into the output file
_GUIDE_BYTES = 8  # value and mask of one guide in one fine cell, both float32
_GUIDE_WORK = 64  # a fine cell while one guide's dates are summed in float64, resampled and stacked
_QUEUE = 2  # shards read ahead, and batches waiting to be committed
_FILL_REACH = 3  # cells read around a window to fill its nodata, in halos


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile in cells of the coarse grid; `window` may reach outside the raster, `inner` and `part` do not."""

    row: int
    col: int
    inner: tuple[slice, slice]
    part: tuple[slice, slice]
    window: tuple[slice, slice]

    @property
    def part_shape(self) -> tuple[int, int]:
        """(y, x) of the published part, coarse cells."""
        rows, cols = self.part
        return rows.stop - rows.start, cols.stop - cols.start


@dataclass(frozen=True, slots=True)
class Shard:
    """Tiles `first` to `last - 1` of tile row `row`."""

    index: int
    row: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How one raster goes through one model.

    Attributes
    ----------
    shape
        (y, x) of the coarse raster.
    scale
        Output cells along one side of a coarse cell.
    tile
        (y, x) of an inner tile in coarse cells; the last row and column may be shorter.
    halo
        Coarse cells around an inner tile that the model sees.
    overlap
        Coarse cells around an inner tile that are published and blended; 0 when tiling is exact.
    margin
        Further cells read around a window that holds nodata, so that fills do not depend on the tiling.
    batch
        Tiles that go through the model together.
    shard_tiles
        Tiles in a shard, at most.
    inputs, outputs
        Number of bands read and written.
    memory_bytes
        Projected peak of the resident size.
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
        """(y, x) of the output raster."""
        return self.shape[0] * self.scale, self.shape[1] * self.scale

    @property
    def shards_in_row(self) -> int:
        """Shards that a tile row is cut into."""
        return -(-self.tile_grid[1] // self.shard_tiles)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self.tile_grid[0] * self.shards_in_row

    def shard(self, index: int) -> Shard:
        """The shard of that index; shards are numbered row by row."""
        row, nth = divmod(index, self.shards_in_row)
        first = nth * self.shard_tiles
        return Shard(index, row, first, min(first + self.shard_tiles, self.tile_grid[1]))

    def tiles(self, index: int) -> list[Tile]:
        """Tiles of one shard, from west to east."""
        shard = self.shard(index)
        return [self.tile_at(shard.row, col) for col in range(shard.first, shard.last)]

    def tile_at(self, row: int, col: int) -> Tile:
        """The tile in that tile row and tile column."""
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
        """Every tile in shard order, one at a time."""
        for index in range(self.shards):
            yield from self.tiles(index)

    @property
    def shard_bytes(self) -> int:
        """Disk space that the finished shards take together, at most."""
        rows, cols = (n + 2 * self.overlap * (g - 1) for n, g in zip(self.shape, self.tile_grid, strict=True))
        return rows * cols * self.scale**2 * 4 * self.outputs

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Canonical JSON: equal plans give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, where: str = "plan") -> Plan:
        """Read `to_json`; raises JobError for anything else."""
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
            f"peak memory about {self.memory_bytes / _MB:,.0f} MB"
        )


def make_plan(
    shape: tuple[int, int],
    spec: ModelSpec,
    *,
    memory_bytes: int | None = None,
    outputs: int | None = None,
    tile: int | None = None,
    batch: int = 1,
    bytes_per_cell: int = 4096,
    guides: int = 0,
    shard_pixels: int | None = None,
    more_written: int = 0,
) -> Plan:
    """Plan a run that fits into the memory limit, with the largest batch and tile not above those preferred.

    Parameters
    ----------
    shape
        (y, x) of the coarse raster.
    spec
        The model.
    memory_bytes
        Resident size allowed for one process; None for no limit.
    outputs
        Bands written; by default all of the spec.
    tile
        Preferred inner side in coarse cells; by default the spec's.
    batch
        Preferred tiles in a batch.
    bytes_per_cell
        Working memory of the model for one input cell, halo included: all live activations.
    guides
        Number of guides read, on the fine grid.
    shard_pixels
        Output cells of a shard, at most; smaller for a slow model, because a kill loses the unfinished shard.
    more_written
        Bands of the published files that are derived from the outputs.

    Raises
    ------
    ResourceError
        Where even the smallest tile needs more memory.
    UsageError
        Where a size is below 1.
    """
    side = spec.tile if tile is None else tile
    if min(shape) < 1 or side < 1 or batch < 1:
        raise UsageError(
            f"cannot plan a raster of {shape} with tiles of {side} in batches of {batch}; all must be 1 or more"
        )
    bands = len(spec.outputs) if outputs is None else outputs
    smallest = None
    for some_batch, some_side in _candidates(batch, side, spec):
        plan = _lay_out(shape, spec, some_side, some_batch, bands, shard_pixels or _SHARD_PIXELS)
        plan = dataclasses.replace(plan, memory_bytes=_projected(plan, bytes_per_cell, guides, more_written))
        if memory_bytes is None or plan.memory_bytes <= memory_bytes:
            return plan
        if smallest is None or plan.memory_bytes < smallest.memory_bytes:
            smallest = plan
    needed = 0 if smallest is None else smallest.memory_bytes
    allowed = 0 if memory_bytes is None else memory_bytes
    raise ResourceError(
        f"{spec.name} ×{spec.scale} on {shape[0]} × {shape[1]} cells needs about {needed / _MB:,.0f} MB even with its "
        f"smallest tiles, and {allowed / _MB:,.0f} MB are allowed; allow more memory or choose a lighter model"
    )


def _candidates(batch: int, side: int, spec: ModelSpec) -> Iterator[tuple[int, int]]:
    """Batch and inner side, from the preferred down: batches shrink first, they cost nothing."""
    lowest = max(spec.multiple, 32)
    if spec.tiling == "blend":
        # Ramps, a halo wide, must not meet within a tile, and balanced tiles are as small as two thirds of the side.
        lowest = max(lowest, -(-3 * _up(spec.halo, spec.multiple) // 2))
    side = _up(max(side, lowest if spec.tiling == "blend" else 1), spec.multiple)
    while batch > 1:
        yield batch, side
        batch //= 2
    yield 1, side
    while side > lowest:
        side = _up(max(side // 2, lowest), spec.multiple)
        yield 1, side
        if side <= _up(lowest, spec.multiple):
            return


def _lay_out(shape: tuple[int, int], spec: ModelSpec, side: int, batch: int, bands: int, shard_pixels: int) -> Plan:
    """Tiles of nearly equal size, none above `side`, so that the last one is not a narrow strip with a full halo."""
    halo = _up(spec.halo, spec.multiple)
    counts = [-(-n // side) for n in shape]
    tile = (_up(-(-shape[0] // counts[0]), spec.multiple), _up(-(-shape[1] // counts[1]), spec.multiple))
    in_row = -(-shape[1] // tile[1])
    most = max(1, shard_pixels // (tile[0] * tile[1] * spec.scale**2))
    shard_tiles = -(-in_row // -(-in_row // most))
    return Plan(
        shape=shape,
        scale=spec.scale,
        tile=tile,
        halo=halo,
        overlap=halo // 2 if spec.tiling == "blend" else 0,
        margin=_FILL_REACH * halo,
        batch=min(batch, shard_tiles),
        shard_tiles=shard_tiles,
        inputs=len(spec.inputs),
        outputs=bands,
        memory_bytes=0,
    )


def _projected(plan: Plan, bytes_per_cell: int, guides: int, more_written: int) -> int:
    """Peak resident size: the process, the model on one batch, what is queued around it, or the assembly."""
    (ty, tx), around = plan.tile, 2 * plan.halo
    window = (ty + around) * (tx + around)
    strip = (ty + around + 2 * plan.margin) * (tx * plan.shard_tiles + around + 2 * plan.margin)
    read = strip * 5 * plan.inputs * (_QUEUE + 1) + strip * 48  # float32 and mask queued; float64 while filling
    if guides:
        fine = (ty + around) * (tx * plan.shard_tiles + around) * plan.scale**2
        read += fine * (_GUIDE_BYTES * guides * (_QUEUE + 2) + _GUIDE_WORK)  # raw masks and values while they are read
        read += plan.batch * window * plan.scale**2 * _GUIDE_BYTES * guides
    model = plan.batch * window * bytes_per_cell
    out = plan.batch * window * plan.scale**2 * 4 * plan.outputs * (_QUEUE + 2)
    width = plan.output_shape[1]
    written = plan.outputs + more_written
    rows = max(_ROWS_BYTES, width * plan.scale * 4 * written) * 3
    blocks = 3 * width * 512 * 4 * written  # measured: stripes of 512 rows in the sink, overviews among them
    return _BASE_BYTES + max(read + model + out, rows + blocks)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
