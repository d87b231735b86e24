"""ERDAS Imagine: the names of other files that an `.img` or `.aux` holds are those of its own folder.

A file of more than 2 GB keeps its pixels in an `.ige` beside it, and may keep overviews in an `.rrd`. GDAL joins the
name to the folder as it stands, so that `../../x` would be read as pixels.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

from terrafine.errors import SourceError
from terrafine.raster.read.checks.access import require_plain

__all__ = ["MAGIC", "check_hfa"]

MAGIC = b"EHFA_HEADER_TAG"

_TYPES = {b"Emif_String": b"0:pcstring,", b"ImgExternalRaster": b"1:oEmif_String,fileName,"}  # how each begins
_ELSEWHERE = re.compile(rb"[\x20-\x7e]*[/\\][\x20-\x7e]*")
_NAMING = {b"externalrasterdms", b"rrdnameslist", b"rrdinfolist", b"dependentfile"}
_ENTRY = struct.Struct("<6I64s32s")  # next, previous, parent, child, data, size of the data, name, type
_ENTRIES = 100_000
_DATA = 1 << 20


def check_hfa(path: Path) -> None:
    """Check that an ERDAS Imagine file names no file outside its folder, and no pixels but those of its own `.ige`.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    SourceError
        If it does, or its tree of entries is damaged.
    """
    try:
        with open(path, "rb") as file:
            entries = _naming_entries(path, file)
            if any(name == b"externalrasterdms" for name, _ in entries):
                _check_dictionary(path, file)
        for name, data in entries:
            _check(path, name, data)
    except (OSError, struct.error) as error:
        raise SourceError(f"{path}: its entries cannot be read ({error}); fetch the file again") from None


def _check_dictionary(path: Path, file: BinaryIO) -> None:
    """The types in which the name of the pixels is kept are those that every writer states."""
    file.seek(16)
    file.seek(*struct.unpack("<I", file.read(4)))
    (start,) = struct.unpack_from("<I", file.read(18), 14)
    file.seek(start)
    text = file.read(_DATA).partition(b"\0")[0]
    for name, begins in _TYPES.items():
        stated = re.findall(rb"\{([^{}]*)\}" + name + b",", text)
        if stated and text.count(b"}" + name + b",") == len(stated) and all(s.startswith(begins) for s in stated):
            continue
        raise SourceError(f"{path}: types that are not those of ERDAS Imagine; write it again with gdal_translate")


def _naming_entries(path: Path, file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """(name in small letters, data) of each entry that names files."""
    size = os.fstat(file.fileno()).st_size
    file.seek(16)
    (header,) = struct.unpack("<I", file.read(4))
    file.seek(header + 8)  # behind the version and the list of free parts
    (root,) = struct.unpack("<I", file.read(4))
    todo, seen, found = [root], set[int](), []
    while todo:
        at = todo.pop()
        if at == 0 or at in seen or at + _ENTRY.size > size:
            continue
        seen.add(at)
        if len(seen) > _ENTRIES:
            raise SourceError(f"{path}: more than {_ENTRIES:,} entries; write it again with gdal_translate")
        file.seek(at)
        following, _, _, child, data, length, name, _ = _ENTRY.unpack(file.read(_ENTRY.size))
        todo += [following, child]
        name = name.partition(b"\0")[0].lower()
        if name in _NAMING and data:
            if length > _DATA:
                raise SourceError(f"{path}: {length:,} bytes of file names; write it again with gdal_translate")
            file.seek(data)
            found.append((name, file.read(length)))
    return found


def _check(path: Path, name: bytes, data: bytes) -> None:
    if name != b"externalrasterdms":
        if any(len(run) > 2 for run in _ELSEWHERE.findall(data)):
            raise SourceError(
                f"{path}: names a file of another folder as its overviews; expected one beside it. Write it again with "
                "gdal_translate where you trust it"
            )
        return
    spill = path.with_suffix(".ige")
    named = data[8 : 8 + int.from_bytes(data[:4], "little")].partition(b"\0")[0]
    if named.lower() != os.fsencode(spill.name).lower():
        raise SourceError(
            f"{path}: keeps its pixels in {named.decode('latin-1')[:80]!r}, expected {spill.name} beside it; name both "
            "as they were made, or write it again with gdal_translate where you trust it"
        )
    require_plain(spill, os.fspath(spill))
    if os.path.dirname(os.path.realpath(spill)) != os.path.realpath(path.parent):  # noqa: PTH120
        raise SourceError(f"{spill}: is a link that leads elsewhere; copy the file there")
