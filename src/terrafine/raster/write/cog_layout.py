"""Assemble finished GeoTIFF levels to one Cloud-Optimized GeoTIFF (COG), copying compressed blocks byte for byte.

A COG has its directories first and its overviews before its full resolution, which is not known while rows still stream
in. So each level is written to a file of its own, and this module puts the blocks in order: nothing is decoded or
compressed twice, and the bytes depend on the pixels alone, not on which thread finished first.

References
----------
OGC 21-026, https://docs.ogc.org/is/21-026/21-026.html
https://gdal.org/en/stable/drivers/raster/cog.html
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from terrafine.errors import DiskError, SourceError
from terrafine.raster.read.checks.integrity import TiffDirectory, read_directories

__all__ = ["assemble"]

_TILE_OFFSETS, _TILE_COUNTS, _SUBFILE = 324, 325, 254
# Georeference and metadata belong to the full resolution; overviews keep only nodata and what decodes them.
_MAIN_ONLY = {305, 33550, 33922, 34264, 34735, 34736, 34737, 42112}
_STRUCTURE = (
    "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    "BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_GHOST = (f"GDAL_STRUCTURAL_METADATA_SIZE={len(_STRUCTURE):06d} bytes\n" + _STRUCTURE).encode("ascii")
_CLASSIC_LIMIT = (1 << 32) - (1 << 20)

Entry = tuple[int, int, bytes]


def assemble(levels: Sequence[str], target: str) -> tuple[str, int]:
    """Write levels as one COG.

    Parameters
    ----------
    levels
        Files of the levels, full resolution first.
    target
        The file to write.

    Returns
    -------
    sha256, size : str and int
        SHA-256 of the file, and its size in bytes.

    Raises
    ------
    DiskError
        If a level is incomplete, as a full disk leaves it.
    OSError
        If the target cannot be written.
    """
    directories = [_whole(level) for level in levels]
    tables = [_entries(d, main=i == 0) for i, d in enumerate(directories)]
    data = sum(int(d.counts.sum()) + 8 * d.counts.size for d in directories)
    big = data + _head_size(tables, big=True) > _CLASSIC_LIMIT
    at = _head_size(tables, big)
    for table, directory in reversed(list(zip(tables, directories, strict=True))):
        counts = directory.counts
        steps = counts + np.uint64(8)
        offsets = np.uint64(at + 4) + np.concatenate([np.zeros(1, np.uint64), np.cumsum(steps)[:-1]])
        at += int(steps.sum())
        kind = 16 if big else 4
        word = np.dtype("<u8" if big else "<u4")
        table[_TILE_OFFSETS] = (kind, counts.size, offsets.astype(word).tobytes())
        table[_TILE_COUNTS] = (kind, counts.size, counts.astype(word).tobytes())
    digest = hashlib.sha256()
    size = 0
    with open(target, "wb") as out:
        head = _head(tables, big)
        out.write(head)
        digest.update(head)
        size += len(head)
        for level, directory in reversed(list(zip(levels, directories, strict=True))):
            with open(level, "rb") as source:
                for offset, count in zip(directory.offsets.tolist(), directory.counts.tolist(), strict=True):
                    block = _block(source, level, offset, count)
                    out.write(block)
                    digest.update(block)
                    size += len(block)
    return digest.hexdigest(), size


def _whole(level: str) -> TiffDirectory:
    try:
        found = read_directories(level)
    except SourceError:
        found = None
    if not found:
        raise DiskError(f"{level}: its directory did not reach the disk; the disk is full, free space and run again")
    directory = found[0]
    size = os.path.getsize(level)  # noqa: PTH202
    if not directory.counts.all() or int((directory.offsets + directory.counts).max()) > size:
        missing = int((directory.counts == 0).sum() + ((directory.offsets + directory.counts) > size).sum())
        raise DiskError(
            f"{level}: {missing} of {directory.counts.size} blocks did not reach the disk; the disk is full or "
            "limited, free space and run again"
        )
    return directory


def _block(source: BinaryIO, level: str, offset: int, count: int) -> bytes:
    source.seek(offset)
    data = source.read(count)
    if len(data) != count:
        raise DiskError(f"{level}: a block of {count} bytes reads back as {len(data)}; the disk is full or failing")
    return struct.pack("<I", count) + data + data[-4:].rjust(4, b"\0")


def _entries(directory: TiffDirectory, main: bool) -> dict[int, Entry]:
    kept = {tag: entry for tag, entry in directory.entries.items() if main or tag not in _MAIN_ONLY}
    kept.pop(_SUBFILE, None)
    if not main:
        kept[_SUBFILE] = (4, 1, struct.pack("<I", 1))  # a reduced-resolution image, TIFF 6.0 page 36
    blocks = directory.counts.size
    kept[_TILE_OFFSETS] = kept[_TILE_COUNTS] = (16, blocks, b"\0" * 8 * blocks)
    return kept


def _even(n: int) -> int:
    return n + (n & 1)


def _directory_size(table: dict[int, Entry], big: bool) -> int:
    room, fixed = (8, 8 + 20 * len(table) + 8) if big else (4, 2 + 12 * len(table) + 4)
    size = fixed
    for tag, (_, count, raw) in table.items():
        length = count * (8 if big else 4) if tag in (_TILE_OFFSETS, _TILE_COUNTS) else len(raw)
        if length > room:
            size += _even(length)
    return _even(size)


def _head_size(tables: Sequence[dict[int, Entry]], big: bool) -> int:
    start = _even((16 if big else 8) + len(_GHOST))
    return start + sum(_directory_size(table, big) for table in tables)


def _head(tables: Sequence[dict[int, Entry]], big: bool) -> bytes:
    first = _even((16 if big else 8) + len(_GHOST))
    opening = struct.pack("<2sHHHQ", b"II", 43, 8, 0, first) if big else struct.pack("<2sHI", b"II", 42, first)
    out = bytearray((opening + _GHOST).ljust(first, b"\0"))
    for i, table in enumerate(tables):
        out += _directory_bytes(table, len(out), i == len(tables) - 1, big)
    return bytes(out)


def _directory_bytes(table: dict[int, Entry], at: int, last: bool, big: bool) -> bytes:
    word, room, width = ("Q", 8, 20) if big else ("I", 4, 12)
    head = struct.pack("<Q" if big else "<H", len(table))
    spill_at = at + len(head) + width * len(table) + room
    body, spill = b"", bytearray()
    for tag in sorted(table):
        kind, count, raw = table[tag]
        if len(raw) <= room:
            value = raw.ljust(room, b"\0")
        else:
            value = struct.pack("<" + word, spill_at + len(spill))
            spill += raw + b"\0" * (len(raw) & 1)
        body += struct.pack("<HH" + word, tag, kind, count) + value
    size = _directory_size(table, big)
    following = struct.pack("<" + word, 0 if last else at + size)
    return (head + body + following + bytes(spill)).ljust(size, b"\0")
