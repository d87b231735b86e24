"""A cluster that loses its scheduler, its memory or its client in the middle of a run: the job is resumed, whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.clusters import Cluster
from tests.support.fakes import Box, noisy_heights, run, source, spec
from tests.support.paths import ROOT

from terrafine.errors import JobError
from terrafine.inference.job import job_folder

pytest.importorskip("distributed")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # distributed warns as its scheduler goes

SPEC = spec(scale=2, halo=3, tile=16)
CLIENT = """
import sys
from tests.reliability import test_dask_losses as here
here.small_shards()
here.run(sys.argv[1], here.heights(), here.SPEC, here.Unhurried, batch=2, dask=sys.argv[2])
"""


class Unhurried(Box):
    """Takes its time, so that something can happen in the middle."""

    def __call__(self, tiles):
        time.sleep(0.3)
        return super().__call__(tiles)


class Hungry(Box):
    """Takes more memory than its worker may have."""

    def __call__(self, tiles):
        kept = bytearray(os.urandom(1 << 20)) * 3000
        time.sleep(3)
        return super().__call__(tiles) if kept else {}


def heights():
    return source(noisy_heights((90, 70), 1, 0.02))


def small_shards() -> None:
    from terrafine.inference import planner

    planner._SHARD_PIXELS = 2_000


@pytest.fixture(autouse=True)
def shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terrafine.inference.planner._SHARD_PIXELS", 2_000)


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    run(tmp_path / "calm.npy", heights(), SPEC, Box, batch=2)
    return (tmp_path / "calm.npy").read_bytes()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def make(**more: object) -> Cluster:
        (tmp_path / "cluster").mkdir(exist_ok=True)
        made.append(Cluster(tmp_path / "cluster", **more))
        made[-1].wait(int(more.get("workers", 2)))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


def some_shards(out: Path, count: int = 2) -> None:
    """Wait until so many shards are finished."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if len(list(job_folder(out).glob("shard-*.bin"))) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("no shard is finished after two minutes")


def test_a_scheduler_that_restarts_in_mid_run_ends_the_run_and_the_next_one_resumes(
    tmp_path: Path, start: Callable[..., Cluster], expected: bytes
) -> None:
    cluster, out = start(), tmp_path / "out.npy"
    seen: list[BaseException | None] = []

    def client() -> None:
        try:
            run(out, heights(), SPEC, Unhurried, batch=2, dask=cluster.address)
            seen.append(None)
        except BaseException as error:  # noqa: BLE001 - what it is, is the question
            seen.append(error)

    thread = threading.Thread(target=client)
    thread.start()
    some_shards(out)
    cluster.restart_scheduler()
    thread.join(240)
    assert not thread.is_alive(), "the client waits for a scheduler that lost its tasks"
    assert seen[0] is None or isinstance(seen[0], JobError), repr(seen[0])
    assert not out.exists() or out.read_bytes() == expected
    if seen[0] is not None:
        cluster.add_worker()
        cluster.wait(1)
        report = run(out, heights(), SPEC, Unhurried, batch=2, dask=cluster.address)
        assert report.shards_resumed >= 2
    assert out.read_bytes() == expected and not job_folder(out).exists()


def test_a_worker_above_its_memory_ends_the_run_with_a_reason_and_another_machine_resumes(
    tmp_path: Path, start: Callable[..., Cluster], expected: bytes
) -> None:
    cluster, out = start(workers=1, memory="700MB"), tmp_path / "out.npy"
    with pytest.raises(JobError, match=r"failed 3 times on Dask|KilledWorker"):
        run(out, heights(), SPEC, Hungry, batch=2, dask=cluster.address)
    assert not out.exists()
    run(out, heights(), SPEC, Box, batch=2)
    assert out.read_bytes() == expected and not job_folder(out).exists()


def test_a_killed_client_leaves_a_job_that_any_run_resumes(
    tmp_path: Path, start: Callable[..., Cluster], expected: bytes
) -> None:
    cluster, out = start(), tmp_path / "out.npy"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(out), cluster.address], env=env)
    some_shards(out)
    client.send_signal(signal.SIGKILL)
    client.wait()
    assert not out.exists()
    report = run(out, heights(), SPEC, Unhurried, batch=2, dask=cluster.address)
    assert report.shards_resumed >= 2
    assert out.read_bytes() == expected and not job_folder(out).exists()


def test_a_killed_worker_is_replaced_by_one_that_comes_later(
    tmp_path: Path, start: Callable[..., Cluster], expected: bytes
) -> None:
    cluster, out = start(), tmp_path / "out.npy"
    killer = threading.Thread(target=lambda: (some_shards(out), cluster.kill(cluster.workers[0])))
    killer.start()
    run(out, heights(), SPEC, Unhurried, batch=2, dask=cluster.address)
    killer.join()
    assert out.read_bytes() == expected
