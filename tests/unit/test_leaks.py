"""The check after each test sees what a test leaves behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from tests.support import leaks
from tests.support.leaks import Leaks


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_SECONDS", 0.05)


def test_an_open_file_is_seen(tmp_path: Path) -> None:
    before = Leaks()
    file = open(tmp_path / "left.bin", "wb")  # noqa: SIM115
    assert [line for line in before.found() if "left.bin" in line]
    file.close()
    assert before.found() == []


def test_a_thread_is_seen() -> None:
    before, end = Leaks(), threading.Event()
    thread = threading.Thread(target=end.wait, name="lingering")
    thread.start()
    assert [line for line in before.found() if "lingering" in line]
    end.set()
    thread.join()
    assert before.found() == []


def test_a_process_is_seen() -> None:
    before = Leaks()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert [line for line in before.found() if line.startswith("process")]
    process.communicate(b"\n")
    assert before.found() == []


def test_a_temporary_file_is_seen() -> None:
    before = Leaks()
    folder = tempfile.TemporaryDirectory(prefix="terrafine-")
    assert [line for line in before.found() if "temporary" in line]
    folder.cleanup()
    assert before.found() == []
