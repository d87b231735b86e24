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

from terrafine.errors import JobError, OutputError, WeightsError
from terrafine.inference.plan import Plan, Tile
from terrafine.inference.shardfile import ShardWriter
from terrafine.inference.window import Window, read_guides, read_window
from terrafine.nn.model import RESIDUAL, Model, Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.raster.bands import BANDS
from terrafine.raster.protocol import RasterSource
from terrafine.raster.warp.resample import block_sum

__all__ = [
    "Batch",
    "Commit",
    "TileOutput",
    "JobContext",
    "batches",
    "check_residual",
    "open_once",
    "crop_tiles",
    "read_shard",
    "run_batch",
    "run_shard",
    "write_tile",
    "shard_writer",
]

Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class JobContext:
    """All that a worker anywhere needs to run any shard of a job; picklable and small.

    Attributes
    ----------
    plan, spec, source
        How the raster is divided, what the model is, and the coarse raster.
    open_model
        Zero-argument callable, picklable; the opened model is kept for the life of the process.
    outputs
        Bands to keep, in the order of the file; all are among the spec's outputs.
    folder
        The job folder, on a file system that every worker sees.
    key
        Digest of the job: a shard of another job is never taken for one of this job.
    residual_limit
        Largest residual that may be committed, in the input's unit; None for any.
    """

    plan: Plan
    spec: ModelSpec
    source: RasterSource
    open_model: Callable[[], Model]
    outputs: tuple[str, ...]
    folder: Path
    key: str
    residual_limit: float | None = None

    def path(self, index: int) -> Path:
        """Where the finished shard of that index lies."""
        return self.folder / f"shard-{index:07d}.bin"


@dataclass(frozen=True, slots=True)
class Batch:
    """Tiles that go through the model together, and the window of their shard; `inputs` is None when all are nodata."""

    tiles: list[Tile]
    window: Window
    inputs: Tiles | None


@dataclass(frozen=True, slots=True)
class TileOutput:
    """The published cells of one tile: float32 (band, y, x), NaN where nodata; None when nodata throughout."""

    tile: Tile
    values: NDArray[np.float32] | None
    residual_m: float
    residual_mean: float = 0.0


@dataclass(frozen=True, slots=True)
class Commit:
    """A committed shard: its index, its size on disk, and the seconds it took in the model."""

    index: int
    bytes: int
    seconds_model: float


def read_shard(context: JobContext, index: int) -> Window:
    """The window around all tiles of a shard, read once, nodata filled."""
    tiles = context.plan.tiles(index)
    rows = tiles[0].window[0]
    cols = slice(tiles[0].window[1].start, tiles[-1].window[1].stop)
    window = read_window(context.source, context.spec.inputs, rows, cols, context.plan.margin)
    window.guides.update(read_guides(context.source, context.spec.guides, rows, cols, context.plan.scale))
    return window


def batches(context: JobContext, index: int, window: Window) -> Iterator[Batch]:
    """The shard's tiles in their fixed batches; a tile whose part is nodata throughout is never given to the model."""
    run: list[Tile] = []
    for tile in context.plan.tiles(index):
        if not window.valid[_inside(window, tile.part)].any():
            if run:
                yield _batch(context, run, window)
                run = []
            yield Batch([tile], window, None)
            continue
        run.append(tile)
        if len(run) == context.plan.batch:
            yield _batch(context, run, window)
            run = []
    if run:
        yield _batch(context, run, window)


def _batch(context: JobContext, tiles: list[Tile], window: Window) -> Batch:
    cut = [_inside(window, t.window) for t in tiles]
    inputs = Tiles(
        bands={name: np.stack([window.bands[name][c] for c in cut]) for name in context.spec.inputs},
        valid=np.stack([window.valid[c] for c in cut]),
        pixel_size_m=np.stack([window.pixel_size_m[:, c[0]] for c in cut]),
        guides={
            name: np.stack([values[_finer(c, context.plan.scale)] for c in cut])
            for name, values in window.guides.items()
        },
    )
    return Batch(tiles, window, inputs)


def run_batch(context: JobContext, model: Model, batch: Batch) -> Outputs:
    """The model's output for a batch, nothing cropped; raises WeightsError when it is not what the spec declares."""
    if batch.inputs is None:
        return {}
    out = model(batch.inputs)
    n, y, x = batch.inputs.shape
    expected = (n, y * context.plan.scale, x * context.plan.scale)
    for name in context.outputs:
        found = out[name].shape if name in out else None
        if found != expected:
            raise WeightsError(
                f"model {context.spec.name!r}: output {name!r} has shape {found}, expected {expected} from its spec; "
                "the weights do not fit this version of Terrafine"
            )
    return out


def crop_tiles(context: JobContext, batch: Batch, out: Outputs) -> Iterator[TileOutput]:
    """Crop, mask and stack each tile of a batch; raises WeightsError for a value that is not finite.

    The residual of a tile is `residual` where the model gives it, else it is measured on block means of those outputs
    that are inputs too.
    """
    k = context.plan.scale
    for n, tile in enumerate(batch.tiles):
        if batch.inputs is None:
            yield TileOutput(tile, None, 0.0)
            continue
        rows, cols = (
            slice((p.start - w.start) * k, (p.stop - w.start) * k) for p, w in zip(tile.part, tile.window, strict=True)
        )
        values = np.stack([out[name][n, rows, cols] for name in context.outputs])
        valid = batch.window.valid[_inside(batch.window, tile.part)]
        differences: list[NDArray[np.float64]] = []
        if RESIDUAL in out:
            inner = tuple(
                slice(p.start - w.start, p.stop - w.start) for p, w in zip(tile.part, tile.window, strict=True)
            )
            differences.append(out[RESIDUAL][n][inner][valid].astype(np.float64))
        for band, name in zip(values, context.outputs, strict=True):
            total = block_sum(band, k)
            if not np.isfinite(total[valid]).all():
                raise WeightsError(
                    f"model {context.spec.name!r}: {name!r} is not finite in tile ({tile.row}, {tile.col}) where the "
                    "input is valid; the weights or the engine are damaged"
                )
            if name in context.spec.inputs and RESIDUAL not in out:
                coarse = batch.window.bands[name][_inside(batch.window, tile.part)]
                differences.append(np.abs(total / k**2 - coarse)[valid])
            _require_range(context, name, band, valid, f"in tile ({tile.row}, {tile.col})")
        if not valid.all():
            values[:, np.repeat(np.repeat(~valid, k, axis=0), k, axis=1)] = np.nan
        residual, mean = _summed(differences)
        check_residual(context, residual, f"in tile ({tile.row}, {tile.col}) ")
        yield TileOutput(tile, values, residual, mean)


def _require_range(
    context: JobContext, name: str, values: NDArray[np.float32], valid: NDArray[np.bool_], where: str
) -> None:
    """Raise OutputError for metres out of the band's valid range, which no reader would take."""
    known = BANDS.get(name)
    if known is None or known.unit != "m" or (known.valid[0] <= values.min() and values.max() <= known.valid[1]):
        return
    k = context.plan.scale
    found = values[np.repeat(np.repeat(valid, k, axis=0), k, axis=1)]
    if found.size and not (known.valid[0] <= found.min() and found.max() <= known.valid[1]):
        raise OutputError(
            f"model {context.spec.name!r}: {name} from {found.min():.6g} to {found.max():.6g} m {where}; expected "
            f"{known.valid[0]:g} to {known.valid[1]:g} m. Check the weights, the pixel size and the input"
        )


def check_residual(context: JobContext, residual: float, where: str = "") -> None:
    """Raise OutputError for a residual above the limit of the job."""
    limit = context.residual_limit
    if limit is not None and not residual <= limit:
        raise OutputError(
            f"model {context.spec.name!r}: {where}the block means of the output differ from the input by up to "
            f"{residual:.3g} m; expected at most {limit:g} m. Check the pixel size and the weights, or publish the "
            'output as the model gives it with consistency="none"'
        )


def _summed(differences: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Largest and mean of all; 0 where there is none."""
    found = np.concatenate(differences) if differences else np.zeros(0)
    return (float(found.max()), float(found.mean())) if found.size else (0.0, 0.0)


def shard_writer(context: JobContext, index: int) -> ShardWriter:
    """The writer of that shard."""
    shard = context.plan.shard(index)
    return ShardWriter(context.path(index), context.key, index, shard.last - shard.first)


def write_tile(writer: ShardWriter, context: JobContext, tile: TileOutput) -> None:
    """Append one tile to its shard's file."""
    y, x = tile.tile.part_shape
    shape = (len(context.outputs), y * context.plan.scale, x * context.plan.scale)
    writer.add(shape, tile.values, tile.residual_m, tile.residual_mean)


def run_shard(context: JobContext, index: int) -> Commit:
    """Run one shard from reading to commit, as a Dask worker does; raises JobError where it sees no job folder."""
    if not (context.folder / "plan.json").is_file():
        raise JobError(
            f"{context.folder}: this worker does not see the job folder; all Dask workers must share the file system "
            "of the output. Write to a shared path, or run without dask=ADDRESS"
        )
    model, seconds = open_once(context.open_model), 0.0
    writer = shard_writer(context, index)
    try:
        for batch in batches(context, index, read_shard(context, index)):
            start = time.perf_counter()
            out = run_batch(context, model, batch)
            seconds += time.perf_counter() - start
            for tile in crop_tiles(context, batch, out):
                write_tile(writer, context, tile)
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
