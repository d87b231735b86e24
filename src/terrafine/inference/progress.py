"""Progress reports of a run: a protocol, a no-op as the default, and a bar for the command line."""

from __future__ import annotations

import sys
from typing import Any, Protocol

__all__ = ["Bar", "Progress", "NoProgress"]


class Progress(Protocol):
    """Protocol of progress reports; called from one thread only.

    A method `announce(text)` is called with one line before a long run, where there is one.
    """

    def start(self, what: str, pixels: int, done: int) -> None:
        """Start a stage.

        Parameters
        ----------
        what
            Name of the stage.
        pixels
            Number of its output pixels.
        done
            Number of pixels that an earlier run finished.
        """
        ...

    def advance(self, pixels: int) -> None:
        """Report further finished output pixels.

        Parameters
        ----------
        pixels
            Number of pixels.
        """
        ...

    def stop(self) -> None:
        """End the stage, after success or failure."""
        ...


class NoProgress:
    """Progress that reports nothing."""

    def start(self, what: str, pixels: int, done: int) -> None:
        """Do nothing.

        Parameters
        ----------
        what, pixels, done
            Not used.
        """

    def advance(self, pixels: int) -> None:
        """Do nothing.

        Parameters
        ----------
        pixels
            Not used.
        """

    def stop(self) -> None:
        """Do nothing."""


class Bar:
    """Progress as a tqdm bar with the rate in millions of output pixels per second and the remaining time.

    Parameters
    ----------
    **options
        Options of tqdm.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._bar: Any = None

    def announce(self, text: str) -> None:
        """Print the line to standard error, also where no bar is shown.

        Parameters
        ----------
        text
            The line.
        """
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def start(self, what: str, pixels: int, done: int) -> None:
        """Show the bar; pixels of an earlier run count as done, but not towards the rate.

        Parameters
        ----------
        what, pixels, done
            As in `Progress.start`.
        """
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
        """Advance the bar.

        Parameters
        ----------
        pixels
            Number of pixels.
        """
        if self._bar is not None:
            self._bar.update(pixels)

    def stop(self) -> None:
        """Close the bar and leave its last state on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
