"""Up to 512 rows of a level on their way into a file: in memory, or on the disk where the level is wide."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "Stripe"]

BLOCK = 512
_IN_MEMORY = 32 << 20  # bytes

Rows = NDArray[np.float32]


class Stripe:
    """Rows that arrive at full width or in pieces, and leave in columns.

    Parameters
    ----------
    path
        The file to use where the rows do not fit in 32 MB.
    count, width
        Bands and columns.
    """

    def __init__(self, path: Path, count: int, width: int) -> None:
        self._path, self._count, self._width = path, count, width
        self._kept: Rows | None = None
        if 4 * count * BLOCK * width <= _IN_MEMORY:
            self._kept = np.empty((count, BLOCK, width), np.float32)
        else:
            path.touch()

    def put(self, top: int, left: int, block: Rows) -> None:
        """Place cells.

        Parameters
        ----------
        top, left
            Row and column of the first cell.
        block
            float32 (band, y, x).

        Raises
        ------
        OSError
            If the disk is full.
        """
        _, height, width = block.shape
        if self._kept is not None:
            self._kept[:, top : top + height, left : left + width] = block
            return
        with open(self._path, "r+b", buffering=0) as file:
            for band, rows in enumerate(np.ascontiguousarray(block)):
                for y, row in enumerate(rows, top):
                    file.seek(4 * ((band * BLOCK + y) * self._width + left))
                    _write(file, memoryview(row).cast("B"))

    def take(self, height: int, cols: slice) -> Rows:
        """Return the first rows of some columns.

        Parameters
        ----------
        height, cols
            Number of rows, and the columns.

        Returns
        -------
        NDArray
            float32 (band, y, x), contiguous; it may be overwritten.

        Raises
        ------
        OSError
            If the disk returns less than was written.
        """
        if self._kept is not None:
            return np.ascontiguousarray(self._kept[:, :height, cols])
        out = np.empty((self._count, height, cols.stop - cols.start), np.float32)
        with open(self._path, "rb", buffering=0) as file:
            for band, rows in enumerate(out):
                for y, row in enumerate(rows):
                    file.seek(4 * ((band * BLOCK + y) * self._width + cols.start))
                    _read(file, memoryview(row).cast("B"))
        return out

    def remove(self) -> None:
        """Give memory and disk back."""
        self._kept = None
        self._path.unlink(missing_ok=True)


def _write(file: BinaryIO, data: memoryview) -> None:
    while data:
        written = file.write(data)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
        data = data[written:]


def _read(file: BinaryIO, into: memoryview) -> None:
    while into:
        found = file.readinto(into)  # type: ignore[attr-defined]
        if not found:
            raise OSError(errno.EIO, os.strerror(errno.EIO), file.name)
        into = into[found:]
