"""Is a file whole? A GeoTIFF cut short can open cleanly and read as nodata: its block table is held to its size."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import SourceError

__all__ = ["TiffDirectory", "check_parts", "check_whole", "content_digest", "read_directories", "stated_nodata"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_OFFSETS = (324, 273)  # TileOffsets, StripOffsets
_COUNTS = (325, 279)  # TileByteCounts, StripByteCounts
_NODATA = 42113
_WHOLE = 64 << 20
_SAMPLE = 1 << 20
_LINKS = 40  # of one path, as the kernel follows them


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """One image file directory: tag -> (field type, number of values, raw bytes in the file's byte order)."""

    entries: dict[int, tuple[int, int, bytes]]
    order: str

    def numbers(self, *tags: int) -> NDArray[np.uint64]:
        """The whole numbers under the first of `tags` that is present; empty where none is."""
        for tag in tags:
            if tag in self.entries:
                kind, count, raw = self.entries[tag]
                values = np.frombuffer(raw, np.dtype(f"{self.order}u{_SIZES[kind]}"), count)
                return values.astype(np.uint64)
        return np.zeros(0, np.uint64)

    @property
    def offsets(self) -> NDArray[np.uint64]:
        """Where each tile or strip begins; 0 for one that was never written."""
        return self.numbers(*_OFFSETS)

    @property
    def counts(self) -> NDArray[np.uint64]:
        """How many bytes each tile or strip holds."""
        return self.numbers(*_COUNTS)


def _take(file: BinaryIO, n: int, path: str) -> bytes:
    room = os.fstat(file.fileno()).st_size - file.tell()
    data = file.read(n) if n <= room else b""
    if len(data) != n:
        raise SourceError(f"{path}: the file ends inside its own directory; it is truncated, fetch or write it again")
    return data


def read_directories(path: str) -> list[TiffDirectory] | None:
    """Every directory of a classic or BigTIFF file (TIFF 6.0, https://www.loc.gov/preservation/digital/formats/fdd/fdd000022.shtml).

    None where the file is no TIFF; SourceError where it ends inside a directory.
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
        found: list[TiffDirectory] = []
        seen: set[int] = set()
        while at and at not in seen:
            seen.add(at)
            directory, at = _directory(file, path, at, order, big)
            found.append(directory)
        return found


def _directory(file: BinaryIO, path: str, at: int, order: str, big: bool) -> tuple[TiffDirectory, int]:
    file.seek(at)
    word, room = ("Q", 8) if big else ("I", 4)
    (n,) = struct.unpack(order + ("Q" if big else "H"), _take(file, 8 if big else 2, path))
    width = 20 if big else 12
    if n > 4096:
        raise SourceError(f"{path}: a TIFF directory claims {n} entries; the file is damaged")
    table = _take(file, n * width, path)
    (following,) = struct.unpack(order + word, _take(file, room, path))
    entries: dict[int, tuple[int, int, bytes]] = {}
    for i in range(n):
        row = table[i * width : (i + 1) * width]
        tag, kind, count = struct.unpack(order + "HH" + word, row[: 4 + room])
        if kind not in _SIZES:
            continue
        length = _SIZES[kind] * count
        raw = row[4 + room : 4 + room + length]
        if length > room:
            (where,) = struct.unpack(order + word, row[4 + room : 4 + 2 * room])
            file.seek(where)
            raw = _take(file, length, path)
        entries[tag] = (kind, count, raw)
    return TiffDirectory(entries, order), int(following)


def stated_nodata(path: str) -> str | None:
    """The text of a TIFF's nodata value (GDAL's tag 42113), None where it has none or the file is no TIFF."""
    directories = read_directories(path)
    if not directories or _NODATA not in directories[0].entries:
        return None
    return directories[0].entries[_NODATA][2].rstrip(b"\0").decode("ascii", "replace").strip()


def check_whole(path: str) -> None:
    """A local TIFF must hold every byte that its block tables promise, and at least one block.

    Files that are no TIFF are left to their driver. Raises SourceError that states both sizes.
    """
    local = Path(path)
    if not local.is_file():
        return
    directories = read_directories(path)
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


def check_parts(path: str) -> None:
    """Every local file that a local VRT names is there, nested ones included; raises SourceError naming what is not."""
    seen, todo = set(), [Path(path)]
    while todo:
        vrt = todo.pop()
        if vrt in seen or not vrt.is_file():
            continue
        seen.add(vrt)
        named = _sources(vrt)
        missing = [p for p in named if not p.exists()]
        if missing:
            raise SourceError(
                f"{vrt}: names {len(named)} files, and {len(missing)} of them are not there, such as {missing[0]}; "
                "fetch them, or build the VRT again with gdalbuildvrt"
            )
        todo += [p for p in named if p.suffix.lower() == ".vrt"]


def _sources(vrt: Path) -> list[Path]:
    """The plain local files under `SourceFilename` and `SourceDataset` (https://gdal.org/drivers/raster/vrt.html).

    As GDAL does: names of elements and attributes in any case; a relative name begins at the folder of the file that
    a symbolic link leads to, link by link.
    """
    try:
        tree = ElementTree.parse(vrt)
    except ElementTree.ParseError as error:
        raise SourceError(f"{vrt}: no whole VRT ({error}); fetch or build it again") from None
    folder, found = _linked_to(vrt).parent, []
    for node in tree.iter():
        if str(node.tag).lower() not in ("sourcefilename", "sourcedataset"):
            continue
        text = (node.text or "").strip()
        relative = {name.lower(): value.strip() for name, value in node.items()}.get("relativetovrt") == "1"
        if text and ":" not in text and not text.startswith(("/vsi", "<")):
            found.append(folder / text if relative else Path(text))
    return list(dict.fromkeys(found))


def _linked_to(path: Path) -> Path:
    """The file that a chain of symbolic links leads to; folders that are links are left as they are."""
    for _ in range(_LINKS):
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return path


def content_digest(path: str) -> str:
    """SHA-256 of a local file: all of it below 64 MB, else its size, both ends and 62 samples of 1 MB between them."""
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
