"""Locks, cores and memory on systems that lack what Linux has."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

from terrafine import host
from terrafine.inference.job import engine_threads, job_folder


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with open(tmp_path / "lock", "w") as one, open(tmp_path / "lock", "w") as two:
        assert host.lock_exclusively(one.fileno())
        assert not host.lock_exclusively(two.fileno())
    with open(tmp_path / "lock", "w") as three:
        assert host.lock_exclusively(three.fileno())


class Windows(types.ModuleType):
    """Enough of msvcrt: one lock for each byte of a file."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.held: dict[tuple[int, int], int] = {}

    def locking(self, handle: int, mode: int, count: int) -> None:
        place = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if (mode, count) != (self.LK_NBLCK, 1) or place in self.held:
            raise PermissionError(13, "Permission denied")
        self.held[place] = handle


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    fake = Windows()
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    return fake


def test_windows_locks_a_byte_behind_the_text_and_keeps_the_position(tmp_path: Path, on_windows: Windows) -> None:
    with open(tmp_path / "lock", "wb+", buffering=0) as one, open(tmp_path / "lock", "rb", buffering=0) as two:
        one.write(b"process 1")
        assert host.lock_exclusively(one.fileno())
        assert one.tell() == 9
        assert not host.lock_exclusively(two.fileno())
        assert two.read() == b"process 1"
    assert [offset for _, offset in on_windows.held] == [1 << 30]


@pytest.mark.usefixtures("on_windows")
def test_cores_and_memory_have_a_value_without_the_modules_of_posix(tmp_path: Path) -> None:
    assert host.available_cores() == (os.cpu_count() or 1)
    assert host.peak_memory_bytes() == 0
    assert engine_threads(None, tmp_path / "fine.tif", None, False) == host.available_cores()
    assert not job_folder(tmp_path / "fine.tif").exists()


def test_a_mac_has_no_affinity_and_counts_memory_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    here = host.peak_memory_bytes()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert host.available_cores() >= 1
    assert host.peak_memory_bytes() < here / 512


@pytest.mark.usefixtures("on_windows")
def test_a_whole_job_runs_without_the_modules_of_posix(tmp_path: Path) -> None:
    from tests.support.fakes import noisy_heights, run, source, spec

    report = run(tmp_path / "out.npy", source(noisy_heights((40, 40))), spec(tile=16))
    assert report.shards_run == report.plan.shards
    assert not job_folder(tmp_path / "out.npy").exists()
