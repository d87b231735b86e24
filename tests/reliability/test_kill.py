"""Kill a run at any moment, run it again: the output is byte for byte that of an undisturbed run."""

from __future__ import annotations

import random
import signal

import pytest
from tests.support.fakes import write_dem_with_gaps
from tests.support.kills import child, command, finish, stop_at_random

from terrafine.inference.job import job_folder


@pytest.mark.parametrize(
    "kill",
    [
        "model:1",
        "model:17",
        "before-fsync:1",
        "before-fsync:6",
        "before-rename:1",
        "before-rename:4",
        "after-rename:1",
        "after-rename:2",
        "after-rename:19",
        "rows:1",
        "before-publish:1",
        "after-publish:1",
        "removal:1",
        "removal:9",
    ],
)
def test_killed_at_a_place_and_run_again(tmp_path, undisturbed, kill):
    out = tmp_path / "out.npy"
    code, _, stderr = finish(child(out, kill))
    assert code == -signal.SIGKILL, stderr
    assert not out.exists() or out.read_bytes() == undisturbed, "a published file is whole"
    code, stdout, stderr = finish(child(out))
    assert code == 0, stderr
    if kill.startswith(("model:17", "rows", "before-publish", "after-rename:2")):
        assert int(stdout.split()[1]) > 0, "finished shards are not run again"
    assert out.read_bytes() == undisturbed
    assert not job_folder(out).exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_random_until_done(tmp_path, undisturbed, how):
    rng = random.Random(how)
    out = tmp_path / "out.npy"
    for _ in range(6):
        stop_at_random(child(out), out, rng.uniform(0, 0.4), how)
        assert not out.exists() or out.read_bytes() == undisturbed
    code, _, stderr = finish(child(out))
    assert code == 0, stderr
    assert out.read_bytes() == undisturbed
    assert list(tmp_path.iterdir()) == [out]


def test_the_comparison_sees_one_changed_bit(tmp_path, undisturbed):
    changed = bytearray(undisturbed)
    changed[-1] ^= 1
    assert bytes(changed) != undisturbed


@pytest.mark.slow
def test_the_command_killed_at_random_and_given_again(tmp_path):
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif", (200, 180))
    calm, out = tmp_path / "calm.tif", tmp_path / "out.tif"
    code, _, stderr = finish(command(coarse, calm))
    assert code == 0, stderr
    rng = random.Random(1)
    for _ in range(2):
        stop_at_random(command(coarse, out), out, rng.uniform(0, 0.8), signal.SIGKILL)
        assert not out.exists() or out.read_bytes() == calm.read_bytes()
    code, _, stderr = finish(command(coarse, out))
    assert code == 0, stderr
    assert out.read_bytes() == calm.read_bytes()
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith((".job", ".part"))]
