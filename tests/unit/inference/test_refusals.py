"""What is promised is enforced before publishing, and a run that fails leaves nothing in the way."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.support.fakes import Box, Nearest, ToFile, noisy_heights, run, source, spec

from terrafine.errors import DiskError, JobError, MissingExtraError, OutputError
from terrafine.inference.engine import run_in_memory
from terrafine.inference.job import job_folder
from terrafine.inference.planner import make_plan


class Shifted(Nearest):
    """Right but for one tile, whose block means are 3.25 m too high."""

    def __call__(self, tiles):
        out = super().__call__(tiles)
        high = tiles.bands["elevation"].max(axis=(1, 2)) > 5_000
        return {name: values + 3.25 * high[:, None, None] for name, values in out.items()}


def with_summit():
    values = noisy_heights((64, 64))
    values[40, 40] = 6_000
    return source(values)


def test_an_output_that_leaves_the_observation_is_not_published(tmp_path):
    with pytest.raises(OutputError) as error:
        run(tmp_path / "out.npy", with_summit(), spec(tile=16), Shifted, residual_limit=0.01)
    assert "in tile (2, 2) the block means of the output differ from the input by up to 3.25 m" in str(error.value)
    assert "expected at most 0.01 m" in str(error.value)
    assert 'consistency="none"' in str(error.value)
    assert list(tmp_path.iterdir()) == [], "the advice can be followed: no job folder is in the way"
    run(tmp_path / "out.npy", with_summit(), spec(tile=16), Shifted, request={"name": "none"})
    assert (tmp_path / "out.npy").exists()


def test_arrays_are_held_to_the_same_limit():
    a_spec = spec(tile=16)
    plan = make_plan((64, 64), a_spec)
    options = {"outputs": ("elevation",), "residual_limit": 0.01}
    with pytest.raises(OutputError, match=r"up to 3.25 m"):
        run_in_memory(plan, a_spec, with_summit(), Shifted(a_spec), **options)
    _, residual = run_in_memory(plan, a_spec, with_summit(), Nearest(a_spec), **options)
    assert residual == 0


def test_shards_of_an_earlier_run_are_held_to_the_limit_too(tmp_path):
    def fails(rows, residual, folder):
        raise DiskError("full")

    with pytest.raises(DiskError):
        run(tmp_path / "out.npy", with_summit(), spec(tile=16), Shifted, publish=fails)
    with pytest.raises(OutputError, match=r"up to 3.25 m"):
        run(tmp_path / "out.npy", with_summit(), spec(tile=16), Shifted, residual_limit=0.01)
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("tiling", ["exact", "blend"])
@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
def test_a_shard_damaged_after_the_check_is_not_published(tmp_path, tiling, position):
    grid, a_spec = source(noisy_heights((64, 64))), spec(tile=16, halo=4, tiling=tiling)

    def damaged(rows, residual, folder):
        shard = sorted(folder.glob("shard-*.bin"))[1]
        data = bytearray(shard.read_bytes())
        data[int(position * 0.9 * len(data))] ^= 1
        shard.write_bytes(bytes(data))
        ToFile(tmp_path / "out.npy")(rows, residual, folder)

    with pytest.raises(JobError, match=r"shard-0000001.bin: .*run the command again"):
        run(tmp_path / "out.npy", grid, a_spec, Box, publish=damaged)
    assert not (tmp_path / "out.npy").exists()
    report = run(tmp_path / "out.npy", grid, a_spec, Box)
    assert (report.shards_run, report.shards_resumed) == (1, report.plan.shards - 1)
    run(tmp_path / "other.npy", grid, a_spec, Box)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.load(tmp_path / "other.npy"))


def test_without_dask_nothing_is_left_in_the_way(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    grid = source(noisy_heights((20, 20)))
    with pytest.raises(MissingExtraError, match=r"terrafine\[dask\]"):
        run(tmp_path / "out.npy", grid, spec(), dask="tcp://nowhere:1")
    assert list(tmp_path.iterdir()) == []
    run(tmp_path / "out.npy", grid, spec(), request={"name": "other"})


class NeedsMore(Nearest):
    def __init__(self, spec):
        raise MissingExtraError("this model needs an extra")


class FailsAtOnce(Nearest):
    def __call__(self, tiles):
        raise ValueError("no")


@pytest.mark.parametrize(("model", "error"), [(NeedsMore, MissingExtraError), (FailsAtOnce, ValueError)])
def test_a_run_without_a_finished_shard_leaves_no_folder(tmp_path, model, error):
    grid = source(noisy_heights((20, 20)))
    with pytest.raises(error):
        run(tmp_path / "out.npy", grid, spec(), model)
    assert list(tmp_path.iterdir()) == []
    run(tmp_path / "out.npy", grid, spec(), request={"name": "other"})


def test_the_folder_of_a_run_that_did_work_is_kept(tmp_path):
    def fails(rows, residual, folder):
        raise DiskError("full")

    with pytest.raises(DiskError):
        run(tmp_path / "out.npy", source(noisy_heights((20, 20))), spec(), publish=fails)
    assert job_folder(tmp_path / "out.npy").exists()
