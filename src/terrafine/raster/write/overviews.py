"""One resolution level of a file that is written row by row: stripes of whole blocks, their digests, the next level."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terrafine.raster.write.encoding import Encoding
from terrafine.raster.write.stripe import BLOCK, Stripe

__all__ = ["BLOCK", "Level", "Statistics", "halved"]

_COLUMNS = 8192  # of one band, written together

Rows = NDArray[np.float32]


@dataclass(slots=True)
class Level:
    """Collects rows from the top, writes them as stripes of 512 rows, and passes halved stripes to the next level.

    Means stay unrounded from level to level: with two classes 0 and 1, a coarse cell has the class of more than half of
    its valid cells.

    Attributes
    ----------
    path
        The file of this level.
    height, width, count
        Rows, columns and bands.
    encoding
        How values are stored.
    coarser
        The next coarser level, or None.
    file
        The open rasterio dataset.
    filled
        Rows added so far.
    digests
        CRC-32 of each of `windows` as stored.
    """

    path: str
    height: int
    width: int
    count: int
    encoding: Encoding
    coarser: Level | None = None
    file: Any = None
    filled: int = 0
    digests: list[int] = field(default_factory=list)
    _stripe: Stripe | None = None

    def push(self, rows: Rows) -> None:
        """Add the next rows; how they are divided into blocks does not matter.

        Parameters
        ----------
        rows
            float32 (band, y, x) of full width, NaN at nodata.
        """
        at = 0
        while at < rows.shape[1]:
            room = self.filled % BLOCK
            n = min(BLOCK - room, rows.shape[1] - at)
            self._place(0, rows[:, at : at + n])
            self._advance(n)
            at += n

    def finish(self) -> None:
        """Write what is left below the last full stripe, here and in every coarser level."""
        if rest := self.filled % BLOCK:
            self._leave(rest)
        if self._stripe is not None:
            self._stripe.remove()
        self._stripe = None
        if self.coarser is not None:
            self.coarser.finish()

    def windows(self) -> Iterator[Window]:
        """Give the windows that `digests` are of, in order.

        Yields
        ------
        Window
            Up to 512 rows of some columns.
        """
        for top in range(0, self.height, BLOCK):
            for cols in self._columns():
                yield Window(cols.start, top, cols.stop - cols.start, min(BLOCK, self.height - top))

    def _columns(self) -> Iterator[slice]:
        """Columns that are written together: memory does not grow with the width."""
        step = max(2 * BLOCK, _COLUMNS // self.count // (2 * BLOCK) * 2 * BLOCK)
        for left in range(0, self.width, step):
            yield slice(left, min(left + step, self.width))

    def _place(self, left: int, rows: Rows) -> None:
        if self._stripe is None:
            self._stripe = Stripe(Path(self.path + ".rows"), self.count, self.width)
        self._stripe.put(self.filled % BLOCK, left, rows)

    def _advance(self, rows: int) -> None:
        self.filled += rows
        if self.filled % BLOCK == 0:
            self._leave(BLOCK)

    def _leave(self, height: int) -> None:
        if self._stripe is None:
            return
        top = (self.filled - 1) // BLOCK * BLOCK
        for cols in self._columns():
            block = self._stripe.take(height, cols)
            if self.coarser is not None:
                self.coarser._place(cols.start // 2, halved(block))
            stored = self._stored(block)
            self.digests.append(zlib.crc32(stored.data))
            self.file.write(stored, window=Window(cols.start, top, cols.stop - cols.start, height))
        if self.coarser is not None:
            self.coarser._advance((height + 1) // 2)

    def _stored(self, block: Rows) -> NDArray[Any]:
        """Numbers as they are stored; overwrites the block."""
        void = np.isnan(block)
        nodata = np.float32(self.encoding.nodata)
        if not (np.isnan(nodata) or self.encoding.whole):
            clash = block == nodata
            if clash.any():  # a measured value that happens to equal nodata moves by one unit in its last place
                block[clash] = np.nextafter(nodata, np.float32(0 if nodata else 1))
        if void.any():
            block[void] = nodata
        return np.rint(block).astype(self.encoding.dtype) if self.encoding.whole else block


def halved(rows: Rows) -> Rows:
    """Return means of 2 × 2 cells over those that are not NaN.

    An odd last row or column is averaged with itself, which is the mean of the cells that exist.

    Parameters
    ----------
    rows
        Values (band, y, x).

    Returns
    -------
    ndarray of float32, (band, ceil(y/2), ceil(x/2))
        NaN where all four cells are NaN.
    """
    _, height, width = rows.shape
    if height % 2:
        rows = np.concatenate([rows, rows[:, -1:]], axis=1)
    if width % 2:
        rows = np.concatenate([rows, rows[:, :, -1:]], axis=2)
    pairs = rows[:, 0::2] + rows[:, 1::2]
    out = (pairs[:, :, 0::2] + pairs[:, :, 1::2]) * np.float32(0.25)
    unknown = np.isnan(out)
    if unknown.any() and not np.isnan(rows).all():  # a block without any value needs no look at its cells
        band, y, x = np.nonzero(unknown)
        four = np.stack([rows[band, 2 * y + i, 2 * x + j] for i in (0, 1) for j in (0, 1)])
        known = ~np.isnan(four)
        n = known.sum(axis=0)
        total = np.where(known, four, np.float32(0)).sum(axis=0, dtype=np.float32)
        out[band, y, x] = np.where(n > 0, total / np.maximum(n, 1).astype(np.float32), np.float32(np.nan))
    return out


@dataclass(slots=True)
class Statistics:
    """Minimum, maximum, mean and standard deviation of the cells that are not NaN, independent of the blocks of rows.

    Sums are taken relative to the first valid value, by row, then added in row order in float64.

    Attributes
    ----------
    n
        Number of valid cells.
    low, high
        Lowest and highest value.
    cells
        Number of all cells.
    """

    n: int = 0
    low: float = math.inf
    high: float = -math.inf
    cells: int = 0
    _origin: np.float32 | None = None
    _sum: float = 0.0
    _squares: float = 0.0

    def add(self, rows: Rows) -> bool:
        """Add rows.

        Parameters
        ----------
        rows
            Values (y, x).

        Returns
        -------
        bool
            False if they hold an infinite value.
        """
        self.cells += rows.size
        low, high = rows.min(initial=np.inf), rows.max(initial=-np.inf)
        holes = bool(np.isnan(low))
        if holes:
            known = ~np.isnan(rows)
            if not known.any():
                return True
            low, high = rows[known].min(), rows[known].max()
        if not (np.isfinite(low) and np.isfinite(high)):
            return rows.size == 0
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        if self._origin is None:
            self._origin = rows[known].flat[0] if holes else rows.flat[0]
        away = rows - self._origin
        if holes:
            away[~known] = 0.0
        self.n += int(known.sum()) if holes else rows.size
        for total, square in zip(
            away.sum(axis=1).astype(np.float64).tolist(),
            np.einsum("yx,yx->y", away, away).astype(np.float64).tolist(),
            strict=True,
        ):
            self._sum += total
            self._squares += square
        return True

    def tags(self) -> dict[str, str]:
        """Return GDAL's statistics tags of a band; empty if no cell is valid."""
        if self.n == 0 or self._origin is None:
            return {}
        away = self._sum / self.n
        spread = math.sqrt(max(0.0, self._squares / self.n - away * away))
        return {
            "STATISTICS_MINIMUM": f"{self.low:.9g}",
            "STATISTICS_MAXIMUM": f"{self.high:.9g}",
            "STATISTICS_MEAN": f"{float(self._origin) + away:.9g}",
            "STATISTICS_STDDEV": f"{spread:.9g}",
            "STATISTICS_VALID_PERCENT": f"{100.0 * self.n / self.cells:.4g}",
        }
