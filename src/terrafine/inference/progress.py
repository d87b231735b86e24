"""Progress reports of a run: a small protocol, a no-op as the default, and a bar for the command line."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Bar", "Progress", "NoProgress"]


class Progress(Protocol):
    """Receives every finished shard; called from one thread only."""

    def start(self, what: str, pixels: int, done: int) -> None:
        """A stage begins: its name, its output pixels in all, and those finished by an earlier run."""
        ...

    def advance(self, pixels: int) -> None:
        """So many further output pixels are finished."""
        ...

    def stop(self) -> None:
        """The stage is over, by success or by failure."""
        ...


class NoProgress:
    """No-op progress."""

    def start(self, what: str, pixels: int, done: int) -> None:
        """Do nothing."""

    def advance(self, pixels: int) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class Bar:
    """A tqdm bar with the rate in millions of output pixels per second and the time left."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._bar: Any = None

    def start(self, what: str, pixels: int, done: int) -> None:
        """Show the bar; pixels of an earlier run count as done, but not towards the rate."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=pixels,
            initial=done,
            desc=what,
            unit="px",
            unit_scale=True,
            **self._options,
        )

    def advance(self, pixels: int) -> None:
        """Move on."""
        if self._bar is not None:
            self._bar.update(pixels)

    def stop(self) -> None:
        """Close the bar, leaving its last state on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
