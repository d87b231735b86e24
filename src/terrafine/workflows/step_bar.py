"""A progress bar over steps, for comparisons and training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["StepBar", "step_progress"]


class StepBar:
    """A progress bar over steps: a function of (step, steps) or (step, steps, values), which shows the values."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, step: int, steps: int, values: dict[str, float] | None = None) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=steps, initial=step - 1, unit="step", dynamic_ncols=True, disable=None)
        if values:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in values.items()}, refresh=False)
        self._bar.update(step - self._bar.n)
        if step == steps:
            self.close()

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
