"""File of a finished shard: tiles in sequence, a footer that describes them, and a trailer.

    tile 0 float32 (band, y, x) | tile 1 | ... | footer (JSON) | CRC-32 and length of the footer, magic

The footer holds the CRC-32 of every row, the key of the job and the shard's index. A file cut short by a kill or a full
disk has no trailer; a file damaged later has a wrong CRC; a file of another job has another key. Each of them counts as
not finished, and the shard is run again. Every read verifies the rows that it returns, so a shard that is damaged after
the check is not published either.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.atomic import StagedFile
from terrafine.errors import DiskError, JobError

__all__ = ["ShardReader", "ShardWriter", "is_whole"]

_MAGIC = b"TFSHARD2"
_TRAILER = struct.Struct("<IQ8s")
_ROWS = 256  # rows verified at a time


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where one tile lies in the file; `offset` is None for a tile that is nodata throughout and takes no space."""

    shape: tuple[int, ...]
    offset: int | None
    crcs: NDArray[np.uint32]
    residual: tuple[float, float]


class ShardWriter:
    """Writer of the tiles of a shard in their order, completed by `commit` or discarded by `abort`.

    Parameters
    ----------
    path
        File to write.
    key
        Digest of the job.
    index
        Index of the shard.
    tiles
        Number of tiles.
    """

    def __init__(self, path: Path, key: str, index: int, tiles: int) -> None:
        self._path, self._key, self._index, self._count = path, key, index, tiles
        self._file = StagedFile(path)
        self._entries: list[dict[str, Any]] = []

    def add(
        self,
        shape: tuple[int, int, int],
        values: NDArray[np.float32] | None,
        residual_m: float,
        residual_mean: float = 0.0,
    ) -> None:
        """Append one tile.

        Parameters
        ----------
        shape
            Bands, rows and columns of the tile.
        values
            float32 (band, y, x); None where every cell is nodata.
        residual_m, residual_mean
            Largest and mean residual, in the input's unit.

        Raises
        ------
        DiskError
            Where the disk is full.
        JobError
            Where the file cannot be written.
        """
        offset, crcs = None, np.zeros(0, "<u4")
        try:
            if values is not None:
                rows = np.ascontiguousarray(values, "<f4").reshape(-1, shape[2])
                offset, crcs = self._file.write(rows.reshape(-1).view(np.uint8).data), _row_crcs(rows)
        except OSError as e:
            raise _disk(self._path, e) from e
        entry = {
            "shape": shape,
            "offset": offset,
            "crcs": crcs.tobytes().hex(),
            "residual": [residual_m, residual_mean],
        }
        self._entries.append(entry)

    def commit(self) -> int:
        """Write footer and trailer, flush the file to disk and rename it; return its size in bytes.

        Raises
        ------
        JobError
            Where a tile is missing, or the file cannot be written.
        DiskError
            Where the disk is full.
        """
        if len(self._entries) != self._count:
            raise JobError(f"{self._path}: {len(self._entries)} of {self._count} tiles written; run the command again")
        record = {"key": self._key, "index": self._index, "tiles": self._entries}
        footer = json.dumps(record, sort_keys=True).encode()
        try:
            self._file.write(footer + _TRAILER.pack(zlib.crc32(footer), len(footer), _MAGIC))
            return self._file.commit()
        except OSError as e:
            raise _disk(self._path, e) from e

    def abort(self) -> None:
        """Remove the temporary file; has no effect after `commit`."""
        self._file.abort()


class ShardReader:
    """Reader of the tiles of one finished shard, by rows on request.

    Parameters
    ----------
    path
        File to read.
    key
        Digest of the job.
    index
        Index of the shard.

    Raises
    ------
    JobError
        Where the file is not the complete shard of that job and index.
    """

    def __init__(self, path: Path, key: str, index: int) -> None:
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close
        except OSError as e:
            raise JobError(f"{path}: shard {index} cannot be read ({e.strerror}); run the command again") from e
        try:
            self._read_footer(path, key, index)
        except JobError:
            self._file.close()
            raise

    def _read_footer(self, path: Path, key: str, index: int) -> None:
        size = self._file.seek(0, os.SEEK_END)
        problem = JobError(f"{path}: not a whole shard {index} of this job; run the command again to redo it")
        if size < _TRAILER.size:
            raise problem
        crc, length, magic = _TRAILER.unpack(self._bytes(size - _TRAILER.size, _TRAILER.size))
        if magic != _MAGIC or length > size - _TRAILER.size:
            raise problem
        footer = self._bytes(size - _TRAILER.size - length, length)
        if zlib.crc32(footer) != crc:
            raise problem
        record = json.loads(footer)
        if record["key"] != key or record["index"] != index:
            raise problem
        self._body = size - _TRAILER.size - length
        self._tiles = [
            _Entry(
                tuple(t["shape"]),
                t["offset"],
                np.frombuffer(bytes.fromhex(t["crcs"]), "<u4"),
                tuple(t.get("residual", (0.0, 0.0))),
            )
            for t in record["tiles"]
        ]
        self._path = path

    def __len__(self) -> int:
        return len(self._tiles)

    def read(self, tile: int, band: int, rows: slice) -> NDArray[np.float32] | None:
        """Read rows of one tile and band.

        Raises JobError where the rows are not those that were written.

        Parameters
        ----------
        tile
            Number of the tile in the shard.
        band
            Number of the band.
        rows
            Rows within the tile.

        Returns
        -------
        ndarray | None
            float32 (rows, x); None where all cells of the tile are nodata.

        Raises
        ------
        JobError
            Where the rows are not those that were written.
        """
        entry = self._tiles[tile]
        if entry.offset is None:
            return None
        _, height, width = entry.shape
        first = band * height + rows.start
        count = rows.stop - rows.start
        data = self._bytes(entry.offset + 4 * width * first, 4 * width * count)
        out = np.frombuffer(data, "<f4").reshape(count, width).copy() if len(data) == 4 * width * count else None
        if out is None or not np.array_equal(_row_crcs(out), entry.crcs[first : first + count]):
            raise JobError(
                f"{self._path}: tile {tile} is damaged in rows {rows.start} to {rows.stop - 1}; run the command "
                "again, it redoes this shard only"
            )
        return out

    @property
    def residuals(self) -> list[tuple[float, float]]:
        """Largest and mean residual of each tile, in the input's unit; NaN where a tile is nodata."""
        return [(np.nan, np.nan) if tile.offset is None else tile.residual for tile in self._tiles]

    def verify(self) -> bool:
        """Report whether every tile has the bytes that were written."""
        end = 0
        for entry in self._tiles:
            if entry.offset is None:
                continue
            length = 4 * entry.shape[0] * entry.shape[1] * entry.shape[2]
            if entry.offset != end:
                return False
            end = entry.offset + length
        if end != self._body:
            return False
        try:
            for nth, entry in enumerate(self._tiles):
                for band in range(entry.shape[0]):
                    for top in range(0, entry.shape[1], _ROWS):
                        self.read(nth, band, slice(top, min(top + _ROWS, entry.shape[1])))
        except JobError:
            return False
        return True

    def _bytes(self, offset: int, length: int) -> bytes:
        """Up to so many bytes from an offset."""
        self._file.seek(offset)
        parts: list[bytes] = []
        while length > 0 and (part := self._file.read(length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_whole(path: Path, key: str, index: int) -> bool:
    """Report whether a file is the complete finished shard of a job and index.

    Parameters
    ----------
    path
        File to check.
    key
        Digest of the job.
    index
        Index of the shard.

    Returns
    -------
    bool
        True where every byte is as written.
    """
    try:
        reader = ShardReader(path, key, index)
    except JobError:
        return False
    try:
        return reader.verify()
    finally:
        reader.close()


def _row_crcs(rows: NDArray[np.float32]) -> NDArray[np.uint32]:
    """CRC-32 of each row of a contiguous (row, x) array."""
    return np.array([zlib.crc32(row.view(np.uint8).data) for row in rows], "<u4")


def _disk(path: Path, e: OSError) -> Exception:
    if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskError(f"{path}: the disk is full ({e.strerror}); free space and run the command again to resume")
    return JobError(f"{path}: cannot be written ({e.strerror}); check the folder and run the command again")
