"""On a Dask cluster: the same bytes, lost workers survived, and a clear word where files are not shared."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

import pytest
from tests.support import killed_child
from tests.support.fakes import Box, Nearest, run, write_dem_with_gaps
from tests.support.paths import ROOT

import terrafine
from terrafine.errors import JobError, WeightsError
from terrafine.inference import shard
from terrafine.inference.job import job_folder

distributed = pytest.importorskip("distributed")


class DiesOnce(Box):
    """Kills its process at its first call, unless it died before."""

    def __call__(self, tiles):
        scar = Path(os.environ["TEST_SCAR"])
        if not scar.exists():
            scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(tiles)


class FailsTwice(Box):
    """Fails at the first two calls anywhere."""

    def __call__(self, tiles):
        scars = Path(os.environ["TEST_SCAR"])
        scars.mkdir(exist_ok=True)
        n = len(list(scars.iterdir()))
        if n < 2:
            (scars / str(n)).touch()
            raise ConnectionError("the wire was cut")
        return super().__call__(tiles)


class AlwaysFails(Nearest):
    def __call__(self, tiles):
        raise ConnectionError("the wire was cut")


class BreaksItsSpec(Nearest):
    def __call__(self, tiles):
        return {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    scar = tmp_path_factory.mktemp("scars")
    env = {"PYTHONPATH": str(ROOT)}
    old = {name: os.environ.get(name) for name in ("PYTHONPATH", "TEST_SCAR")}
    env["PYTHONPATH"] += os.pathsep + (old["PYTHONPATH"] or "")
    os.environ.update(env, TEST_SCAR=str(scar / "scar"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as local:
            yield local
    for name, value in old.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("terrafine.inference.planner._SHARD_PIXELS", 2_000)


def on(cluster, out, model=Box, **more):
    grid, a_spec, options = killed_child.job_options()
    return run(out, grid, a_spec, model, dask=cluster.scheduler_address, **options, **more)


@pytest.fixture
def expected(tmp_path, small_shards):
    grid, a_spec, options = killed_child.job_options()
    run(tmp_path / "serial.npy", grid, a_spec, Box, **options)
    return (tmp_path / "serial.npy").read_bytes()


def test_dask_gives_the_bytes_of_one_process(tmp_path, cluster, expected):
    report = on(cluster, tmp_path / "dask.npy")
    assert (report.shards_run, report.retries) == (18, 0)
    assert (tmp_path / "dask.npy").read_bytes() == expected
    assert not job_folder(tmp_path / "dask.npy").exists()


def test_a_client_serves_as_well_as_an_address(tmp_path, cluster, expected):
    grid, a_spec, options = killed_child.job_options()
    with distributed.Client(cluster, set_as_default=False) as client:
        run(tmp_path / "dask.npy", grid, a_spec, Box, dask=client, **options)
    assert (tmp_path / "dask.npy").read_bytes() == expected


def test_a_job_begun_in_one_process_ends_on_dask(tmp_path, cluster, expected):
    class Stops(Box):
        calls = 0

        def __call__(self, tiles):
            type(self).calls += 1
            if type(self).calls == 9:
                raise KeyboardInterrupt
            return super().__call__(tiles)

    grid, a_spec, options = killed_child.job_options()
    globals()["Stops"] = Stops
    Stops.__qualname__ = "Stops"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out.npy", grid, a_spec, Stops, **options)
    report = on(cluster, tmp_path / "out.npy")
    assert report.shards_resumed > 0
    assert (tmp_path / "out.npy").read_bytes() == expected


def test_a_killed_worker_costs_nothing_but_time(tmp_path, cluster, expected, monkeypatch):
    on(cluster, tmp_path / "out.npy", DiesOnce)
    assert Path(os.environ["TEST_SCAR"]).is_file()
    assert (tmp_path / "out.npy").read_bytes() == expected
    Path(os.environ["TEST_SCAR"]).unlink()


def test_failed_shards_are_tried_again_and_counted(tmp_path, cluster, expected):
    report = on(cluster, tmp_path / "out.npy", FailsTwice)
    assert report.retries >= 1
    assert (tmp_path / "out.npy").read_bytes() == expected


def test_a_shard_that_always_fails_stops_the_job(tmp_path, cluster, small_shards):
    with pytest.raises(JobError, match=r"failed 3 times on Dask, the last time with ConnectionError: the wire was cut"):
        on(cluster, tmp_path / "out.npy", AlwaysFails)
    assert not (tmp_path / "out.npy").exists()


def test_an_error_of_ours_is_not_tried_again(tmp_path, cluster, small_shards):
    with pytest.raises(WeightsError, match="has shape None"):
        on(cluster, tmp_path / "out.npy", BreaksItsSpec)


def test_workers_that_do_not_see_the_folder_say_so(tmp_path, cluster, small_shards, monkeypatch):
    real = run.__globals__["run_job"].__globals__["JobContext"]
    monkeypatch.setitem(
        run.__globals__["run_job"].__globals__,
        "JobContext",
        lambda *args: real(*args[:5], Path("/nowhere/out.npy.job"), args[6]),
    )
    with pytest.raises(JobError, match="workers must share the file system"):
        on(cluster, tmp_path / "out.npy")


class DamagesOnce(Box):
    """Its worker damages the first shard after it is committed, as a disk or a network may."""

    def __call__(self, tiles):
        real = shard.ShardWriter.commit

        def commit(self):
            size = real(self)
            scar = Path(os.environ["TEST_SCAR"] + "-damage")
            if not scar.exists():
                scar.touch()
                content = bytearray(self._path.read_bytes())
                content[100] ^= 1
                self._path.write_bytes(content)
            return size

        if real.__name__ == "commit" and "DamagesOnce" not in real.__qualname__:
            shard.ShardWriter.commit = commit
        return super().__call__(tiles)


def test_a_shard_that_arrives_damaged_is_run_again(tmp_path, cluster, expected):
    report = on(cluster, tmp_path / "out.npy", DamagesOnce)
    Path(os.environ["TEST_SCAR"] + "-damage").unlink()
    assert report.retries == 1
    assert (tmp_path / "out.npy").read_bytes() == expected


def test_a_scheduler_that_does_not_answer_is_an_error(tmp_path, small_shards):
    grid, a_spec, _ = killed_child.job_options()
    with pytest.raises(JobError, match="no Dask scheduler answers at nonsense"):
        run(tmp_path / "out.npy", grid, a_spec, dask="nonsense://nowhere:1")


def test_a_whole_dem_on_dask_is_the_file_of_one_process(tmp_path, cluster):
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif")
    serial = terrafine.sharpen_dem(coarse, tmp_path / "serial.tif", model="bicubic", tile=16, threads=1)
    remote = terrafine.sharpen_dem(
        coarse, tmp_path / "dask.tif", model="bicubic", tile=16, dask=cluster.scheduler_address
    )
    assert remote.read_bytes() == serial.read_bytes()
