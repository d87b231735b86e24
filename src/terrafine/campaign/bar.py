"""A progress bar over tiles."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["TileBar"]


class TileBar:
    """Progress as a tqdm bar that counts tiles; silent where the output is not a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def announce(self, text: str) -> None:
        """Print a line to standard error, also where no bar is shown."""
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def start(self, what: str, pixels: int, done: int) -> None:
        """Open the bar with so many tiles."""
        from tqdm import tqdm

        self._bar = tqdm(desc=what, total=pixels, initial=done, unit="tile", dynamic_ncols=True, disable=None)

    def advance(self, pixels: int) -> None:
        """Count tiles that ended."""
        self._bar.update(pixels)

    def stop(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
