"""Progress reports of a run: a protocol, a no-op as the default, a bar, and lines where there is no terminal."""

from __future__ import annotations

import sys
from typing import Any, Protocol, runtime_checkable

__all__ = ["Announcer", "Bar", "Lines", "NoProgress", "Progress", "in_notebook", "progress_bar", "reporter"]

STEP = 10
"""Per cent between two lines of progress."""


@runtime_checkable
class Progress(Protocol):
    """Protocol of progress reports; called from one thread only."""

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


@runtime_checkable
class Announcer(Protocol):
    """Protocol of progress that also reports the projected time and memory before a long run."""

    def announce(self, text: str) -> None:
        """Report the projection.

        Parameters
        ----------
        text
            One line.
        """
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
        self._bar = progress_bar(
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


class Lines:
    """Progress as lines on standard error, one for each 10 % that is reached: for logs and pipes."""

    def __init__(self) -> None:
        self._what, self._total, self._done, self._printed = "", 1, 0, 0

    def announce(self, text: str) -> None:
        """Print the line to standard error.

        Parameters
        ----------
        text
            The line.
        """
        print_line(text)

    def start(self, what: str, pixels: int, done: int) -> None:
        """Begin a stage; what an earlier run finished is not printed again.

        Parameters
        ----------
        what, pixels, done
            As in `Progress.start`.
        """
        self._what, self._total, self._done = what, max(pixels, 1), done
        self._printed = self._percent()

    def advance(self, pixels: int) -> None:
        """Print a line where a further 10 % are reached.

        Parameters
        ----------
        pixels
            Number of pixels.
        """
        self._done += pixels
        percent = self._percent()
        if percent > self._printed:
            self._printed = percent
            print_line(f"{self._what}: {percent} %")

    def stop(self) -> None:
        """Do nothing: the last line states how far it came."""

    def _percent(self) -> int:
        return min(self._done * 100 // self._total // STEP * STEP, 100)


def print_line(text: str) -> None:
    """Write one line to standard error at once.

    Parameters
    ----------
    text
        The line.
    """
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def in_notebook() -> bool:
    """Return whether this is the kernel of a notebook, where a bar of widgets can be shown."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def progress_bar(**options: Any) -> Any:
    """Return a tqdm bar: of widgets in a notebook with ipywidgets, else of text.

    Parameters
    ----------
    **options
        Options of tqdm.

    Returns
    -------
    tqdm
        The bar.
    """
    if in_notebook():
        from tqdm.auto import tqdm as notebook_tqdm

        return notebook_tqdm(**{**options, "disable": False})
    from tqdm import tqdm

    return tqdm(**options)


def reporter() -> Bar | Lines:
    """Return a bar on a terminal or in a notebook, else lines."""
    return Bar(disable=None) if sys.stderr.isatty() or in_notebook() else Lines()
