"""All units of a run: one after the other here, or as plain futures of a Dask cluster, one unit a task.

A unit that fails is tried again, up to the number of retries; then its failure is written down and the run continues
with the others. A worker that dies loses nothing but its time: Dask gives its unit to another one, and a unit that is
lost with too many workers counts as failed. Where the first units all fail for the same reason the run stops, because
so would all others.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrafine.campaign.folder import Folder
from terrafine.campaign.plan import Plan, Unit
from terrafine.campaign.unit import Outcome, run_unit
from terrafine.errors import JobError, TerrafineError, UsageError
from terrafine.host import of_system
from terrafine.inference.executors.dask import GPU, cluster_device, connected, require_distributed, result_of
from terrafine.inference.progress import NoProgress, Progress

__all__ = ["Ended", "run_remotely", "run_units"]

_IN_FLIGHT = 4  # units for each thread of the cluster: the next ones are there when one ends
_HOPELESS = 12  # units that fail in a row, before any succeeds, for one reason

Work = Callable[[Plan, Path, Unit, int | None], Outcome]
_FAILURES = (TerrafineError, OSError, MemoryError, ValueError, RuntimeError, ArithmeticError, LookupError)


@dataclass(slots=True)
class Ended:
    """What a run came to.

    Attributes
    ----------
    done, empty
        Units that were finished, and units whose sources hold no observation.
    failed
        Units that failed, with the message.
    retried
        Tries that were repeated.
    bytes, seconds
        Bytes published, and seconds by step over all workers.
    wall
        Seconds that the run took.
    """

    done: int = 0
    empty: int = 0
    failed: list[tuple[Unit, str]] = field(default_factory=list)
    retried: int = 0
    bytes: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    wall: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a unit that was run."""
        self.empty += outcome.empty
        self.done += not outcome.empty
        self.bytes += outcome.bytes
        for name, value in outcome.seconds.items():
            self.seconds[name] += value  # type: ignore[assignment]


def run_units(
    plan: Plan,
    folder: Folder,
    units: Sequence[Unit],
    *,
    dask: Any = None,
    progress: Progress | None = None,
    retries: int = 2,
    work: Work | None = None,
) -> Ended:
    """Run units, here or on a cluster.

    Parameters
    ----------
    plan, folder
        The plan, and the campaign's folder.
    units
        Units to run.
    dask
        Address of a scheduler or a distributed.Client; None runs them here. Workers share the file system.
    progress
        Receives every unit that ends.
    retries
        Further tries of a unit that failed.
    work
        What runs a unit, by default `run_unit`; on a cluster it is pickled.

    Returns
    -------
    Ended

    Raises
    ------
    JobError
        Where no scheduler answers or it has no workers, and where the first units all fail for one reason.
    MissingExtraError
        Where Dask is not installed.
    """
    watch, work = progress or NoProgress(), work or run_unit
    begun = time.perf_counter()
    ended = Ended()
    keeper = _Keeper(plan, folder, ended, retries)
    if dask is None:
        _serial(plan, folder, units, work, keeper, watch)
    else:
        _on_cluster(plan, folder, units, dask, work, keeper, watch)
    ended.wall = time.perf_counter() - begun
    return ended


class _Keeper:
    """Counts tries, writes failures down, and stops a run in which nothing succeeds."""

    def __init__(self, plan: Plan, folder: Folder, ended: Ended, retries: int) -> None:
        self._plan, self._folder, self._retries = plan, folder, retries
        self.ended = ended
        self.tries: Counter[tuple[int, str]] = Counter()
        self._first: Counter[str] = Counter()

    def succeeded(self, unit: Unit, outcome: Outcome) -> None:
        self.ended.add(outcome)
        self.tries.pop((unit.epoch, unit.tile.name), None)

    def again(self, unit: Unit, error: BaseException) -> bool:
        """Whether the unit is to be tried again; if not, its failure is written."""
        key = (unit.epoch, unit.tile.name)
        self.tries[key] += 1
        if self.tries[key] <= self._retries and not isinstance(error, UsageError):
            self.ended.retried += 1
            return True
        self._folder.fail(self._plan, unit, error, self.tries[key])
        self.ended.failed.append((unit, str(error)))
        del self.tries[key]
        if not self.ended.done:
            reason = f"{type(error).__name__}: {str(error).rpartition(': ')[2]}"
            self._first[reason] += 1
            if self._first[reason] >= _HOPELESS:
                raise JobError(
                    f"the first {_HOPELESS} tiles all failed for one reason, so the run was stopped: {error}"
                ) from error
        return False


def _serial(plan: Plan, folder: Folder, units: Iterable[Unit], work: Work, keeper: _Keeper, watch: Progress) -> None:
    for unit in units:
        while True:
            try:
                outcome = work(plan, folder.path, unit, None)
            except _FAILURES as error:
                ours = of_system(error) if isinstance(error, OSError | MemoryError) else error
                if keeper.again(unit, ours):
                    continue
            else:
                keeper.succeeded(unit, outcome)
            break
        watch.advance(1)


def _on_cluster(
    plan: Plan, folder: Folder, units: Iterable[Unit], dask: Any, work: Work, keeper: _Keeper, watch: Progress
) -> None:
    distributed = require_distributed()
    with connected(dask) as client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise JobError(
                f"the Dask cluster at {client.scheduler.address} has no workers; start some and run the command again"
            )
        needs: Mapping[str, Any] = {}
        if plan.settings.run.device != "cpu" and cluster_device(client, _kind(plan)) == "cuda":
            needs = {"resources": dict(GPU)}
        loop = _Futures(client, distributed.as_completed, folder.path, work, needs)
        loop.run(units, threads * _IN_FLIGHT, folder, plan, keeper, watch)


def _kind(plan: Plan) -> str:
    """The device of the settings as a cluster takes it: no number of one machine."""
    return plan.settings.run.device.partition(":")[0]


class _Futures:
    """The futures of a run."""

    def __init__(self, client: Any, as_completed: Any, folder: Path, work: Work, needs: Mapping[str, Any]) -> None:
        self._client, self._as_completed = client, as_completed
        self._folder, self._work, self._needs = folder, work, needs
        self._run, self._count = uuid.uuid4().hex, itertools.count()
        self._unit_of: dict[str, Unit] = {}

    def _submit(self, plan: Plan, unit: Unit) -> Any:
        key = f"terrafine-campaign-{self._run}-{next(self._count)}"
        alone, slim = plan.alone(unit)
        future = self._client.submit(
            run_remotely, self._work, alone, self._folder, slim, pure=False, key=key, **self._needs
        )
        self._unit_of[future.key] = unit
        return future

    def run(
        self, units: Iterable[Unit], in_flight: int, folder: Folder, plan: Plan, keeper: _Keeper, watch: Progress
    ) -> None:
        queue = iter(units)
        first = [self._submit(plan, unit) for unit in itertools.islice(queue, in_flight)]
        pending = self._as_completed(first, loop=self._client.loop)
        try:
            for future in pending:
                unit = self._unit_of.pop(future.key)
                outcome, error = result_of(future)
                if error is None:
                    _check_visible(folder, plan, unit, outcome)
                    keeper.succeeded(unit, outcome)
                elif keeper.again(unit, of_system(error) if isinstance(error, OSError | MemoryError) else error):
                    pending.add(self._submit(plan, unit))
                    continue
                watch.advance(1)
                for following in itertools.islice(queue, 1):
                    pending.add(self._submit(plan, following))
        finally:
            with suppress(OSError, CancelledError):  # a scheduler that is gone has nothing to cancel
                self._client.cancel(list(pending.futures), force=True)


def run_remotely(work: Work, plan: Plan, folder: Path, unit: Unit) -> Outcome:
    """Run a unit in a worker; its error is raised alone, because what caused it may be one that cannot be unpickled.

    Errors of GDAL are such, and a client that cannot read the answer of a worker waits for it without end.

    Parameters
    ----------
    work, plan, folder, unit
        What runs the unit, and its arguments.

    Returns
    -------
    Outcome

    Raises
    ------
    TerrafineError
        What the work raised, without what caused it; RuntimeError for another kind of error.
    """
    try:
        return work(plan, folder, unit, 1)
    except _FAILURES as error:
        failure: Exception = of_system(error) if isinstance(error, OSError | MemoryError) else error
    if isinstance(failure, TerrafineError):
        raise type(failure)(str(failure))
    raise RuntimeError(f"{type(failure).__name__}: {failure}")


def _check_visible(folder: Folder, plan: Plan, unit: Unit, outcome: Outcome) -> None:
    """Raise JobError where this machine does not see the record that a worker wrote."""
    path = folder.tile(plan, unit, ".json")
    if not path.is_file():
        raise JobError(
            f"{path}: a Dask worker finished this tile ({outcome.bytes:,} bytes), but the file is not visible here; "
            "workers and this machine must share the file system of the campaign"
        )
