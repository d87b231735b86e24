"""Kill a run at any moment, run it again: the output is byte for byte that of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support import killed_child
from tests.support.fakes import write_dem_with_gaps
from tests.support.paths import ROOT

from terrafine.inference.job import job_folder

CHILD = Path(killed_child.__file__)


def child(out, kill=None):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    if kill:
        env["TEST_KILL"] = kill
    return subprocess.Popen(
        [sys.executable, CHILD, out], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(out, kill=None):
    process = child(out, kill)
    stdout, stderr = process.communicate(timeout=100)
    return process.returncode, stdout, stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out.npy"
    code, stdout, stderr = finish(out)
    assert code == 0, stderr
    assert stdout.split() == ["18", "0"]
    return out.read_bytes()


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
    code, _, stderr = finish(out, kill)
    assert code == -signal.SIGKILL, stderr
    assert not out.exists() or out.read_bytes() == undisturbed, "a published file is whole"
    code, stdout, stderr = finish(out)
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
        process = child(out)
        deadline = time.monotonic() + 60
        while not (job_folder(out) / "plan.json").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(how)
        process.communicate(timeout=100)
        assert not out.exists() or out.read_bytes() == undisturbed
    code, _, stderr = finish(out)
    assert code == 0, stderr
    assert out.read_bytes() == undisturbed
    assert list(tmp_path.iterdir()) == [out]


def test_the_comparison_sees_one_changed_bit(tmp_path, undisturbed):
    changed = bytearray(undisturbed)
    changed[-1] ^= 1
    assert bytes(changed) != undisturbed


def command(coarse, out):
    arguments = ["dem", coarse, out, "--model", "bicubic", "--tile", "16", "--threads", "1", "--preview", f"{out}.png"]
    return subprocess.Popen([sys.executable, "-m", "terrafine.cli", *arguments], stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_the_command_killed_at_random_and_given_again(tmp_path):
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif", (200, 180))
    calm, out = tmp_path / "calm.tif", tmp_path / "out.tif"
    process = command(coarse, calm)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    rng = random.Random(1)
    for _ in range(2):
        process = command(coarse, out)
        deadline = time.monotonic() + 60
        while not (job_folder(out) / "plan.json").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.8))
        process.kill()
        process.communicate(timeout=100)
        assert not out.exists() or out.read_bytes() == calm.read_bytes()
    process = command(coarse, out)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    assert out.read_bytes() == calm.read_bytes()
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith((".job", ".part"))]
