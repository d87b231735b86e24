from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from tests.support.fakes import spec

from terrafine.errors import JobError
from terrafine.inference.changes import changes, difference
from terrafine.inference.job import Job, job_folder, stored_request
from terrafine.inference.planner import make_plan
from terrafine.inference.shardfile import ShardReader, ShardWriter, is_whole

PLAN = make_plan((40, 40), spec(tile=16))
REQUEST = {"inputs": {"a.tif": "abc"}, "options": {"scale": 4, "consistency": "hard"}}


def claim(tmp_path, request=REQUEST, plan=PLAN, **options):
    return Job.claim(tmp_path / "fine.tif", request, plan, **options)


def write_shard(job, index, value=1.0):
    tiles = PLAN.tiles(index)
    writer = ShardWriter(job.path(index), job.key, index, len(tiles))
    for tile in tiles:
        y, x = tile.part_shape
        writer.add((1, 2 * y, 2 * x), np.full((1, 2 * y, 2 * x), value, np.float32), 0.5)
    writer.commit()


def test_a_second_run_finds_the_finished_shards(tmp_path):
    with claim(tmp_path) as job:
        write_shard(job, 1)
    assert stored_request(tmp_path / "fine.tif") == REQUEST
    with claim(tmp_path) as job:
        assert job.finished() == {1}


def test_a_changed_request_is_refused_line_by_line(tmp_path):
    with claim(tmp_path) as job:
        write_shard(job, 1)
    other = {"inputs": {"a.tif": "abd"}, "options": {"scale": 4, "consistency": "soft"}}
    with pytest.raises(JobError) as error:
        claim(tmp_path, other)
    assert '  a.tif: was "abc", now "abd"' in str(error.value)
    assert '  consistency: was "hard", now "soft"' in str(error.value)
    assert "scale" not in str(error.value)
    assert "restart=True" in str(error.value)
    with claim(tmp_path) as job:
        assert job.finished() == {1}, "a refused run must not touch the job"


def test_a_changed_plan_is_refused(tmp_path):
    claim(tmp_path).release()
    with pytest.raises(JobError, match=r"tiles of the run, batch: was 1, now 2"):
        claim(tmp_path, plan=make_plan((40, 40), spec(tile=16), batch=2))


def test_restart_starts_over(tmp_path):
    with claim(tmp_path) as job:
        write_shard(job, 1)
    with claim(tmp_path, {"new": 1}, restart=True) as job:
        assert job.finished() == set()
    assert stored_request(tmp_path / "fine.tif") == {"new": 1}


def test_a_job_in_use_is_refused_and_freed_with_its_holder(tmp_path):
    with claim(tmp_path), pytest.raises(JobError, match=f"in use by process {os.getpid()} on"):
        claim(tmp_path)
    claim(tmp_path).release()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from terrafine.inference.job import _hold;"
        "_hold(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = job_folder(tmp_path / "fine.tif")
    folder.mkdir()
    subprocess.run([sys.executable, "-c", script, folder], check=False)
    assert "process" in (folder / "lock").read_text()
    claim(tmp_path).release()


def test_a_file_in_place_of_the_folder_is_refused_and_kept(tmp_path):
    job_folder(tmp_path / "fine.tif").write_text("mine")
    with pytest.raises(JobError, match="is a file where"):
        claim(tmp_path)
    assert job_folder(tmp_path / "fine.tif").read_text() == "mine"


def test_foreign_files_are_never_touched(tmp_path):
    folder = job_folder(tmp_path / "fine.tif")
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    for restart in (False, True):
        with pytest.raises(JobError, match=r"not of a job \(thesis.tex\)"):
            claim(tmp_path, restart=restart)
    assert (folder / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 0}'])
def test_a_damaged_plan_is_refused_and_restart_helps(tmp_path, text):
    claim(tmp_path).release()
    (job_folder(tmp_path / "fine.tif") / "plan.json").write_text(text)
    with pytest.raises(JobError, match="restart=True"):
        claim(tmp_path)
    claim(tmp_path, restart=True).release()


def test_leftovers_are_swept_and_the_folder_goes(tmp_path):
    with claim(tmp_path) as job:
        (job.folder / ".shard-0000001.bin.abc.part").write_bytes(b"half")
        (job.folder / "scratch-grid.tif").write_bytes(b"half")
    with claim(tmp_path) as job:
        assert not (job.folder / ".shard-0000001.bin.abc.part").exists()
        write_shard(job, 0)
        job.remove()
        assert not job.folder.exists()


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[100] ^= 1
    elif how == "footer":
        data[-40] ^= 1
    elif how == "zeros":
        data[-4096:] = bytes(4096)
    else:
        data = data[: int(len(data) * how)]
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flip", "footer", "zeros", 0.0, 0.1, 0.5, 0.999])
def test_a_torn_shard_is_run_again(tmp_path, how):
    with claim(tmp_path) as job:
        write_shard(job, 0)
        write_shard(job, 2)
        damage(job.path(0), how)
        assert job.finished() == {2}
        assert not job.path(0).exists()


def test_a_shard_of_another_job_or_place_is_not_taken(tmp_path):
    with claim(tmp_path) as job:
        write_shard(job, 0)
        assert is_whole(job.path(0), job.key, 0)
        assert not is_whole(job.path(0), "another", 0)
        assert not is_whole(job.path(0), job.key, 1)
        job.path(0).rename(job.path(1))
        assert job.finished() == set()


def test_a_shard_that_lacks_a_tile_is_never_committed(tmp_path):
    writer = ShardWriter(tmp_path / "s", "key", 0, 2)
    writer.add((1, 2, 2), np.ones((1, 2, 2), np.float32), 0.0)
    with pytest.raises(JobError, match="1 of 2 tiles"):
        writer.commit()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_shard_gives_back_what_it_took(tmp_path):
    values = np.arange(2 * 6 * 5, dtype=np.float32).reshape(2, 6, 5)
    writer = ShardWriter(tmp_path / "s", "key", 3, 2)
    writer.add(values.shape, None, 0.0)
    writer.add(values.shape, values, 0.25, 0.125)
    writer.commit()
    reader = ShardReader(tmp_path / "s", "key", 3)
    assert reader.read(0, 1, slice(0, 6)) is None
    np.testing.assert_array_equal(reader.read(1, 1, slice(2, 5)), values[1, 2:5])
    assert np.isnan(reader.residuals[0]).all()
    assert reader.residuals[1] == (0.25, 0.125)
    assert len(reader) == 2
    assert reader.verify()
    reader.close()


def test_difference_names_every_leaf_that_changed():
    assert difference({"a": 1, "b": {"c": [1]}}, {"a": 1, "b": {"c": [1]}}) == []
    assert difference({"a": 1, "b": {"c": [1]}}, {"b": {"c": [2]}, "d": None}) == [
        "a: was 1, now absent",
        "b.c: was [1], now [2]",
        "d: was absent, now null",
    ]
    assert difference(json.loads("1"), True) == [": was 1, now true"]


def record(**parts):
    """A job's record: one file, one model, as `terrafine dem` writes it."""
    spec = {"name": "bicubic", "version": "1", "scale": 2, "halo": 3}
    file = {"path": "/a.tif", "size": 9, "mtime_ns": 1, "sha256": "aa"}
    request = {
        "inputs": {"files": [file], "sha256": "aa", "nodata": None, "shape": [9, 9]},
        "model": {"spec": spec, "weights_sha256": "cc"},
        "options": {"consistency": "hard"},
        "software": {"terrafine": "1"},
        "target": {"crs": None},
        "map": {"threshold": 0.5},
        "product": {"key": "srtm1", "sensor": {"mtf": 0.2}},
    }
    for path, value in parts.items():
        *where, last = path.split("__")
        part = request
        for step in where:
            part = part[step]
        part[last] = value
    return {"request": request, "plan": {"memory_bytes": 1, "tile": [9, 9], "shape": [9, 9]}}


FILE = {"path": "/a.tif", "size": 9, "mtime_ns": 2, "sha256": "aa"}


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, []),
        (
            {"inputs__files": [FILE | {"sha256": "bb"}], "inputs__sha256": "bb"},
            ["input /a.tif: its content is another"],
        ),
        ({"inputs__files": [FILE]}, ["input /a.tif: written again since, with the same content"]),
        (
            {"inputs__files": [FILE | {"path": "/b.tif"}]},
            ["input /a.tif: no longer read", "input /b.tif: not read before"],
        ),
        ({"inputs__nodata": "0.0", "inputs__sha256": "b"}, ['nodata: was null, now "0.0"']),
        ({"options__consistency": "none"}, ['consistency: was "hard", now "none"']),
        ({"map__threshold": 0.6}, ["threshold: was 0.5, now 0.6"]),
        ({"target__crs": "EPSG:4326"}, ['target_crs: was null, now "EPSG:4326"']),
        ({"software__terrafine": "2"}, ['version of terrafine: was "1", now "2"']),
        ({"product__key": "lidar"}, ['product: was "srtm1", now "lidar"']),
        ({"model__weights_sha256": "dd"}, ["weights of bicubic 1 ×2: was checksum cc, now dd"]),
        (
            {"model__spec": {"name": "ridgeline", "version": "1.1", "scale": 4}, "model__weights_sha256": "dd"},
            ["model: was bicubic 1 ×2, now ridgeline 1.1 ×4"],
        ),
    ],
)
def test_what_changed_is_stated_in_the_words_of_a_user(changed, lines):
    old, new = record(), record(**changed)
    if changed:  # what follows from it is not repeated
        new["plan"] |= {"memory_bytes": 2, "tile": [8, 8]}
    assert changes(old, new) == lines


def test_a_division_that_alone_changed_is_stated():
    new = record()
    new["plan"] |= {"memory_bytes": 2, "tile": [8, 8]}
    assert changes(record(), new) == ["tiles of the run, tile: was [9, 9], now [8, 8]"]
    new = record()
    new["plan"]["memory_bytes"] = 2
    assert changes(record(), new) == ["memory_bytes: was 1, now 2"]
