"""One shard: read with halo, fill, model, crop, commit. Both executors call the same steps in the same order."""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import JobError, WeightsError
from terrafine.inference.plan import Plan, Tile
from terrafine.inference.shardfile import ShardWriter
from terrafine.inference.window import Window, read_guides, read_window
from terrafine.nn.model import RESIDUAL, Model, Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.raster.protocol import RasterSource

__all__ = [
    "Batch",
    "Commit",
    "Part",
    "Work",
    "batches",
    "open_once",
    "parts",
    "read_shard",
    "run_batch",
    "run_shard",
    "write",
    "writer_for",
]

Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Work:
    """All that a worker anywhere needs to run any shard of a job; picklable and small.

    outputs     bands to keep, in the order of the file; all are among the spec's outputs
    open_model  zero-argument callable, picklable; the opened model is kept for the life of the process
    folder      job folder, on a file system that every worker sees
    key         digest of the job: a shard of another job is never taken for one of this
    """

    plan: Plan
    spec: ModelSpec
    source: RasterSource
    open_model: Callable[[], Model]
    outputs: tuple[str, ...]
    folder: Path
    key: str

    def path(self, index: int) -> Path:
        """Where the finished shard of that index lies."""
        return self.folder / f"shard-{index:07d}.bin"


@dataclass(frozen=True, slots=True)
class Batch:
    """Tiles that go through the model together, and the window of their shard; `inputs` is None when all are void."""

    tiles: list[Tile]
    window: Window
    inputs: Tiles | None


@dataclass(frozen=True, slots=True)
class Part:
    """The published cells of one tile: float32 (band, y, x), NaN where void; None when void throughout."""

    tile: Tile
    values: NDArray[np.float32] | None
    residual_m: float
    residual_mean: float = 0.0


@dataclass(frozen=True, slots=True)
class Commit:
    """What is left of a shard when it is done."""

    index: int
    bytes: int
    seconds_model: float


def read_shard(work: Work, index: int) -> Window:
    """The window around all tiles of a shard, read once, voids filled."""
    tiles = work.plan.tiles(index)
    rows = tiles[0].window[0]
    cols = slice(tiles[0].window[1].start, tiles[-1].window[1].stop)
    window = read_window(work.source, work.spec.inputs, rows, cols, work.plan.margin)
    window.guides.update(read_guides(work.source, work.spec.guides, rows, cols, work.plan.scale))
    return window


def batches(work: Work, index: int, window: Window) -> Iterator[Batch]:
    """The shard's tiles in their fixed batches; a tile whose part is void throughout is never shown to the model."""
    run: list[Tile] = []
    for tile in work.plan.tiles(index):
        if not window.valid[_inside(window, tile.part)].any():
            if run:
                yield _batch(work, run, window)
                run = []
            yield Batch([tile], window, None)
            continue
        run.append(tile)
        if len(run) == work.plan.batch:
            yield _batch(work, run, window)
            run = []
    if run:
        yield _batch(work, run, window)


def _batch(work: Work, tiles: list[Tile], window: Window) -> Batch:
    cut = [_inside(window, t.window) for t in tiles]
    inputs = Tiles(
        bands={name: np.stack([window.bands[name][c] for c in cut]) for name in work.spec.inputs},
        valid=np.stack([window.valid[c] for c in cut]),
        pixel_size_m=np.stack([window.pixel_size_m[:, c[0]] for c in cut]),
        guides={
            name: np.stack([values[_finer(c, work.plan.scale)] for c in cut]) for name, values in window.guides.items()
        },
    )
    return Batch(tiles, window, inputs)


def run_batch(work: Work, model: Model, batch: Batch) -> Outputs:
    """The model's output for a batch, nothing cropped; raises WeightsError when it is not what the spec declares."""
    if batch.inputs is None:
        return {}
    out = model(batch.inputs)
    n, y, x = batch.inputs.shape
    expected = (n, y * work.plan.scale, x * work.plan.scale)
    for name in work.outputs:
        found = out[name].shape if name in out else None
        if found != expected:
            raise WeightsError(
                f"model {work.spec.name!r}: output {name!r} has shape {found}, expected {expected} from its spec; "
                "the weights do not fit this version of Terrafine"
            )
    return out


def parts(work: Work, batch: Batch, out: Outputs) -> Iterator[Part]:
    """Crop, mask and stack each tile of a batch; raises WeightsError for a value that is not finite.

    How far a tile is from the observation is `residual` where the model gives it, else measured on block means of those
    outputs that are inputs too.
    """
    k = work.plan.scale
    for n, tile in enumerate(batch.tiles):
        if batch.inputs is None:
            yield Part(tile, None, 0.0)
            continue
        rows, cols = (
            slice((p.start - w.start) * k, (p.stop - w.start) * k) for p, w in zip(tile.part, tile.window, strict=True)
        )
        values = np.stack([out[name][n, rows, cols] for name in work.outputs])
        valid = batch.window.valid[_inside(batch.window, tile.part)]
        away: list[NDArray[np.float64]] = []
        if RESIDUAL in out:
            inner = tuple(
                slice(p.start - w.start, p.stop - w.start) for p, w in zip(tile.part, tile.window, strict=True)
            )
            away.append(out[RESIDUAL][n][inner][valid].astype(np.float64))
        for band, name in zip(values, work.outputs, strict=True):
            total = _block_sum(band, k)
            if not np.isfinite(total[valid]).all():
                raise WeightsError(
                    f"model {work.spec.name!r}: {name!r} is not finite in tile ({tile.row}, {tile.col}) where the "
                    "input is valid; the weights or the engine are damaged"
                )
            if name in work.spec.inputs and RESIDUAL not in out:
                coarse = batch.window.bands[name][_inside(batch.window, tile.part)]
                away.append(np.abs(total / k**2 - coarse)[valid])
        if not valid.all():
            values[:, np.repeat(np.repeat(~valid, k, axis=0), k, axis=1)] = np.nan
        yield Part(tile, values, *_summed(away))


def _summed(away: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Largest and mean of all; 0 where there is none."""
    found = np.concatenate(away) if away else np.zeros(0)
    return (float(found.max()), float(found.mean())) if found.size else (0.0, 0.0)


def writer_for(work: Work, index: int) -> ShardWriter:
    """The writer of that shard."""
    shard = work.plan.shard(index)
    return ShardWriter(work.path(index), work.key, index, shard.last - shard.first)


def write(writer: ShardWriter, work: Work, part: Part) -> None:
    """Append one part to its shard's file."""
    y, x = part.tile.part_shape
    shape = (len(work.outputs), y * work.plan.scale, x * work.plan.scale)
    writer.add(shape, part.values, part.residual_m, part.residual_mean)


def run_shard(work: Work, index: int) -> Commit:
    """Run one shard from reading to commit, as a Dask worker does; raises JobError when it sees no job folder."""
    if not (work.folder / "plan.json").is_file():
        raise JobError(
            f"{work.folder}: this worker does not see the job folder; all Dask workers must share the file system "
            "of the output. Write to a shared path, or run without --dask"
        )
    model, seconds = open_once(work.open_model), 0.0
    writer = writer_for(work, index)
    try:
        for batch in batches(work, index, read_shard(work, index)):
            start = time.perf_counter()
            out = run_batch(work, model, batch)
            seconds += time.perf_counter() - start
            for part in parts(work, batch, out):
                write(writer, work, part)
        return Commit(index, writer.commit(), seconds)
    finally:
        writer.abort()


_opened: dict[str, Model] = {}
_opening = threading.Lock()


def open_once(open_model: Callable[[], Model]) -> Model:
    """The model of that callable, opened once in a process; an earlier one is dropped, so memory holds one."""
    key = hashlib.sha256(pickle.dumps(open_model)).hexdigest()
    with _opening:
        if key not in _opened:
            _opened.clear()
            _opened[key] = open_model()
        return _opened[key]


def _inside(window: Window, span: tuple[slice, slice]) -> tuple[slice, slice]:
    (r, c), r0, c0 = span, window.rows.start, window.cols.start
    return slice(r.start - r0, r.stop - r0), slice(c.start - c0, c.stop - c0)


def _finer(span: tuple[slice, slice], k: int) -> tuple[slice, slice, slice]:
    """The same cells in (band, y, x) on the grid of k × k to one."""
    rows, cols = span
    return slice(None), slice(rows.start * k, rows.stop * k), slice(cols.start * k, cols.stop * k)


def _block_sum(fine: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Sums of k × k blocks, (y, x) of the coarse grid, in double precision."""
    rows = fine[0::k].astype(np.float64)
    for i in range(1, k):
        rows += fine[i::k]
    total = rows[:, 0::k].copy()
    for j in range(1, k):
        total += rows[:, j::k]
    return total
