"""Shards of a job run in this process, or as plain futures on a Dask cluster. The bytes are the same."""

from __future__ import annotations

import importlib
import itertools
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from terrafine.errors import JobError, MissingExtraError, TerrafineError
from terrafine.inference.progress import Progress, Silent
from terrafine.inference.shard import (
    Batch,
    Commit,
    Outputs,
    Work,
    batches,
    open_once,
    parts,
    read_shard,
    run_batch,
    run_shard,
    write,
    writer_for,
)
from terrafine.inference.shardfile import ShardWriter, is_whole

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Ran", "run_dask", "run_serial"]

_AHEAD = 1  # shards read while the model works
_BEHIND = 2  # batches waiting to be written
_IN_FLIGHT = 3  # shards submitted for each Dask thread: enough to hide the way there and back

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Ran:
    """What an executor did: shards run, tries repeated, and seconds inside the model summed over all workers."""

    shards: int
    retries: int
    seconds_model: float


def run_serial(work: Work, todo: Iterable[int], progress: Progress | None = None) -> Ran:
    """Run shards one after the other in this process, reading ahead and committing behind the model in threads.

    An exception, and Ctrl-C, leaves every committed shard in place and no half-written one.
    """
    progress = Silent() if progress is None else progress
    model, seconds, count = open_once(work.open_model), 0.0, 0
    writers: deque[ShardWriter] = deque(maxlen=_BEHIND + 2)  # as many as can be unfinished
    try:
        with (
            ThreadPoolExecutor(1, "terrafine-commit") as committer,
            closing(_ahead(lambda i: (i, read_shard(work, i)), todo, _AHEAD)) as shards,
        ):
            waiting: deque[Future[Any]] = deque()
            for index, window in shards:
                writer = writer_for(work, index)
                writers.append(writer)
                for batch in batches(work, index, window):
                    start = time.perf_counter()
                    out = run_batch(work, model, batch)
                    seconds += time.perf_counter() - start
                    waiting.append(committer.submit(_write_batch, writer, work, batch, out))
                    _settle(waiting, _BEHIND)
                waiting.append(committer.submit(writer.commit))
                count += 1
                _settle(waiting, _BEHIND)
                progress.advance(_pixels(work, index))
            _settle(waiting, 0)
    finally:
        for writer in writers:
            writer.abort()
    return Ran(count, 0, seconds)


def run_dask(
    work: Work, todo: Iterable[int], cluster: str | Client, progress: Progress | None = None, *, retries: int = 2
) -> Ran:
    """Run shards as futures on a cluster whose workers share the file system of the output.

    cluster   scheduler address, or a connected distributed.Client
    retries   how often one shard may fail, other than by an error of ours, before the job stops

    Raises JobError when a worker does not see the job folder, or a shard failed too often; Ctrl-C cancels what is
    queued and leaves the job to be resumed.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as e:
        raise MissingExtraError("running on Dask needs the extra `dask`; install terrafine[dask]") from e
    progress = Silent() if progress is None else progress
    if not isinstance(cluster, str):
        return _run_on(cluster, distributed.as_completed, work, todo, progress, retries)
    try:
        client = distributed.Client(cluster, set_as_default=False)
    except (OSError, ValueError) as e:
        raise JobError(
            f"no Dask scheduler answers at {cluster} ({e}); expected an address such as tcp://host:8786"
        ) from e
    with client:
        return _run_on(client, distributed.as_completed, work, todo, progress, retries)


def _run_on(client: Any, as_completed: Any, work: Work, todo: Iterable[int], progress: Progress, retries: int) -> Ran:
    threads = sum(client.nthreads().values())
    if not threads:
        raise JobError(
            f"the Dask cluster at {client.scheduler.address} has no workers; start some and run the command again"
        )
    run = uuid.uuid4().hex
    left = iter(todo)
    tries: Counter[int] = Counter()
    ran: list[float] = []
    index_of: dict[str, int] = {}

    def submit(index: int) -> Any:
        tries[index] += 1
        future = client.submit(run_shard, work, index, pure=False, key=f"terrafine-{run}-{index}-{tries[index]}")
        index_of[future.key] = index
        return future

    flying = as_completed([submit(i) for i in itertools.islice(left, threads * _IN_FLIGHT)], loop=client.loop)
    try:
        for future in flying:
            index = index_of.pop(future.key)
            if future.status != "finished":
                lost = ConnectionError(f"the future is {future.status}")
                error = future.exception() if future.status == "error" else lost
                _give_up_or_not(index, tries[index], retries, error)
                flying.add(submit(index))
                continue
            commit: Commit = future.result()
            _see(work, commit)
            ran.append(commit.seconds_model)
            progress.advance(_pixels(work, index))
            if tries[index] == 1:
                del tries[index]  # the count of a continent's shards stays small
            for following in itertools.islice(left, 1):
                flying.add(submit(following))
    finally:
        client.cancel(list(flying.futures), force=True)
    return Ran(len(ran), sum(n - 1 for n in tries.values()), sum(ran))


def _give_up_or_not(index: int, tried: int, retries: int, error: BaseException) -> None:
    if isinstance(error, TerrafineError):
        raise error
    if tried > retries:
        raise JobError(
            f"shard {index} failed {tried} times on Dask, the last time with {type(error).__name__}: {error}; "
            "see to the workers and run the command again, it goes on where it stopped"
        ) from error


def _see(work: Work, commit: Commit) -> None:
    path = work.path(commit.index)
    if not path.is_file():
        raise JobError(
            f"{path}: a Dask worker finished this shard, but the file is not to be seen here; "
            "workers and this machine must share the file system of the output"
        )
    if path.stat().st_size != commit.bytes and not is_whole(path, work.key, commit.index):
        raise JobError(
            f"{path}: {path.stat().st_size} bytes, a Dask worker wrote {commit.bytes}; see to the shared file system"
        )


def _write_batch(writer: ShardWriter, work: Work, batch: Batch, out: Outputs) -> None:
    for part in parts(work, batch, out):
        write(writer, work, part)


def _settle(waiting: deque[Future[Any]], most: int) -> None:
    """Wait until at most so many are waiting; an error in the thread is raised here."""
    while len(waiting) > most:
        waiting.popleft().result()


def _ahead(function: Callable[[A], B], items: Iterable[A], depth: int) -> Generator[B, None, None]:
    """Map in a thread that is at most `depth` items ahead of the consumer."""
    with ThreadPoolExecutor(1, "terrafine-read") as pool:
        pending: deque[Future[B]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _pixels(work: Work, index: int) -> int:
    """Output pixels of one shard."""
    shard, plan = work.plan.shard(index), work.plan
    first, last = plan.tile_at(shard.row, shard.first).inner, plan.tile_at(shard.row, shard.last - 1).inner
    rows, cols = first[0].stop - first[0].start, last[1].stop - first[1].start
    return int(rows) * int(cols) * plan.scale**2
