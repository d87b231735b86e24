"""Dask executor: shards as plain futures on a cluster whose workers share the file system of the output."""

from __future__ import annotations

import importlib
import itertools
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from terrafine.errors import JobError, MissingExtraError, TerrafineError, UsageError
from terrafine.inference.context import Commit, JobContext
from terrafine.inference.executors import ExecutorStats, shard_pixels
from terrafine.inference.progress import NoProgress, Progress
from terrafine.inference.shard import run_shard
from terrafine.inference.shardfile import is_whole

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["GPU", "cluster_device", "connected", "require_distributed", "result_of", "run_dask"]

GPU: Mapping[str, int] = {"GPU": 1}
"""The Dask resource that a worker with a GPU declares, and that a shard on one takes."""

_IN_FLIGHT = 3  # shards submitted for each Dask thread: enough to hide the transport


def require_distributed() -> Any:
    """Import the module `distributed`.

    Raises
    ------
    MissingExtraError
        Where the extra `dask` is not installed.
    """
    try:
        return importlib.import_module("distributed")
    except ImportError as e:
        raise MissingExtraError("running on Dask needs the extra `dask`; install terrafine[dask]") from e


def run_dask(
    context: JobContext,
    todo: Iterable[int],
    cluster: str | Client,
    progress: Progress | None = None,
    *,
    retries: int = 2,
    resources: Mapping[str, int] | None = None,
) -> ExecutorStats:
    """Run the shards of those indices on a cluster.

    Ctrl-C cancels what is queued and leaves the job to be resumed.

    Parameters
    ----------
    context
        The job, which is pickled to every worker.
    todo
        Indices of the shards to run.
    cluster
        Address of a scheduler, or a connected `distributed.Client`.
    progress
        Receives every finished shard.
    retries
        Number of failures of one shard, other than by an error of Terrafine, before the job stops.
    resources
        Of the worker that a shard takes, such as `GPU`; None for any worker.

    Returns
    -------
    ExecutorStats
        Shards run, tries repeated, seconds in the model over all workers.

    Raises
    ------
    MissingExtraError
        Where `distributed` is not installed.
    JobError
        Where no scheduler answers, it has no workers, a worker does not see the job folder, the scheduler is lost, or
        a shard failed too often, or arrived damaged as often.
    """
    distributed = require_distributed()
    progress = NoProgress() if progress is None else progress
    with connected(cluster) as client:
        return _run_on(client, distributed.as_completed, context, todo, progress, retries, resources)


@contextmanager
def connected(cluster: str | Client) -> Iterator[Any]:
    """Give a client of a cluster for the block: the client as given, or one to the scheduler at that address.

    A scheduler that is lost within the block becomes a JobError, whatever `distributed` calls it.

    Parameters
    ----------
    cluster
        A scheduler's address, or a connected client.

    Yields
    ------
    Any
        The client.

    Raises
    ------
    JobError
        Where no scheduler answers, or it is lost within the block.
    """
    distributed = require_distributed()
    if not isinstance(cluster, str):
        with _watched(distributed, cluster):
            yield cluster
        return
    try:
        _check_address(distributed, cluster)
        client = distributed.Client(cluster, set_as_default=False)
    except (OSError, ValueError) as e:
        raise JobError(
            f"no Dask scheduler answers at {cluster} ({e}); expected an address such as tcp://host:8786"
        ) from e
    with client, _watched(distributed, client):
        yield client


@contextmanager
def _watched(distributed: Any, client: Any) -> Iterator[None]:
    """Turn the loss of the scheduler into a JobError; an error of the system is one where the client is cut off."""
    lost = (distributed.comm.core.CommClosedError, distributed.client.ClosedClientError, CancelledError)
    try:
        yield
    except (*lost, OSError) as e:
        if not isinstance(e, lost) and client.status == "running":
            raise
        raise JobError(
            f"the Dask scheduler at {client.scheduler.address if client.scheduler else 'its address'} was lost "
            f"({type(e).__name__}: {e}); start it and run the command again, which resumes"
        ) from e


def result_of(future: Any) -> tuple[Any, BaseException | None]:
    """Fetch what a future that has ended came to.

    Parameters
    ----------
    future
        The future.

    Returns
    -------
    tuple
        Its result and None; or None and the error of its task, of its worker, or of the way to it.
    """
    if future.status == "error":
        return None, cast(BaseException, future.exception())
    if future.status != "finished":
        return None, ConnectionError(f"the future is {future.status}")
    try:
        return future.result(), None
    except (OSError, CancelledError) as e:  # its worker, or the scheduler, died with the result
        return None, e


def _check_address(distributed: Any, address: str) -> None:
    """Raise ValueError for text that is not an address, because half a client would be collected after a minute."""
    scheme, place = distributed.comm.parse_address(address)
    if scheme != "inproc":
        distributed.comm.addressing.parse_host_port(place)


def cluster_device(cluster: str | Client, device: str) -> str:
    """Resolve the device of a run on a cluster.

    Parameters
    ----------
    cluster
        A scheduler's address, or a connected client.
    device
        `cpu`, `cuda`, or `auto`: CUDA where a worker declares the resource GPU, else the CPU.

    Returns
    -------
    str
        `cpu` or `cuda`.

    Raises
    ------
    UsageError
        For `cuda` without such a worker, and for a device of one machine.
    JobError
        Where no scheduler answers.
    """
    if device == "cpu":
        return device
    if device not in ("auto", "cuda"):
        raise UsageError(f'device {device!r}: Dask workers take device="cpu", device="cuda" or device="auto"')
    with connected(cluster) as client:
        gpus = _workers_with(client, "GPU")
    if device == "cuda" and not gpus:
        raise UsageError(
            'device "cuda": no worker of the Dask cluster declares the resource GPU; start workers with '
            'one thread and the resource GPU=1 each, or choose device="cpu"'
        )
    return "cuda" if gpus else "cpu"


def _workers_with(client: Any, resource: str) -> int:
    identity = client.sync(client.scheduler.identity, n_workers=-1)
    return sum(float(worker.get("resources", {}).get(resource, 0)) >= 1 for worker in identity["workers"].values())


def _run_on(
    client: Any,
    as_completed: Any,
    context: JobContext,
    todo: Iterable[int],
    progress: Progress,
    retries: int,
    resources: Mapping[str, int] | None,
) -> ExecutorStats:
    threads = sum(client.nthreads().values())
    if not threads:
        raise JobError(
            f"the Dask cluster at {client.scheduler.address} has no workers; start some and run the command again"
        )
    needs = {} if resources is None else {"resources": dict(resources)}
    run = uuid.uuid4().hex
    queue = iter(todo)
    tries: Counter[int] = Counter()
    seconds: list[float] = []
    index_of: dict[str, int] = {}

    def submit(index: int) -> Any:
        tries[index] += 1
        key = f"terrafine-{run}-{index}-{tries[index]}"
        future = client.submit(run_shard, context, index, pure=False, key=key, **needs)
        index_of[future.key] = index
        return future

    pending = as_completed([submit(i) for i in itertools.islice(queue, threads * _IN_FLIGHT)], loop=client.loop)
    try:
        for future in pending:
            index = index_of.pop(future.key)
            commit, failure = result_of(future)
            if failure is None:
                failure = _failure(context, commit)
            if failure is not None:
                if future.status != "error":
                    _require_workers(client)  # a scheduler that was started again may have none, and would wait
                _raise_unless_repeatable(index, tries[index], retries, failure)
                pending.add(submit(index))
                continue
            seconds.append(commit.seconds_model)
            progress.advance(shard_pixels(context, index))
            if tries[index] == 1:
                del tries[index]  # the count of a continent's shards stays small
            for following in itertools.islice(queue, 1):
                pending.add(submit(following))
    finally:
        with suppress(OSError, CancelledError):  # a scheduler that is gone has nothing to cancel
            client.cancel(list(pending.futures), force=True)
    return ExecutorStats(len(seconds), sum(n - 1 for n in tries.values()), sum(seconds))


def _require_workers(client: Any) -> None:
    """Raise JobError where a cluster that has lost results has no worker to run them again."""
    if not client.nthreads():
        raise JobError(
            f"the Dask cluster at {client.scheduler.address} has lost its workers; start some and run the command "
            "again, which resumes"
        )


def _raise_unless_repeatable(index: int, tried: int, retries: int, error: BaseException) -> None:
    if isinstance(error, TerrafineError):
        raise error
    if tried > retries:
        raise JobError(
            f"shard {index} failed {tried} times on Dask, the last time with {type(error).__name__}: {error}; "
            "check the workers and run the command again, it resumes with the unfinished shards"
        ) from error


def _failure(context: JobContext, commit: Commit) -> BaseException | None:
    """Why a committed shard has to be run again; None where its file is here, whole to its last byte."""
    path = context.path(commit.index)
    if not path.is_file():
        return JobError(
            f"{path}: a Dask worker finished this shard, but the file is not visible here; "
            "workers and this machine must share the file system of the output"
        )
    if not is_whole(path, context.key, commit.index):
        return OSError(f"{path} arrived damaged, {path.stat().st_size} of {commit.bytes} bytes")
    return None
