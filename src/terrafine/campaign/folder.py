"""The folder of a campaign: finished tiles with their records, failures, work in progress and the lock.

    isa/
      settings.toml                     the settings of the last run
      lock                              held by the process that runs the campaign
      tiles/2019/32N/32N-0061-0471.tif  a finished tile; NAME.json beside it, written last, makes it so
      failures/2019/32N-0061-0471.json  why a unit failed the last time
      scenes/                           what was decided about fetched scenes, for all tiles alike
      work/                             intermediate files of units that are running

A unit is done where its record has the key of the plan and its files have the size that the record states. So a change
of settings, inputs or model makes exactly the units that it touches stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrafine.atomic import write_whole
from terrafine.campaign.plan import Plan, Unit
from terrafine.errors import JobError, OutputError, TerrafineError
from terrafine.host import lock_exclusively
from terrafine.private import make_private_folder, open_own_file
from terrafine.raster.utm_tiles import zone_name
from terrafine.schema.files import read_json

__all__ = ["DONE", "EMPTY", "FAILED", "PENDING", "STALE", "Folder", "State"]

DONE, EMPTY, FAILED, PENDING, STALE = "done", "empty", "failed", "pending", "stale"
_FORMAT = 1
_OURS = re.compile(
    r"\..*|settings\.toml|lock|tiles|failures|scenes|work|statistics|sample|items|collection\.json|holes\.csv|.*\.(vrt|qml|aux\.xml)"
)
_WORK = re.compile(r".+-\d{2}[NS]-\d{4,}-\d{4,}")  # an epoch and the name of a tile


@dataclass(frozen=True, slots=True)
class State:
    """Where a unit stands.

    Attributes
    ----------
    name
        `done`, `empty` (its sources hold no observation there), `failed`, `pending`, or `stale` (made with other
        settings, inputs or model).
    record
        What it left: the record of a finished unit, or of a failure.
    """

    name: str
    record: Mapping[str, Any]


class Folder:
    """Paths and records of a campaign's folder.

    Parameters
    ----------
    path
        The folder; made by `prepare`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder, unless there is something else of that name.

        Raises
        ------
        JobError
            For a folder that holds other things, or something else of that name.
        """
        try:
            self.path.mkdir(exist_ok=True)
        except FileExistsError:
            raise JobError(
                f"{self.path}: is not a folder; expected that of the campaign. Move it, or give the settings file "
                "another name"
            ) from None
        foreign = sorted(p.name for p in self.path.iterdir() if not _OURS.fullmatch(p.name))
        if foreign:
            raise JobError(
                f"{self.path}: holds files that are not of a campaign ({', '.join(foreign[:3])}); move them, or give "
                "the settings file another name"
            )

    def tile(self, plan: Plan, unit: Unit, ending: str = ".tif") -> Path:
        """The path of a unit's file."""
        epoch = plan.settings.epochs[unit.epoch].name
        return self.path / "tiles" / epoch / zone_name(unit.tile.epsg) / f"{unit.tile.name}{ending}"

    def work(self, plan: Plan, unit: Unit) -> Path:
        """The folder for a unit's intermediate files."""
        return self.path / "work" / f"{plan.settings.epochs[unit.epoch].name}-{unit.tile.name}"

    @property
    def scenes(self) -> Path:
        """The folder of what was decided about fetched scenes."""
        return self.path / "scenes"

    def _failure(self, plan: Plan, unit: Unit) -> Path:
        return self.path / "failures" / plan.settings.epochs[unit.epoch].name / f"{unit.tile.name}.json"

    def state(self, plan: Plan, unit: Unit) -> State:
        """Where a unit stands, from its records and the sizes of its files."""
        record = _load(self.tile(plan, unit, ".json"))
        if record is not None and record.get("key") == unit.key:
            if record.get("empty"):
                return State(EMPTY, record)
            if self._whole(plan, unit, record, deep=False):
                return State(DONE, record)
        failure = _load(self._failure(plan, unit))
        if failure is not None and failure.get("key") == unit.key:
            return State(FAILED, failure)
        return State(PENDING if record is None else STALE, record or {})

    def _whole(self, plan: Plan, unit: Unit, record: Mapping[str, Any], *, deep: bool) -> bool:
        beside = self.tile(plan, unit).parent
        for entry in record.get("files", ()):
            path = beside / entry["name"]
            try:
                if os.stat(path).st_size != entry["bytes"]:  # noqa: PTH116 - a hundred thousand of them
                    return False
            except OSError:
                return False
            if deep and _sha256(path) != entry["sha256"]:
                return False
        return bool(record.get("files"))

    def damaged(self, plan: Plan, unit: Unit, record: Mapping[str, Any]) -> bool:
        """Whether a file of a finished unit no longer has the digest of its record."""
        return not self._whole(plan, unit, record, deep=True)

    def finish(self, plan: Plan, unit: Unit, record: Mapping[str, Any]) -> None:
        """Write the record of a finished unit, last of all, and forget its failure."""
        target = self.tile(plan, unit, ".json")
        target.parent.mkdir(parents=True, exist_ok=True)
        full = {"format": _FORMAT, "key": unit.key, **record}
        write_whole(target, json.dumps(full, indent=1, allow_nan=False).encode())
        self._failure(plan, unit).unlink(missing_ok=True)

    def forget(self, plan: Plan, unit: Unit) -> None:
        """Remove the record of a unit, so that it counts as not run."""
        self.tile(plan, unit, ".json").unlink(missing_ok=True)

    def fail(self, plan: Plan, unit: Unit, error: BaseException, tries: int) -> None:
        """Write why a unit failed."""
        target = self._failure(plan, unit)
        target.parent.mkdir(parents=True, exist_ok=True)
        kind = type(error).__name__
        record = {"format": _FORMAT, "key": unit.key, "error": kind, "message": str(error)[:4000], "tries": tries}
        write_whole(target, json.dumps(record, indent=1).encode())

    @contextlib.contextmanager
    def working(self, plan: Plan, unit: Unit) -> Iterator[Path]:
        """The empty work folder of a unit, locked; it is removed at the end.

        Yields
        ------
        Path
            The folder.

        Raises
        ------
        JobError
            If another living process works on the unit.
        OutputError
            If the folder, or that of all units, is a link or another user's, or holds what no run has left.
        """
        folder = self.work(plan, unit)
        for private in (folder.parent, folder):
            make_private_folder(private)
        if not os.path.lexists(folder / "lock") and any(folder.iterdir()):
            raise OutputError(f"{folder}: holds files that are not of a run; move them away")
        with _held(folder / "lock", folder):
            for entry in folder.iterdir():
                if entry.name != "lock":
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what runs that were killed left of units, also of those that had been recorded before."""
        parent = self.path / "work"
        if parent.is_symlink() or not parent.is_dir():
            return
        for folder in sorted(parent.iterdir()):
            if folder.is_symlink() or not (_WORK.fullmatch(folder.name) and (folder / "lock").is_file()):
                continue
            with contextlib.suppress(JobError, OutputError):  # a living process has it, or it is another user's
                make_private_folder(folder)
                with _held(folder / "lock", folder):
                    shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the campaign: one process runs or publishes it at a time.

        Yields
        ------
        None
            Nothing; the block runs.

        Raises
        ------
        JobError
            If another process holds it.
        """
        with _held(self.path / "lock", self.path):
            yield


@contextlib.contextmanager
def _held(path: Path, what: Path) -> Iterator[None]:
    handle = open_own_file(path)
    try:
        if not lock_exclusively(handle):
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            raise JobError(f"{what}: in use by {holder}; wait for it, or stop it, and run the command again")
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(handle)


def _load(path: Path) -> dict[str, Any] | None:
    """A record, or None where there is none that can be read: the unit is then run again."""
    try:
        record = read_json(path, JobError, "a record of a campaign")
    except TerrafineError:
        return None
    return record if isinstance(record, dict) and record.get("format") == _FORMAT and _is_sound(record) else None


def _is_sound(record: Mapping[str, Any]) -> bool:
    """Whether what others read of a record has the types that they expect."""
    clear, inputs, files = record.get("clear"), record.get("inputs", {}), record.get("files", [])
    return (
        isinstance(record.get("key"), str)
        and isinstance(record.get("empty", False), bool)
        and (clear is None or type(clear) in (int, float))
        and isinstance(inputs, dict)
        and all(
            isinstance(listed := inputs.get(kind) or [], list) and all(isinstance(f, dict) for f in listed)
            for kind in ("files", "items")
        )
        and isinstance(files, list)
        and all(_is_entry(entry) for entry in files)
    )


def _is_entry(entry: Any) -> bool:
    """Whether an entry of a record names a file beside it, by size and digest."""
    if not isinstance(entry, Mapping):
        return False
    asset, name, size, digest = (entry.get(key) for key in ("asset", "name", "bytes", "sha256"))
    texts = all(isinstance(text, str) for text in (asset, name, digest))
    return texts and Path(str(name)).name == name and type(size) is int


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
