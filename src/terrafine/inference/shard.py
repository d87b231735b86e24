"""Steps of one shard, in the order of both executors: read with halo, fill nodata, run the model, crop, commit."""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from terrafine.errors import JobError, WeightsError
from terrafine.inference.context import Batch, Commit, JobContext, Outputs, TileOutput
from terrafine.inference.crop import crop_tiles, inside
from terrafine.inference.plan import Tile
from terrafine.inference.shardfile import ShardWriter
from terrafine.inference.window import Window, read_guides, read_window
from terrafine.nn.model import Model, Tiles

__all__ = [
    "batches",
    "open_once",
    "read_shard",
    "run_batch",
    "run_shard",
    "run_tiles",
    "shard_writer",
    "write_tile",
]


def read_shard(context: JobContext, index: int) -> Window:
    """Read the window around all tiles of a shard, with nodata filled.

    Parameters
    ----------
    context
        The job.
    index
        Index of the shard.

    Returns
    -------
    Window
        The window.
    """
    rows, cols = context.plan.window(index)
    window = read_window(context.source, context.spec.inputs, rows, cols, context.plan.margin)
    window.guides.update(read_guides(context.source, context.spec.guides, rows, cols, context.plan.scale))
    return window


def batches(context: JobContext, index: int, window: Window) -> Iterator[Batch]:
    """Divide a shard's tiles into batches; tiles whose part is nodata throughout are not input of the model.

    Parameters
    ----------
    context
        The job.
    index
        Index of the shard.
    window
        Window of the shard.

    Yields
    ------
    Batch
        The batches, in a fixed order.
    """
    run: list[Tile] = []
    for tile in context.plan.tiles(index):
        if not window.valid[inside(window, tile.part)].any():
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
    cut = [inside(window, t.window) for t in tiles]
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
    """Run the model on a batch, without cropping.

    Parameters
    ----------
    context
        The job.
    model
        The opened model.
    batch
        The batch.

    Returns
    -------
    Outputs
        Band -> float32 (tile, y, x) on the fine grid; empty for a batch of nodata.

    Raises
    ------
    WeightsError
        Where the output is not what the spec declares.
    """
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


def run_tiles(context: JobContext, model: Model, index: int) -> Iterator[TileOutput]:
    """Read a shard, run the model on it and crop its tiles, without any file.

    Parameters
    ----------
    context
        The job.
    model
        The opened model.
    index
        Index of the shard.

    Yields
    ------
    TileOutput
        The cells of each tile.
    """
    for batch in batches(context, index, read_shard(context, index)):
        yield from crop_tiles(context, batch, run_batch(context, model, batch))


def shard_writer(context: JobContext, index: int) -> ShardWriter:
    """Create the writer of a shard.

    Parameters
    ----------
    context
        The job.
    index
        Index of the shard.

    Returns
    -------
    ShardWriter
        The writer.
    """
    shard = context.plan.shard(index)
    return ShardWriter(context.path(index), context.key, index, shard.last - shard.first)


def write_tile(writer: ShardWriter, context: JobContext, tile: TileOutput) -> None:
    """Append one tile to the file of its shard.

    Parameters
    ----------
    writer
        Writer of the shard.
    context
        The job.
    tile
        Published cells of the tile.

    Raises
    ------
    DiskError
        Where the disk is full.
    JobError
        Where the file cannot be written.
    """
    y, x = tile.tile.part_shape
    shape = (len(context.outputs), y * context.plan.scale, x * context.plan.scale)
    writer.add(shape, tile.values, tile.residual_m, tile.residual_mean)


def run_shard(context: JobContext, index: int) -> Commit:
    """Run one shard from reading to commit, as a Dask worker does.

    Parameters
    ----------
    context
        The job.
    index
        Index of the shard.

    Returns
    -------
    Commit
        The committed shard.

    Raises
    ------
    JobError
        Where the worker does not find the job folder, or the shard cannot be written.
    """
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
    """Open a model once in a process; another model is dropped, so that memory holds one.

    Parameters
    ----------
    open_model
        Zero-argument callable that returns the model.

    Returns
    -------
    Model
        The opened model.
    """
    key = hashlib.sha256(pickle.dumps(open_model)).hexdigest()
    with _opening:
        if key not in _opened:
            _opened.clear()
            _opened[key] = open_model()
        return _opened[key]


def _finer(span: tuple[slice, slice], k: int) -> tuple[slice, slice, slice]:
    """The same cells in (band, y, x) on the grid of k × k to one."""
    rows, cols = span
    return slice(None), slice(rows.start * k, rows.stop * k), slice(cols.start * k, cols.stop * k)
