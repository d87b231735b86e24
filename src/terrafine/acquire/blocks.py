"""Blocks of an unfinished raster in a hidden folder beside it: finished ones are kept, so that a later run resumes."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from terrafine.atomic import write_whole
from terrafine.errors import JobError
from terrafine.host import lock_exclusively
from terrafine.private import check_name, empty_folder, make_private_folder, open_own_file, sweep_dead
from terrafine.schema.files import read_json

__all__ = ["Block", "BlockStore", "divide"]

F32 = NDArray[np.float32]
_KNOWN = re.compile(r"plan\.json|block\d{6}\.(npy|json)|\..*\.part")
_STEP = 512  # side of the tiles of files; blocks are multiples of it
_LARGEST = 4096
_JSON = 200_000_000
_PLAN = {"key": str, "items": list, "clear": dict, "decisions": dict, "failed": dict, "notes": list}
_RECORD = {"digests": dict, "failed": dict, "crc32": int}


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of cells of the output: its number, and its rows and columns."""

    number: int
    rows: slice
    cols: slice


def divide(shape: tuple[int, int], bytes_per_cell: int, memory: int) -> list[Block]:
    """Divide a raster into blocks whose pixels fit in memory, row by row.

    Parameters
    ----------
    shape
        Rows and columns.
    bytes_per_cell
        Memory that one cell takes while its block is merged.
    memory
        Bytes that a block may take.

    Returns
    -------
    list of Block
        From the top left.
    """
    side = int((memory / max(1, bytes_per_cell)) ** 0.5)
    side = min(_LARGEST, side // _STEP * _STEP) or max(16, side // 16 * 16)
    corners = [(r, c) for r in range(0, shape[0], side) for c in range(0, shape[1], side)]
    return [
        Block(n, slice(r, min(r + side, shape[0])), slice(c, min(c + side, shape[1])))
        for n, (r, c) in enumerate(corners)
    ]


class BlockStore:
    """The folder of an unfinished raster; use `open_store`.

    Parameters
    ----------
    folder
        The hidden folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    @contextlib.contextmanager
    def open(cls, target: Path, key: str, restart: bool) -> Iterator[BlockStore]:
        """Open the folder of an output, locked; it is kept until `remove`.

        Parameters
        ----------
        target
            The output.
        key
            Identity of the request.
        restart
            Whether to remove what an earlier run left.

        Yields
        ------
        BlockStore

        Raises
        ------
        JobError
            If it belongs to another request, or another run uses it.
        OutputError
            If it is not a folder of this user.
        """
        check_name(target)
        folder = target.parent / f".{target.name}.fetch"
        sweep_dead(target.parent)
        make_private_folder(folder)
        with open(open_own_file(folder / "lock"), "wb") as lock:
            if not lock_exclusively(lock.fileno()):
                raise JobError(f"{target}: another run is fetching it now; wait for it, or choose another name")
            sweep_dead(folder)
            store = cls(folder)
            if restart:
                empty_folder(folder, _KNOWN)
            plan = store.plan()
            if plan is not None and plan.get("key") != key:
                raise JobError(
                    f"{target}: an unfinished run of another request lies in {folder}; finish that one, choose another "
                    "name, or start from scratch with restart=True"
                )
            yield store

    def plan(self) -> dict[str, Any] | None:
        """Return what `keep_plan` kept, or None."""
        path = self.folder / "plan.json"
        if not path.exists():
            return None
        found = read_json(path, JobError, "the plan of an unfinished run", _JSON)
        if not isinstance(found, dict) or any(not isinstance(found.get(k), kind) for k, kind in _PLAN.items()):
            raise JobError(f"{path}: not the plan of an unfinished run; start from scratch with restart=True")
        return found

    def keep_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep the plan of the run."""
        write_whole(self.folder / "plan.json", json.dumps(plan).encode())

    def finished(self, block: Block) -> bool:
        """Whether a block is there, with the values that its record was written for."""
        try:
            record = self.record(block)
            with open(self._path(block, "npy"), "rb") as file:
                return bool(record["crc32"] == _crc32(file))
        except (JobError, OSError):
            return False

    def keep(self, block: Block, values: F32, record: Mapping[str, Any]) -> None:
        """Keep a finished block: its values, then the record of what was read."""
        data = io.BytesIO()
        np.save(data, values)
        write_whole(self._path(block, "npy"), data.getvalue())
        full = {**record, "crc32": zlib.crc32(data.getvalue())}
        write_whole(self._path(block, "json"), json.dumps(full).encode())

    def values(self, block: Block) -> F32:
        """Return the values of a finished block, mapped from the disk."""
        try:
            found: F32 = np.load(self._path(block, "npy"), mmap_mode="r")
        except (OSError, ValueError) as error:
            raise JobError(
                f"{self.folder}: block {block.number} cannot be read ({error}); start from scratch with restart=True"
            ) from None
        return found

    def record(self, block: Block) -> dict[str, Any]:
        """Return the record of a finished block."""
        path = self._path(block, "json")
        found = read_json(path, JobError, "the record of a block", _JSON)
        if not isinstance(found, dict) or any(not isinstance(found.get(k), kind) for k, kind in _RECORD.items()):
            raise JobError(f"{path}: not the record of a block; start from scratch with restart=True")
        return found

    def remove(self) -> None:
        """Remove the folder, after the output is published."""
        with contextlib.suppress(OSError):
            empty_folder(self.folder, _KNOWN)
            (self.folder / "lock").unlink(missing_ok=True)
            self.folder.rmdir()

    def _path(self, block: Block, ending: str) -> Path:
        return self.folder / f"block{block.number:06d}.{ending}"


def _crc32(file: BinaryIO) -> int:
    found = 0
    while part := file.read(1 << 22):
        found = zlib.crc32(part, found)
    return found
