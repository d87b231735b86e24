"""Small files with large numbers in their headers cost no memory: they are refused within the size of the file."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
from tests.support.rasters import heights, write_raster

from terrafine.errors import SourceError
from terrafine.raster.read.checks.integrity import check_blocks, check_whole, read_directories
from terrafine.raster.read.source import open_source

MB = 1 << 20


def chained(path: Path, directories: int = 20_000) -> Path:
    """Directories that all name the same megabyte as their table of blocks."""
    size, at = MB, 8
    body = bytearray(struct.pack("<2sHI", b"II", 42, 8))
    for _ in range(directories):
        at += 2 + 12 + 4
        body += struct.pack("<HHHII", 1, 324, 4, size // 4 - 4, 8) + struct.pack("<I", at)
    path.write_bytes(bytes(body).ljust(size, b"\0"))
    return path


def many_tags(path: Path, claim: int = MB - 8) -> Path:
    """One directory of 4,096 tags, each of which claims so many bytes, by default the whole file."""
    body = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 4096)
    body += b"".join(struct.pack("<HHII", tag, 1, claim, 8) for tag in range(20_000, 24_096)) + bytes(4)
    path.write_bytes(body.ljust(MB, b"\0"))
    return path


@pytest.mark.parametrize("make", [chained, many_tags])
def test_directories_are_read_within_the_size_of_the_file(make, tmp_path: Path) -> None:
    path = make(tmp_path / "bomb.tif")
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="overlap"):
            read_directories(str(path))
        if make is chained:
            with pytest.raises(SourceError, match="overlap"):
                check_whole(str(path))
        assert tracemalloc.get_traced_memory()[1] < 16 * MB
    finally:
        tracemalloc.stop()


def test_tags_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    (directory,) = read_directories(str(many_tags(tmp_path / "a.tif", 1000)), frozenset({20_001})) or []
    assert set(directory.entries) == {20_001}


def test_a_block_of_65536_squared_is_refused(tmp_path: Path) -> None:
    class Handle:
        block_shapes = ((65_536, 65_536),)
        dtypes = ("float32",)

    with pytest.raises(SourceError, match="65536 × 65536"):
        check_blocks(Handle(), "bomb.tif")
    with open_source(write_raster(tmp_path / "a.tif", heights())) as source:
        assert source.shape == (40, 50)


def test_a_directory_beyond_every_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1) + bytes(64))
    with pytest.raises(SourceError, match="damaged"):
        read_directories(str(path))
