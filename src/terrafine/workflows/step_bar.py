"""A progress bar over steps, for comparisons and training."""

from __future__ import annotations

from collections.abc import Callable
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
            self._bar.close()


def step_progress(given: Callable[..., None] | bool | None) -> Callable[..., None] | None:
    """What progress goes to: a bar for True, nothing for False or None, else the function given."""
    if given is True:
        return StepBar()
    return None if given is None or given is False else given
