from __future__ import annotations

import errno

import numpy as np
import pytest
from tests.support.fakes import Box, Nearest, ToFile, noisy_heights, run, source, spec

from terrafine.errors import DiskError, JobError, WeightsError
from terrafine.inference import shardfile
from terrafine.inference.engine import run_in_memory
from terrafine.inference.job import job_folder
from terrafine.inference.planner import make_plan
from terrafine.inference.progress import Bar, NoProgress
from terrafine.nn.model import RESIDUAL


@pytest.mark.parametrize("tiling", ["exact", "blend"])
@pytest.mark.parametrize("outputs", [("elevation",), ("elevation", "elevation_sigma")])
def test_a_job_gives_what_memory_gives(tmp_path, tiling, outputs):
    values = noisy_heights((75, 60), gaps=0.05)
    values[:30, :40] = np.nan
    a_spec = spec(scale=3, halo=4, tile=8, tiling=tiling, outputs=outputs)
    report = run(tmp_path / "out.npy", source(values), a_spec, Box)
    plan = make_plan(values.shape, a_spec)
    expected, residual = run_in_memory(plan, a_spec, source(values), Box(a_spec), outputs=outputs)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    assert report.residual_m == residual
    assert report.shards_run == plan.shards
    assert 0 < report.seconds_model < report.seconds_total
    assert not job_folder(tmp_path / "out.npy").exists()


def test_void_tiles_never_meet_the_model(tmp_path):
    class Counting(Nearest):
        tiles = 0

        def __call__(self, tiles):
            type(self).tiles += tiles.shape[0]
            return super().__call__(tiles)

    values = noisy_heights((64, 64))
    values[:32] = np.nan
    a_spec = spec(tile=16)
    plan = make_plan(values.shape, a_spec, batch=3)
    run_in_memory(plan, a_spec, source(values), Counting(a_spec), outputs=("elevation",))
    assert Counting.tiles == 8


class Tells(Nearest):
    """Says itself how far each cell is from the observation: as far as its height is from 500."""

    def __call__(self, tiles):
        return super().__call__(tiles) | {RESIDUAL: np.abs(tiles.bands["elevation"] - 500)}


def test_what_a_model_says_of_its_residual_is_told_tile_by_tile(tmp_path):
    values = noisy_heights((32, 48))
    values[:16, :16] = np.nan
    found = []

    def publish(rows, residuals, folder):
        found.append(residuals)
        ToFile(tmp_path / "out.npy")(rows, residuals, folder)

    report = run(tmp_path / "out.npy", source(values), spec(tile=16, halo=2), Tells, publish=publish)
    away = np.abs(values - 500).reshape(2, 16, 3, 16).astype(np.float64)
    known = np.isfinite(found[0].tiles[0])
    np.testing.assert_array_equal(known, [[False, True, True], [True, True, True]])
    np.testing.assert_allclose(found[0].tiles[0][known], away.max(axis=(1, 3))[known])
    np.testing.assert_allclose(found[0].tiles[1][known], away.mean(axis=(1, 3))[known])
    assert report.residual_m == found[0].largest == np.nanmax(away)
    assert found[0].mean == pytest.approx(away.mean(axis=(1, 3))[known].mean())


class WrongShape(Nearest):
    def __call__(self, tiles):
        return {"elevation": tiles.bands["elevation"]}


class NoBand(Nearest):
    def __call__(self, tiles):
        return {}


class NotFinite(Nearest):
    def __call__(self, tiles):
        out = super().__call__(tiles)
        out["elevation"][0, 5, 5] = np.inf
        return out


@pytest.mark.parametrize(
    ("model", "message"), [(WrongShape, "has shape"), (NoBand, "has shape None"), (NotFinite, "not finite in tile")]
)
def test_a_model_that_breaks_its_spec_is_refused(tmp_path, model, message):
    with pytest.raises(WeightsError, match=message):
        run(tmp_path / "out.npy", source(noisy_heights((20, 20))), spec(), model)
    assert not (tmp_path / "out.npy").exists()


def test_a_full_disk_is_told_and_the_job_goes_on_after(tmp_path, monkeypatch):
    values, a_spec = noisy_heights((64, 64)), spec(tile=16)
    calls = []

    def full(fd):
        calls.append(fd)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shardfile.os, "fsync", full)
    monkeypatch.setattr("terrafine.inference.planner._SHARD_PIXELS", 1000)
    with pytest.raises(DiskError, match="the disk is full"):
        run(tmp_path / "out.npy", source(values), a_spec)
    assert not (tmp_path / "out.npy").exists()
    monkeypatch.setattr(shardfile.os, "fsync", lambda fd: None)
    report = run(tmp_path / "out.npy", source(values), a_spec)
    assert report.shards_resumed >= 1
    assert report.shards_run >= 1
    assert np.load(tmp_path / "out.npy").shape == (1, 128, 128)


def test_a_failed_publication_keeps_the_shards(tmp_path):
    def publish(rows, residual, folder):
        next(rows)
        raise DiskError("full")

    grid, a_spec = source(noisy_heights((64, 64))), spec(tile=16)
    with pytest.raises(DiskError):
        run(tmp_path / "out.npy", grid, a_spec, publish=publish)
    report = run(tmp_path / "out.npy", grid, a_spec)
    assert (report.shards_run, report.shards_resumed) == (0, report.plan.shards)


def test_an_interrupt_keeps_what_is_finished(tmp_path, monkeypatch):
    class Interrupted(Box):
        calls = 0

        def __call__(self, tiles):
            type(self).calls += 1
            if type(self).calls == 9:
                raise KeyboardInterrupt
            return super().__call__(tiles)

    monkeypatch.setattr("terrafine.inference.planner._SHARD_PIXELS", 2000)
    monkeypatch.setitem(globals(), "Interrupted", Interrupted)
    Interrupted.__qualname__ = "Interrupted"
    grid, a_spec = source(noisy_heights((64, 64), gaps=0.01)), spec(tile=16, halo=3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out.npy", grid, a_spec, Interrupted)
    assert not list(job_folder(tmp_path / "out.npy").glob(".*.part"))
    report = run(tmp_path / "out.npy", grid, a_spec, Box)
    assert report.shards_resumed >= 6
    run(tmp_path / "other.npy", grid, a_spec, Box)
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()


def test_another_request_is_refused_by_the_run(tmp_path):
    def publish(rows, residual, folder):
        raise DiskError("full")

    grid = source(noisy_heights((20, 20)))
    with pytest.raises(DiskError):
        run(tmp_path / "out.npy", grid, spec(), publish=publish)
    with pytest.raises(JobError, match=r'name: was "test", now "other"'):
        run(tmp_path / "out.npy", grid, spec(), request={"name": "other"})
    run(tmp_path / "out.npy", grid, spec(), request={"name": "other"}, restart=True)


def test_the_bar_reaches_its_end(tmp_path, capsys):
    run(tmp_path / "out.npy", source(noisy_heights((64, 64))), spec(tile=16), progress=Bar())
    shown = capsys.readouterr().err
    assert "fake: 100%" in shown
    assert "writing: 100%" in shown
    assert "Mpx/s" in shown


def test_progress_counts_every_pixel(tmp_path):
    class Count:
        def __init__(self):
            self.stages = []

        def start(self, what, pixels, done):
            self.stages.append([what, pixels, done])

        def advance(self, pixels):
            self.stages[-1][2] += pixels

        def stop(self):
            self.stages[-1].append("stopped")

    count = Count()
    run(
        tmp_path / "out.npy",
        source(noisy_heights((50, 43))),
        spec(tile=16),
        progress=count,
        publish=ToFile(tmp_path / "out.npy"),
    )
    pixels = 50 * 43 * 4
    assert count.stages == [["fake", pixels, pixels, "stopped"], ["writing", pixels, pixels, "stopped"]]


def test_a_long_run_announces_its_time_and_memory_once(tmp_path, monkeypatch):
    class Heard(NoProgress):
        def __init__(self):
            self.lines = []

        def announce(self, text):
            self.lines.append(text)

    heard = Heard()
    run(tmp_path / "short.npy", source(noisy_heights((64, 64))), spec(tile=16), progress=heard)
    assert heard.lines == []
    monkeypatch.setattr("terrafine.inference.engine.LONG_TILES", 16)
    run(tmp_path / "long.npy", source(noisy_heights((64, 64))), spec(tile=16), progress=heard)
    assert len(heard.lines) == 1
    assert heard.lines[0].startswith("fake ×2 to 128 × 128 cells: ")
    run(tmp_path / "silent.npy", source(noisy_heights((64, 64))), spec(tile=16), progress=NoProgress())
