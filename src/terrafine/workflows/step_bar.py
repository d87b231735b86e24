"""A progress bar over steps, for comparisons and training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["StepBar", "step_progress"]


class StepBar:
    """A progress bar over steps: a function of (step, steps) or (step, steps, values), which shows the values.

    Where standard error is no terminal, and this is no notebook, it prints a line for each 10 % instead.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._printed: int | None = None

    def __call__(self, step: int, steps: int, values: dict[str, float] | None = None) -> None:
        from terrafine.inference.progress import in_notebook, progress_bar

        if not sys.stderr.isatty() and not in_notebook():
            self._print(step, steps, values)
            return
        if self._bar is None:
            self._bar = progress_bar(total=steps, initial=step - 1, unit="step", dynamic_ncols=True, disable=None)
        if values:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in values.items()}, refresh=False)
        self._bar.update(step - self._bar.n)
        if step == steps:
            self.close()

    def _print(self, step: int, steps: int, values: dict[str, float] | None) -> None:
        from terrafine.inference.progress import STEP, print_line

        before = (step - 1) * 100 // max(steps, 1) if self._printed is None else self._printed
        percent = step * 100 // max(steps, 1) // STEP * STEP
        self._printed = max(before // STEP * STEP, percent)
        if percent > before // STEP * STEP:
            shown = "".join(f", {name} {value:.4g}" for name, value in (values or {}).items())
            print_line(f"step {step:,} of {steps:,}: {percent} %{shown}")

    def close(self) -> None:
        """Leave the bar as it is, after the last step, early stopping or a failure."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def step_progress(given: Callable[..., None] | bool | None) -> Iterator[Callable[..., None] | None]:
    """Give the function that receives progress: a progress bar that is closed at the end, a given function, or None.

    Parameters
    ----------
    given
        True for a bar, a function of (step, steps, ...), or False or None for no progress.

    Yields
    ------
    callable or None
        The function to call.
    """
    if given is True:
        bar = StepBar()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield None if given is False else given
