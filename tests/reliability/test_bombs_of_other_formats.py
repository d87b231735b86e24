"""Files of some bytes that claim rasters of terabytes, in each format: read or refused, within little memory."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.rasters import write_dem

from terrafine.errors import TerrafineError
from terrafine.raster.read.source import open_source

resource = pytest.importorskip("resource")

MB = 1 << 20
LIMIT_MB = 300
MOST = 2**31 - 1


def tiff(path: Path, *, width: int, height: int, big: bool = False, **more: int) -> Path:
    """One directory with one block of some bytes, and other values of its tags."""
    bits, rows, samples, scheme = (
        more.get(n, d) for n, d in (("bits", 32), ("rows", height), ("samples", 1), ("z", 1))
    )
    tags = {256: width, 257: height, 258: bits, 259: scheme, 262: 1, 277: samples, 339: 3}
    tags |= {322: width, 323: height, 324: 8, 325: 64} if more.get("tiled") else {273: 8, 278: rows, 279: 64}
    entry, head = ("<HHQQ", struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)) if big else ("<HHII", b"")
    body = b"".join(struct.pack(entry, tag, 4, 1, value) for tag, value in sorted(tags.items()))
    count = struct.pack("<Q" if big else "<H", len(tags))
    path.write_bytes((head or struct.pack("<2sHI", b"II", 42, 8)) + count + body + bytes(8 + 256))
    return path


def png(path: Path, side: int) -> Path:
    """A PNG of that side whose data are one row of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def written(path: Path, *parts: bytes | str) -> Path:
    """The parts, one behind the other, and some zeros."""
    path.write_bytes(b"".join(part.encode() if isinstance(part, str) else part for part in parts) + bytes(200))
    return path


def envi(path: Path) -> Path:
    size = f"samples = {MOST}\nlines = {MOST}\nbands = 1\n"
    more = "header offset = 0\ndata type = 4\ninterleave = bsq\nbyte order = 0\n"
    path.with_suffix(".hdr").write_text(f"ENVI\n{size}{more}")
    return written(path)


def archive(path: Path, megabytes: int = 512) -> Path:
    """A zip whose one raster unfolds to half a gigabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.tif", "w") as inside:
        inside.write(struct.pack("<2sHI", b"II", 42, 8))
        for _ in range(megabytes):
            inside.write(bytes(MB))
    return path


_GRID = "ncols {0}\nnrows {0}\nxllcorner 0\nyllcorner 0\ncellsize 1\nNODATA_value -9999\n1 2 3\n"
_JPEG = b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9"
_JP2 = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">8I", MOST, MOST, 0, 0, MOST, MOST, 0, 0) + b"\0\1\7\1\1"
_WEBP = b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff"

BOMBS: dict[str, Callable[[Path], Path]] = {
    "bigtiff": lambda f: tiff(f / "a.tif", width=MOST, height=MOST, big=True),
    "strip": lambda f: tiff(f / "a.tif", width=MOST, height=MOST),
    "wide": lambda f: tiff(f / "a.tif", width=MOST, height=1),
    "tall": lambda f: tiff(f / "a.tif", width=1, height=MOST, rows=1),
    "beyond 2^31": lambda f: tiff(f / "a.tif", width=2**32 - 1, height=2**32 - 1),
    "one block": lambda f: tiff(f / "a.tif", width=65_520, height=65_520, tiled=1),
    "one block of deflate": lambda f: tiff(f / "a.tif", width=65_520, height=65_520, tiled=1, z=8),
    "bands": lambda f: tiff(f / "a.tif", width=20_000, height=20_000, samples=65_535),
    "png": lambda f: png(f / "a.png", MOST),
    "png of 60,000": lambda f: png(f / "a.png", 60_000),
    "jpeg": lambda f: written(f / "a.jpg", _JPEG),
    "jp2": lambda f: written(f / "a.j2k", _JP2),
    "webp": lambda f: written(f / "a.webp", _WEBP),
    "gif": lambda f: written(f / "a.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0", bytes(6), b",", bytes(4), b"\xff" * 4),
    "bmp": lambda f: written(f / "a.bmp", struct.pack("<2sIIIIiiHHI", b"BM", 300, 0, 54, 40, MOST, MOST, 1, 8, 0)),
    "pnm": lambda f: written(f / "a.ppm", f"P5\n{MOST} {MOST}\n255\n"),
    "envi": lambda f: envi(f / "a.img"),
    "asc": lambda f: written(f / "a.asc", _GRID.format(MOST)),
    "asc of 100,000": lambda f: written(f / "a.asc", _GRID.format(100_000)),
    "xyz": lambda f: written(f / "a.xyz", "0 0 1\n1 0 1\n2000000000 0 1\n0 1 1\n1 1 1\n2000000000 2000000000 1\n"),
}


def attack(path: Path) -> str:
    """Open it as every verb does, and read a window."""
    try:
        with open_source(str(path), assume_crs="EPSG:32633") as source:
            rows, cols = (slice(0, min(n, 200)) for n in source.shape)
            source.read("elevation", rows, cols)
    except TerrafineError as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001 - the kind is what the test is about
        return f"unexpected {type(error).__name__}: {error}"
    return "read"


def alone(path: Path) -> tuple[str, float]:
    """The outcome in a process of its own of at most 20 s of processor time, and by how many MB its peak grew."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = attack(path)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        os.write(writer, json.dumps([outcome, grown]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    _, status = os.waitpid(process, 0)
    assert status == 0 and said, f"the process ended with {os.waitstatus_to_exitcode(status)}"
    outcome, grown = json.loads(said)
    return outcome, grown


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What reading imports, before the first fork."""
    assert attack(write_dem(tmp_path_factory.mktemp("warm") / "a.tif")) == "read"


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_claims_terabytes_costs_little_memory(name: str, tmp_path: Path) -> None:
    outcome, grown = alone(BOMBS[name](tmp_path))
    assert not outcome.startswith("unexpected"), outcome
    assert grown < LIMIT_MB, f"{outcome}, {grown:.0f} MB"


@pytest.mark.long
def test_an_archive_that_unfolds_to_half_a_gigabyte_costs_little_memory(tmp_path: Path) -> None:
    outcome, grown = alone(archive(tmp_path / "a.zip"))
    assert outcome not in ("read",) and not outcome.startswith("unexpected"), outcome
    assert grown < LIMIT_MB, f"{outcome}, {grown:.0f} MB"
