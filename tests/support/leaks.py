"""What a test leaves behind: open files, threads, child processes, temporary files."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["Leaks", "nothing_is_left", "own_temporary_folder"]

_SECONDS = 5.0  # for threads and processes that are on their way out
_THREADS = ("Dask", "IO loop", "Profile", "AsyncProcess", "TCP", "Comm", "execnet", "asyncio")  # of other libraries
_HELPERS = ("resource_tracker", "forkserver", "loky")  # processes that Python keeps for the next use
_OURS = ("terrafine-",)


class Leaks:
    """The state before a test; `found` compares it with the state after it."""

    def __init__(self) -> None:
        self._before = _state()

    def found(self) -> list[str]:
        """What is there now and was not there before; threads and processes have some seconds to end."""
        deadline = time.monotonic() + _SECONDS
        new = self._new()
        while new and time.monotonic() < deadline:
            gc.collect()  # what a test dropped in a cycle is not a leak
            time.sleep(0.02)
            new = self._new()
        return sorted(new)

    def _new(self) -> Counter[str]:
        return _state() - self._before


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for the temporary files of this process and its children: tests beside it have their own."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("t"))
    tempfile.tempdir = None
    yield
    if before is None:
        os.environ.pop("TMPDIR", None)
    else:
        os.environ["TMPDIR"] = before
    tempfile.tempdir = None


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test no file is open, no thread or process runs and no temporary file lies that was not there before.

    What a fixture of a module or a session keeps is made before the first look.
    """
    leaks = Leaks()
    yield
    found = leaks.found()
    assert not found, f"{request.node.nodeid} leaves: {'; '.join(found[:5])}"


def _state() -> Counter[str]:
    return Counter([*_files(), *_threads(), *_processes(), *_temporary()])


def _files() -> set[str]:
    """Open plain files that a program can write or map as data; libraries and Python's own files are not counted."""
    found = set()
    for entry in _listed("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")  # noqa: PTH115
        except OSError:
            continue
        if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/sys/", "/usr/", "/memfd:")):
            suffix = Path(target.removesuffix(" (deleted)")).suffix
            if suffix not in {".py", ".pyc", ".so", ".ttf", ".nbi", ".nbc", ".db", ".log"}:
                found.add(f"open file {target} (handle {entry})")
    return found


def _threads() -> set[str]:
    # Dask keeps the threads of one pool for the next use.
    kept = getattr(getattr(sys.modules.get("dask.threaded"), "default_pool", None), "_threads", ())
    return {
        f"thread {thread.name} ({thread.ident})"
        for thread in threading.enumerate()
        if thread.is_alive() and not thread.daemon and not thread.name.startswith(_THREADS) and thread not in kept
    }


def _processes() -> list[str]:
    """The command lines of children; one that took the place of another with the same command is not new."""
    found = []
    for task in _listed("/proc/self/task"):
        try:
            children = Path(f"/proc/self/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if not any(helper in words for helper in _HELPERS):
                found.append(f"process {words[:80]}")
    return found


def _temporary() -> set[str]:
    folder = tempfile.gettempdir()
    return {f"temporary file {folder}/{name}" for name in _listed(folder) if name.startswith(_OURS)}


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:  # not Linux
        return []
