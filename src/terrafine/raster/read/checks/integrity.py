"""Check that files are whole: a truncated GeoTIFF can open cleanly and read as nodata, so block tables are checked."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import SourceError

__all__ = [
    "METADATA",
    "TiffDirectory",
    "check_blocks",
    "check_whole",
    "content_digest",
    "read_directories",
    "stated_nodata",
]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_OFFSETS = (324, 273)  # TileOffsets, StripOffsets
_COUNTS = (325, 279)  # TileByteCounts, StripByteCounts
_NODATA = 42113
_METADATA = 42112  # GDAL's own, in XML
METADATA = frozenset({_METADATA})
"""What `TiffDirectory.metadata` needs."""
_TABLES = frozenset({*_OFFSETS, *_COUNTS})
_BLOCKS = 1 << 24  # of one directory: a planet in cells of 15 m
_BLOCK = 512 << 20  # bytes of one block, decoded
_WHOLE = 64 << 20
_SAMPLE = 1 << 20


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """One image file directory of a TIFF.

    Attributes
    ----------
    entries
        Tag to (field type, number of values, raw bytes in the file's byte order).
    order
        Byte order, `<` or `>`.
    """

    entries: dict[int, tuple[int, int, bytes]]
    order: str

    def numbers(self, *tags: int) -> NDArray[np.uint64]:
        """Return the whole numbers under the first of several tags that is present.

        Parameters
        ----------
        tags
            Tag numbers, in order of preference.

        Returns
        -------
        ndarray of uint64, (value,)
            Empty if no tag is present.
        """
        for tag in tags:
            if tag in self.entries:
                kind, count, raw = self.entries[tag]
                values = np.frombuffer(raw, np.dtype(f"{self.order}u{_SIZES[kind]}"), count)
                return values.astype(np.uint64)
        return np.zeros(0, np.uint64)

    @property
    def offsets(self) -> NDArray[np.uint64]:
        """Where each tile or strip begins, in bytes; 0 for one that was never written."""
        return self.numbers(*_OFFSETS)

    @property
    def counts(self) -> NDArray[np.uint64]:
        """The size of each tile or strip in bytes."""
        return self.numbers(*_COUNTS)

    @property
    def metadata(self) -> bytes:
        """GDAL's metadata, XML; empty if there is none."""
        return self.entries[_METADATA][2] if _METADATA in self.entries else b""


def read_directories(path: str, tags: frozenset[int] | None = None) -> list[TiffDirectory] | None:
    """Read the directories of a classic or BigTIFF file.

    Parameters
    ----------
    path
        A local file.
    tags
        The tags whose values are read; None for all.

    Returns
    -------
    list of TiffDirectory or None
        One for each directory; None if the file is not a TIFF.

    Raises
    ------
    SourceError
        If the file ends inside a directory, or its directories claim more bytes than the file has. Those of an intact
        file do not overlap, so no more than its size is ever read.

    References
    ----------
    TIFF 6.0, https://www.loc.gov/preservation/digital/formats/fdd/fdd000022.shtml
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(16)
        if head[:2] not in (b"II", b"MM") or len(head) < 8:
            return None
        order = "<" if head[:2] == b"II" else ">"
        (magic,) = struct.unpack(order + "H", head[2:4])
        if magic not in (42, 43):
            return None
        big = magic == 43
        if big and len(head) < 16:
            raise SourceError(f"{path}: a BigTIFF of {size} bytes has no directory; it is truncated")
        (at,) = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])
        reader = _DirectoryReader(file, path, order, big, size, tags)
        found: list[TiffDirectory] = []
        seen: set[int] = set()
        while at and at not in seen:
            seen.add(at)
            directory, at = reader.read(at)
            found.append(directory)
        return found


@dataclass(slots=True)
class _DirectoryReader:
    """Reads directories of an open file; `left` is how many bytes they may still claim."""

    file: BinaryIO
    path: str
    order: str
    big: bool
    left: int
    tags: frozenset[int] | None

    def read(self, at: int) -> tuple[TiffDirectory, int]:
        """The directory there, and where the next one begins."""
        word, room = ("Q", 8) if self.big else ("I", 4)
        self._seek(at)
        (n,) = struct.unpack(self.order + ("Q" if self.big else "H"), self._take(8 if self.big else 2))
        width = 20 if self.big else 12
        if n > 4096:
            raise SourceError(f"{self.path}: a TIFF directory claims {n} entries; the file is damaged")
        table = self._take(n * width)
        (following,) = struct.unpack(self.order + word, self._take(room))
        entries: dict[int, tuple[int, int, bytes]] = {}
        for i in range(n):
            row = table[i * width : (i + 1) * width]
            tag, kind, count = struct.unpack(self.order + "HH" + word, row[: 4 + room])
            if kind not in _SIZES or (self.tags is not None and tag not in self.tags):
                continue
            length = _SIZES[kind] * count
            raw = row[4 + room : 4 + room + length]
            if length > room:
                if tag in _TABLES and count > _BLOCKS and length <= self.left:
                    raise SourceError(f"{self.path}: a directory of {count:,} blocks; expected at most {_BLOCKS:,}")
                self._seek(*struct.unpack(self.order + word, row[4 + room : 4 + 2 * room]))
                raw = self._take(length)
            entries[tag] = (kind, count, raw)
        return TiffDirectory(entries, self.order), int(following)

    def _seek(self, at: int) -> None:
        try:
            self.file.seek(at)
        except (OSError, OverflowError, ValueError):
            raise SourceError(f"{self.path}: a directory at byte {at}, where no file reaches; it is damaged") from None

    def _take(self, n: int) -> bytes:
        room = os.fstat(self.file.fileno()).st_size - self.file.tell()
        data = self.file.read(n) if n <= room else b""
        if len(data) != n:
            raise SourceError(
                f"{self.path}: the file ends inside its own directory; it is truncated, fetch or write it again"
            )
        self.left -= n
        if self.left < 0:
            raise SourceError(f"{self.path}: its directories overlap and claim more than the file has; it is damaged")
        return data


def stated_nodata(path: str) -> str | None:
    """Return the text of a TIFF's nodata value (GDAL's tag 42113), or None.

    Parameters
    ----------
    path
        A local file.

    Returns
    -------
    str or None
        The text; None also for a file that is not a TIFF.

    Raises
    ------
    SourceError
        If the file ends inside a directory.
    """
    directories = read_directories(path, frozenset({_NODATA}))
    if not directories or _NODATA not in directories[0].entries:
        return None
    return directories[0].entries[_NODATA][2].rstrip(b"\0").decode("ascii", "replace").strip()


def check_whole(path: str) -> None:
    """Check that a local TIFF holds every byte that its block tables promise, and at least one block.

    Files that are not TIFF are left to their GDAL driver.

    Parameters
    ----------
    path
        A file.

    Raises
    ------
    SourceError
        If the file is truncated; the message states both sizes.
    """
    local = Path(path)
    if not local.is_file():
        return
    directories = read_directories(path, _TABLES)
    if directories is None:
        return
    size = local.stat().st_size
    for i, directory in enumerate(directories):
        offsets, counts = directory.offsets, directory.counts
        if offsets.size == 0 or offsets.size != counts.size:
            continue
        ends = int((offsets + counts).max())
        if ends > size:
            missing = int(((offsets + counts) > size).sum())
            raise SourceError(
                f"{path}: truncated: {missing} of {offsets.size} blocks reach to byte {ends}, but the file has {size}; "
                "fetch or write it again"
            )
        if i == 0 and not counts.any():
            raise SourceError(
                f"{path}: none of its {counts.size} blocks was ever written, which is what a killed writer leaves; "
                "fetch or write it again"
            )


def check_blocks(handle: Any, path: str) -> None:
    """Check that no block of an open raster needs an implausible amount of memory to decode.

    Parameters
    ----------
    handle
        The open rasterio dataset.
    path
        The file, for messages.

    Raises
    ------
    SourceError
        If a block is larger than 512 MiB.
    """
    for (height, width), dtype in zip(handle.block_shapes, handle.dtypes, strict=True):
        size = height * width * np.dtype(dtype).itemsize
        if size > _BLOCK:
            raise SourceError(
                f"{path}: states blocks of {width} × {height} cells, {size / 1e6:,.0f} MB each to decode; expected at "
                f"most {_BLOCK / 1e6:,.0f} MB. If you trust it, run gdal_translate -co TILED=YES IN OUT"
            )


def content_digest(path: str) -> str:
    """Return the SHA-256 of a local file, sampled for large files.

    Below 64 MB the whole file is read; else its size, both ends and 62 samples of 1 MB between them.

    Parameters
    ----------
    path
        A local file.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if size < _WHOLE:
            file.seek(0)
            while block := file.read(_SAMPLE):
                digest.update(block)
            return digest.hexdigest()
        digest.update(str(size).encode())
        for at in np.linspace(0, size - _SAMPLE, 64).astype(np.int64).tolist():
            file.seek(at)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
