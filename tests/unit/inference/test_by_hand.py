"""Small results that can be worked out by hand: projections, candidates, shards, ranges, planes and lost schedulers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.support.fakes import Nearest, noisy_heights, run, source, spec

from terrafine.errors import DiskError, JobError, OutputError, ResourceError
from terrafine.inference import assemble, engine, planner, projection
from terrafine.inference.changes import _shown
from terrafine.inference.context import JobContext
from terrafine.inference.crop import _require_range, _summed
from terrafine.inference.executors.dask import _run_on, connected
from terrafine.inference.executors.serial import run_serial
from terrafine.inference.job import Job, engine_threads, job_folder
from terrafine.inference.plan import Plan
from terrafine.inference.planes import _corners
from terrafine.inference.planner import _candidates, _projected, _projected_on_device, make_plan
from terrafine.inference.progress import Bar, NoProgress
from terrafine.inference.shard import run_shard
from terrafine.inference.shardfile import _TRAILER, ShardReader, ShardWriter, is_whole

PLAN = Plan((100, 90), 2, (10, 20), 3, 0, 9, 4, 2, 1, 2, 0)


@pytest.mark.parametrize(("bytes_per_cell", "expected"), [(1_000, 491_931_520), (1_000_000, 2_084_833_408)])
def test_a_projection_is_the_sum_of_its_parts(bytes_per_cell: int, expected: int) -> None:
    # A window of 16 × 26 cells, a strip of 34 × 64; two guides on 16 × 46 cells; rows of 180 cells in 3 bands.
    read = 2176 * 5 * 3 + 2176 * 48 + 2944 * (8 * 2 * 4 + 64) + 4 * 416 * 4 * 8 * 2
    model, out = 4 * 416 * bytes_per_cell, 4 * 416 * 4 * 4 * 2 * 4
    rows, blocks = 180 * 200 * 4 * 3 * 3, 2 * 2048 * 180 * 3 + 4 * 2048 * 180 * 3 + 64_000_000
    assert expected == 420_000_000 + max(read + model + out, rows + blocks)
    assert _projected(PLAN, bytes_per_cell, 2, 1) == expected


def test_a_projection_on_a_device_is_a_batch_with_its_guides() -> None:
    assert _projected_on_device(PLAN, 1_000, 2) == 300_000_000 + 1664 * (1_000 + 4 * 8 * 2) * 3 // 2


def test_candidates_shrink_the_batch_and_then_the_tile_to_32_cells() -> None:
    found = list(_candidates(4, 100, spec(halo=3)))
    assert found == [(4, 100), (2, 100), (1, 100), (1, 50), (1, 32)]
    assert all(type(side) is int for _, side in found)
    assert list(_candidates(1, 20, spec(halo=3))) == [(1, 20)]
    # Ramps as wide as the halo must not meet: one and a half halos at least.
    assert list(_candidates(1, 8, spec(halo=64, tiling="blend"))) == [(1, 96)]


def test_a_refusal_states_the_smallest_need() -> None:
    least = make_plan((4000, 4000), spec(tile=32)).memory_bytes
    with pytest.raises(ResourceError, match=f"about {least / 1e6:,.0f} MB even"):
        make_plan((4000, 4000), spec(tile=512), batch=8, memory_bytes=1)


def test_a_batch_to_be_timed_has_the_shape_of_the_plan() -> None:
    plan = make_plan((40, 64), spec(halo=3, tile=40), batch=2)
    kind = SimpleNamespace(inputs=("elevation",), guides=("red", "blue"))
    batch = projection._batch(SimpleNamespace(plan=plan, spec=kind, source=SimpleNamespace(guides=("red",))))  # type: ignore[arg-type]
    (y, x), n = plan.tile, plan.batch
    assert batch.bands["elevation"].shape == batch.valid.shape == (n, y + 6, x + 6)
    assert batch.pixel_size_m.shape == (n, 2, y + 6)
    assert {name: g.shape for name, g in batch.guides.items()} == {"red": (n, 2, 2 * (y + 6), 2 * (x + 6))}


def test_the_projected_time_is_that_of_the_tiles_and_of_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 14.0))
    monkeypatch.setattr(projection.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(projection, "open_once", lambda _: Nearest(spec(tile=16)))
    plan = make_plan((32, 128), spec(tile=16), batch=2)
    context = JobContext(
        plan, spec(tile=16), source(np.zeros((32, 128))), lambda: None, ("elevation",), Path(), "", None
    )
    seconds = projection.project(context, plan.shards, 7, here=True).seconds
    assert seconds == pytest.approx(2 * 8 * 4.0 / plan.batch + 64 * 256 / projection._WRITTEN)


def test_a_run_of_few_tiles_is_short_whatever_its_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "o.npy", source(noisy_heights((32, 320))), spec(tile=16), Nearest, progress=Bar())
    assert "of memory" not in capsys.readouterr().err


def test_blocks_of_rows_make_the_file_of_one_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = noisy_heights((75, 60), gaps=0.05)
    run(tmp_path / "one.npy", source(values), spec(tile=16), Nearest)
    monkeypatch.setattr(assemble, "_BLOCK_ROWS", 32)
    run(tmp_path / "many.npy", source(values), spec(tile=16), Nearest)
    assert (tmp_path / "many.npy").read_bytes() == (tmp_path / "one.npy").read_bytes()


def test_free_space_is_asked_for_before_a_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def full(*_: Any) -> None:
        seen.append(job_folder(tmp_path / "o.npy").exists())
        raise DiskError("full")

    monkeypatch.setattr(engine, "check_free_space", full)
    with pytest.raises(DiskError):
        run(tmp_path / "o.npy", source(noisy_heights((32, 32))), spec(tile=16), Nearest)
    assert seen == [False] and not job_folder(tmp_path / "o.npy").exists()


def test_threads_are_those_asked_for_or_of_the_job_that_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    assert engine_threads(5, out, None, False) == 5
    assert engine_threads(None, out, "tcp://a", False) == 1
    Job.claim(out, {"options": {"threads": 3}}, make_plan((40, 40), spec())).release()
    assert engine_threads(None, out, None, False) == engine_threads(None, out, "tcp://a", False) == 3
    assert engine_threads(None, out, "tcp://a", True) == 1


@pytest.mark.parametrize(("found", "refused"), [(9e5, True), (-9e5, True), (100.0, False)])
@pytest.mark.parametrize("at", [0, 3])
def test_a_height_that_no_reader_takes_is_refused_where_the_input_is_valid(
    found: float, refused: bool, at: int
) -> None:
    context: Any = SimpleNamespace(plan=SimpleNamespace(scale=2), spec=SimpleNamespace(name="m"))
    values = np.full((4, 4), 5.0, np.float32)
    values.flat[at] = found
    _require_range(context, "elevation", values, np.array([[False, False], [True, True]]), "here")
    _require_range(context, "nothing", values, np.ones((2, 2), bool), "here")
    if refused:
        with pytest.raises(OutputError, match="elevation from"):
            _require_range(context, "elevation", values, np.ones((2, 2), bool), "here")
    else:
        _require_range(context, "elevation", values, np.ones((2, 2), bool), "here")


def test_the_residual_of_no_tile_is_zero() -> None:
    assert _summed([]) == (0.0, 0.0)
    assert _summed([np.array([1.0, 3.0]), np.array([5.0])]) == (5.0, 3.0)


def test_a_plane_is_evaluated_at_the_corners_and_the_far_edge_of_an_overlap() -> None:
    y, x = np.mgrid[10:30, 100:130]
    found = list(_corners(5 + 0.1 * y - 0.2 * x, (slice(10, 30), slice(100, 130))))
    assert [(float(y[0]), float(x[0])) for (y, x), _, _ in found] == [(10.0, 100.0), (10.0, 129.0), (29.0, 114.5)]
    for (at_y, at_x), value, weight in found:
        assert value == pytest.approx(5 + 0.1 * at_y[0] - 0.2 * at_x[0])
        assert weight == pytest.approx(np.sqrt(600 / 100))


def test_a_long_value_is_cut() -> None:
    assert _shown("x" * 200) == '"' + "x" * 116 + "..."
    assert _shown("x" * 118) == '"' + "x" * 118 + '"'


def written(path: Path, *tiles: np.ndarray) -> Path:
    writer = ShardWriter(path, "key", 0, len(tiles))
    for tile in tiles:
        writer.add(tile.shape, tile, 0.0)
    writer.commit()
    return path


def rewritten(path: Path, body: bytes, record: Any) -> None:
    footer = json.dumps(record).encode()
    path.write_bytes(body + footer + _TRAILER.pack(zlib.crc32(footer), len(footer), b"TFSHARD2"))


def test_a_shard_is_whole_only_if_its_tiles_fill_it_one_after_the_other(tmp_path: Path) -> None:
    tile = np.arange(600, dtype=np.float32).reshape(1, 30, 20)
    path = written(tmp_path / "a.bin", tile, tile)
    data = path.read_bytes()
    length = int.from_bytes(data[-16:-8], "little")
    body, record = data[: -_TRAILER.size - length], json.loads(data[-_TRAILER.size - length : -_TRAILER.size])
    rewritten(path, body, record)
    assert is_whole(path, "key", 0)
    rewritten(path, body + b"more", record)
    assert not is_whole(path, "key", 0)
    record["tiles"][1]["offset"] = 0  # the same content, so that no checksum differs
    rewritten(path, body, record)
    assert not is_whole(path, "key", 0)


def test_every_row_of_a_tall_tile_is_verified(tmp_path: Path) -> None:
    path = written(tmp_path / "a.bin", np.ones((1, 600, 20), np.float32))
    data = bytearray(path.read_bytes())
    data[4 * 20 * 599] ^= 1
    path.write_bytes(data)
    reader = ShardReader(path, "key", 0)
    assert not reader.verify()
    reader.close()


def a_job(folder: Path) -> JobContext:
    a_spec = spec(tile=16)
    grid = source(noisy_heights((16, 16)))
    plan = make_plan((16, 16), a_spec)
    return JobContext(plan, a_spec, grid, partial(Nearest, a_spec), ("elevation",), folder, "key", None)


def test_a_worker_runs_a_shard_where_it_sees_the_job(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="does not see the job folder"):
        run_shard(a_job(tmp_path), 0)
    (tmp_path / "plan.json").write_text("{}")
    commit = run_shard(a_job(tmp_path), 0)
    assert is_whole(a_job(tmp_path).path(commit.index), "key", 0)


def test_a_failure_to_commit_the_last_shard_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: ShardWriter) -> int:
        raise DiskError("full")

    monkeypatch.setattr(ShardWriter, "commit", full)
    with pytest.raises(DiskError, match="full"):
        run_serial(a_job(tmp_path), [0])


class FakeCluster:
    """A client of one thread, whose futures have ended when they are made; some of them fail in a given way."""

    loop, status = None, "running"
    scheduler = SimpleNamespace(address="tcp://fake:1")

    def __init__(self, fates: list[Exception | None]) -> None:
        self.fates = fates

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def submit(self, function: Any, *args: Any, key: str, **_: Any) -> Any:
        fate = self.fates.pop(0) if self.fates else None
        if fate is not None and self.status != "running":
            raise fate

        def result() -> Any:
            if fate is not None:
                raise fate
            return function(*args)

        return SimpleNamespace(key=key, status="finished", result=result)

    def cancel(self, *_: Any, **__: Any) -> None:
        raise OSError("nothing to cancel it with")


class Ended:
    """As `distributed.as_completed`."""

    def __init__(self, futures: list[Any], loop: None) -> None:
        self.futures = futures

    def add(self, future: Any) -> None:
        self.futures.append(future)

    def __iter__(self) -> Iterator[Any]:
        while self.futures:
            yield self.futures.pop(0)


def test_a_result_that_is_lost_on_its_way_is_asked_for_again_and_counted(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    (tmp_path / "plan.json").write_text("{}")
    lost = distributed.comm.core.CommClosedError("stream is closed")
    client = FakeCluster([lost, distributed.client.CancelledError("gone")])
    stats = _run_on(client, Ended, a_job(tmp_path), [0], NoProgress(), 2, None)
    assert (stats.shards, stats.retries) == (1, 2)
    client = FakeCluster([lost] * 3)
    with pytest.raises(JobError, match="failed 3 times on Dask, the last time with CommClosedError"):
        _run_on(client, Ended, a_job(tmp_path), [0], NoProgress(), 2, None)


def test_a_cluster_without_workers_is_not_waited_for(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    (tmp_path / "plan.json").write_text("{}")

    class Deserted(FakeCluster):
        asked = 0

        def nthreads(self) -> dict[str, int]:
            self.asked += 1
            return {"worker": 1} if self.asked == 1 else {}

    client = Deserted([distributed.comm.core.CommClosedError("stream is closed")])
    with pytest.raises(JobError, match="has lost its workers"):
        _run_on(client, Ended, a_job(tmp_path), [0], NoProgress(), 2, None)


def test_a_lost_scheduler_is_an_error_that_says_how_to_go_on() -> None:
    distributed = pytest.importorskip("distributed")
    client = FakeCluster([])
    for error in (distributed.comm.core.CommClosedError("closed"), distributed.client.ClosedClientError("closed")):
        with (
            pytest.raises(JobError, match=r"scheduler at tcp://fake:1 was lost .*run the command again"),
            connected(client),
        ):
            raise error
    with pytest.raises(FileNotFoundError), connected(client):
        raise FileNotFoundError("a file of ours")
    client.status = "closed"
    with pytest.raises(JobError, match="was lost"), connected(client):
        raise TimeoutError("no answer")


def test_the_machine_is_asked_once_for_each_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "available_memory_bytes", lambda: 10**6)
    with pytest.raises(ResourceError, match="1 MB free"):
        make_plan((40, 40), spec())
