"""The bar over steps is closed at the end, however the end comes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import tqdm

from terrafine.workflows.step_bar import StepBar, step_progress


class Bar:
    """Stands in for tqdm."""

    made: ClassVar[list[Bar]] = []

    def __init__(self, **_: Any) -> None:
        self.n, self.closed = 0, False
        self.made.append(self)

    def set_postfix(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def update(self, n: int) -> None:
        self.n += n

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    monkeypatch.setattr(tqdm, "tqdm", Bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    Bar.made.clear()
    return Bar.made


def test_a_run_that_stops_early_closes_its_bar(bars: list[Bar]) -> None:
    with step_progress(True) as bar:
        assert bar is not None
        bar(1, 100, {"loss": 0.5})
        bar(40, 100)
    assert [(b.n, b.closed) for b in bars] == [(40, True)]


def test_a_run_that_fails_closes_its_bar(bars: list[Bar]) -> None:
    with pytest.raises(RuntimeError), step_progress(True) as bar:
        assert bar is not None
        bar(3, 100)
        raise RuntimeError
    assert bars[0].closed


def test_the_last_step_closes_the_bar(bars: list[Bar]) -> None:
    bar = StepBar()
    bar(1, 2)
    bar(2, 2)
    assert bars[0].closed


def test_no_bar_without_progress_and_a_function_is_called() -> None:
    for nothing in (None, False):
        with step_progress(nothing) as bar:
            assert bar is None
    with step_progress(print) as bar:
        assert bar is print


def test_without_a_terminal_steps_are_lines_of_ten_per_cent(
    bars: list[Bar], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    with step_progress(True) as bar:
        assert bar is not None
        for step in range(1, 101):
            bar(step, 100, {"loss": 0.5} if step == 20 else None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and bars == []
    assert lines[1] == "step 20 of 100: 20 %, loss 0.5" and lines[-1] == "step 100 of 100: 100 %"


def test_a_resumed_run_prints_only_what_is_new(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    with step_progress(True) as bar:
        assert bar is not None
        for step in range(76, 101):
            bar(step, 100)
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == ["80 %", "90 %", "100 %"]
