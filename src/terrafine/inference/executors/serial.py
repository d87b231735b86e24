"""Serial executor: shards in sequence in this process, with one thread for reading and one for writing."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

from terrafine.inference.context import Batch, JobContext, Outputs
from terrafine.inference.crop import crop_tiles
from terrafine.inference.executors import ExecutorStats, shard_pixels
from terrafine.inference.progress import NoProgress, Progress
from terrafine.inference.shard import batches, open_once, read_shard, run_batch, shard_writer, write_tile
from terrafine.inference.shardfile import ShardWriter

__all__ = ["run_serial"]

_log = logging.getLogger(__name__)
_READ_AHEAD = 1  # shards read while the model works
_WRITE_BEHIND = 2  # batches that may wait to be written

A = TypeVar("A")
B = TypeVar("B")


def run_serial(context: JobContext, todo: Iterable[int], progress: Progress | None = None) -> ExecutorStats:
    """Run shards in this process.

    An exception, or Ctrl-C, keeps every committed shard and leaves no partial one.

    Parameters
    ----------
    context
        The job.
    todo
        Indices of the shards to run, in order.
    progress
        Receives every shard that the model has finished.

    Returns
    -------
    ExecutorStats
        Shards run and seconds in the model.

    Raises
    ------
    WeightsError
        Where the model's output is not what its spec declares.
    DiskError, JobError
        Where a shard cannot be written.
    """
    progress = NoProgress() if progress is None else progress
    model, seconds, count = open_once(context.open_model), 0.0, 0
    writers: deque[ShardWriter] = deque(maxlen=_WRITE_BEHIND + 2)  # as many as can be unfinished
    try:
        with (
            ThreadPoolExecutor(1, "terrafine-commit") as committer,
            closing(_mapped_ahead(lambda i: (i, read_shard(context, i)), todo, _READ_AHEAD)) as shards,
        ):
            writes: deque[Future[Any]] = deque()
            for index, window in shards:
                writer = shard_writer(context, index)
                writers.append(writer)
                for batch in batches(context, index, window):
                    start = time.perf_counter()
                    out = run_batch(context, model, batch)
                    seconds += time.perf_counter() - start
                    writes.append(committer.submit(_write_batch, writer, context, batch, out))
                    _wait_for(writes, _WRITE_BEHIND)
                writes.append(committer.submit(writer.commit))
                count += 1
                _log.debug("shard %d has been through the model", index)
                _wait_for(writes, _WRITE_BEHIND)
                progress.advance(shard_pixels(context, index))
            _wait_for(writes, 0)
    finally:
        for writer in writers:
            writer.abort()
    return ExecutorStats(count, 0, seconds)


def _write_batch(writer: ShardWriter, context: JobContext, batch: Batch, out: Outputs) -> None:
    for tile in crop_tiles(context, batch, out):
        write_tile(writer, context, tile)


def _wait_for(writes: deque[Future[Any]], most: int) -> None:
    """Wait until at most so many writes are unfinished; an error in the thread is raised here."""
    while len(writes) > most:
        writes.popleft().result()


def _mapped_ahead(function: Callable[[A], B], items: Iterable[A], depth: int) -> Generator[B, None, None]:
    """Map in a thread that is at most `depth` items ahead of the consumer."""
    with ThreadPoolExecutor(1, "terrafine-read") as pool:
        pending: deque[Future[B]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
