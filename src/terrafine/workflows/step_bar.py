"""A progress bar over steps, for comparisons and training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["StepBar", "step_progress"]


class StepBar:
    """Called with (step, steps) or (step, steps, values): a bar, with the values beside it."""

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
        """Leave the bar as it stands: the last step, early stopping, a failure."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def step_progress(given: Callable[..., None] | bool | None) -> Iterator[Callable[..., None] | None]:
    """What progress goes to: a bar for True, closed at the end; nothing for False or None; else the function given."""
    if given is True:
        bar = StepBar()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield None if given is False else given
