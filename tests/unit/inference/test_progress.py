"""Progress without a terminal is a line for each 10 %; in a notebook it is a bar of widgets."""

import sys
from types import ModuleType

import pytest

from terrafine.inference.progress import Announcer, Bar, Lines, Progress, in_notebook, reporter


def test_lines_are_of_ten_per_cent_and_resume(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.start("ridgeline", 1000, 250)
    for _ in range(15):
        lines.advance(50)
    lines.stop()
    printed = capsys.readouterr().err.splitlines()
    assert printed == [f"ridgeline: {p} %" for p in range(30, 101, 10)]


def test_a_large_shard_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.start("writing", 100, 0)
    lines.advance(75)
    lines.advance(25)
    assert capsys.readouterr().err == "writing: 70 %\nwriting: 100 %\n"


def test_lines_without_a_terminal_and_a_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert isinstance(reporter(), Lines)
    ipython = ModuleType("IPython")
    ipython.get_ipython = type("ZMQInteractiveShell", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert in_notebook() and isinstance(reporter(), Bar)


def test_lines_print_what_a_long_run_is_projected_to_take(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    assert isinstance(lines, Announcer) and isinstance(lines, Progress)
    lines.announce("ridgeline ×4: about 2 h")
    assert capsys.readouterr().err == "ridgeline ×4: about 2 h\n"
