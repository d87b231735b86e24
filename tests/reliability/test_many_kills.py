"""The tests of `test_kill` at every moment that a run has, and at many random ones: minutes, so `make test-long`."""

from __future__ import annotations

import random
import signal

import pytest
from tests.support.fakes import write_dem_with_gaps
from tests.support.kills import Forked, command, finish, stop_at_random

from terrafine.inference.job import job_folder

pytestmark = pytest.mark.long

PLACES = (
    "model",
    "before-fsync",
    "before-rename",
    "after-rename",
    "rows",
    "before-publish",
    "after-publish",
    "removal",
)


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_every_passage_of_a_place(tmp_path, undisturbed, place):
    """The n-th passage for n = 1, 2, … until a run passes the place less often than that."""
    for n in range(1, 200):
        out = tmp_path / f"{n}.npy"
        code, _, stderr = finish(Forked(out, f"{place}:{n}"))
        if code == 0:
            assert n > 1, "the run never passes the place"
            return
        assert code == -signal.SIGKILL, stderr
        assert not out.exists() or out.read_bytes() == undisturbed, f"{place}:{n} published a file that is not whole"
        code, _, stderr = finish(Forked(out))
        assert code == 0, stderr
        assert out.read_bytes() == undisturbed, f"{place}:{n}"
        assert not job_folder(out).exists()
    raise AssertionError("a run passes the place 200 times")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_many_random_moments(tmp_path, undisturbed, how, seed):
    rng = random.Random(seed)
    early = 0
    for n in range(10):
        out = tmp_path / f"{n}.npy"
        for _ in range(3):
            early += stop_at_random(Forked(out), out, rng.uniform(0, 0.4), how)
            assert not out.exists() or out.read_bytes() == undisturbed
        code, _, stderr = finish(Forked(out))
        assert code == 0, stderr
        assert out.read_bytes() == undisturbed
    assert early > 0, "no signal came before the run had ended"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{n}.npy" for n in range(10))


def test_the_command_killed_at_many_random_moments(tmp_path):
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif", (200, 180))
    calm, out = tmp_path / "calm.tif", tmp_path / "out.tif"
    code, _, stderr = finish(command(coarse, calm))
    assert code == 0, stderr
    rng = random.Random(2)
    for _ in range(8):
        for _ in range(3):
            stop_at_random(command(coarse, out), out, rng.uniform(0, 1.2), signal.SIGKILL)
            assert not out.exists() or out.read_bytes() == calm.read_bytes()
        code, _, stderr = finish(command(coarse, out))
        assert code == 0, stderr
        assert out.read_bytes() == calm.read_bytes()
        out.unlink()
        assert not [p.name for p in tmp_path.iterdir() if p.name.endswith((".job", ".part"))]
