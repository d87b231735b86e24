"""A long run is told before it starts; a short one, and one that nobody watches, is not timed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.fakes import Nearest, noisy_heights, run, source, spec

from terrafine.inference import projection
from terrafine.inference.progress import Bar
from terrafine.inference.projection import Projection, duration


class Counted(Nearest):
    calls = 0
    shapes: list = []  # noqa: RUF012

    def __call__(self, tiles):
        Counted.calls += 1
        Counted.shapes.append(tiles.shape)
        return super().__call__(tiles)


@pytest.fixture(autouse=True)
def counted() -> None:
    Counted.calls = 0
    Counted.shapes = []


def test_a_long_run_says_time_memory_and_disk_before_its_first_shard(tmp_path, capsys):
    report = run(tmp_path / "o.npy", source(noisy_heights((256, 256))), spec(tile=16), Counted, progress=Bar())
    said = capsys.readouterr().err
    line = next(line for line in said.splitlines() if "of memory" in line)
    assert line.startswith("fake ×2 to 512 × 512 cells: about ")
    assert f"{report.plan.memory_bytes / 1e9:.1f} GB of memory" in line
    assert said.index(line) < said.index("fake:")
    assert Counted.calls == 256 + 2 and len(set(Counted.shapes)) == 1


@pytest.mark.parametrize("more", [{}, {"progress": None}])
def test_a_run_that_nobody_watches_is_not_timed(tmp_path, more):
    run(tmp_path / "o.npy", source(noisy_heights((256, 256))), spec(tile=16), Counted, **more)
    assert Counted.calls == 256


def test_a_short_run_is_not_told(tmp_path, capsys):
    run(tmp_path / "o.npy", source(noisy_heights((64, 64))), spec(tile=16), Counted, progress=Bar())
    assert "of memory" not in capsys.readouterr().err and Counted.calls == 16


def test_the_time_of_a_batch_is_that_of_its_tiles(monkeypatch):
    from pathlib import Path

    from terrafine.inference.context import JobContext
    from terrafine.inference.planner import make_plan

    clock = iter((10.0, 14.0))
    monkeypatch.setattr(projection.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(projection, "open_once", lambda _: Counted(spec(tile=16)))
    plan = make_plan((64, 64), spec(tile=16), batch=2)
    context = JobContext(
        plan, spec(tile=16), source(np.zeros((64, 64), np.float32)), lambda: None, ("elevation",), Path(), "", None
    )
    found = projection.project(context, plan.shards, 7, here=True)
    assert found.seconds == pytest.approx(16 * 2.0 + 128 * 128 / projection._WRITTEN)
    assert (found.output_bytes, found.shard_bytes) == (7, plan.shard_bytes)
    assert projection.project(context, plan.shards, 7, here=False).seconds is None


@pytest.mark.parametrize(("seconds", "text"), [(30, "30 s"), (120, "2 min"), (7200, "2.0 h")])
def test_a_duration_has_a_unit(seconds, text):
    assert duration(seconds) == text


def test_a_projection_on_a_cluster_has_no_time():
    line = str(Projection(None, 10**9, 2 * 10**9, 3 * 10**9))
    assert line == "1.0 GB of memory, up to 2.0 GB of disk for shards and 3.0 GB for the output"
