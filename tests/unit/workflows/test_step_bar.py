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
