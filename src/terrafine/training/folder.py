"""Folder of a run: locked while a run uses it, and removed if the run was refused before it wrote anything."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from terrafine.atomic import write_whole
from terrafine.errors import DataError, JobError, OutputError
from terrafine.private import FOLDER_LOCK, hold_folder, make_folders, open_own_file, remove_empty
from terrafine.schema.check import conform

__all__ = ["RunFolder", "open_folder", "writing"]

_Line = Mapping[str, Any]


@dataclass(slots=True)
class RunFolder:
    """The files of a run.

    Attributes
    ----------
    path
        Path of the folder.
    log
        Lines of log.jsonl.
    recipe
        The recipe as JSON, until it is written.
    data
        The record of the data as JSON, until it is written.
    restart
        Whether the checkpoint and the pictures of a former run are removed when the recipe is written.
    """

    path: Path
    log: list[dict[str, float]] = field(default_factory=list)
    recipe: str = ""
    data: str = ""
    restart: bool = False

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint."""
        return self.path / "checkpoint.safetensors"

    def picture(self, step: int) -> Path:
        """Return the path of a picture of the held-out data.

        Parameters
        ----------
        step
            Step of the run.

        Returns
        -------
        Path
            Path of the PNG.
        """
        return self.path / "pictures" / f"step-{step:06d}.png"

    @property
    def data_record(self) -> Path:
        """Path of the record of the data that the run trains on."""
        return self.path / "data.json"

    def prepare(self, recipe: str, upto: int, data: str = "") -> None:
        """Keep recipe and data record, and read the log up to the step from which the run resumes; nothing is written.

        Parameters
        ----------
        recipe
            The recipe as JSON.
        upto
            Step from which the run resumes.
        data
            The record of the data as JSON.
        """
        self.log[:] = _read_log(self.path / "log.jsonl", upto)
        self.recipe, self.data = recipe, data

    def write_prepared(self) -> None:
        """Write the recipe and the log when it is first called, after the first step, which may refuse the run.

        Raises
        ------
        OutputError
            Where the folder cannot be written.
        """
        if not self.recipe:
            return
        with writing(self.path):
            if self.restart:
                for old in (self.checkpoint, self.path / "curve.png", *self.path.glob("pictures/step-*.png")):
                    old.unlink(missing_ok=True)
            write_whole(self.path / "recipe.json", self.recipe.encode())
            if self.data:
                write_whole(self.data_record, self.data.encode())
            write_whole(self.path / "log.jsonl", "".join(json.dumps(line) + "\n" for line in self.log).encode())
        self.recipe = ""

    def append(self, step: int, line: Mapping[str, float]) -> None:
        """Append a line to the log.

        Parameters
        ----------
        step
            Step of the run.
        line
            Values by name.

        Raises
        ------
        OutputError
            Where the log cannot be written.
        """
        self.log.append({"step": step, **line})
        with writing(self.path), open(open_own_file(self.path / "log.jsonl"), "r+b") as f:
            f.seek(0, os.SEEK_END)
            f.write((json.dumps(self.log[-1]) + "\n").encode())


@contextmanager
def open_folder(path: Path) -> Iterator[RunFolder]:
    """Create and lock the folder of a run, and remove it again if nothing was written to it.

    Parameters
    ----------
    path
        Path of the folder.

    Yields
    ------
    RunFolder
        The folder.

    Raises
    ------
    OutputError
        Where it cannot be created or written.
    JobError
        Where another process trains in it.
    """
    created = _create(path)
    try:
        lock = _locked(path)
    except (JobError, OutputError):
        remove_empty(created)
        raise
    try:
        yield RunFolder(path)
    finally:
        with contextlib.suppress(OSError):
            (path / FOLDER_LOCK).unlink()
        lock.close()
        remove_empty(created)


def _create(path: Path) -> list[Path]:
    """Create the folder and its parents; those that were not there, deepest first."""
    try:
        return make_folders(path)
    except (OSError, ValueError) as e:
        raise OutputError(f"{path}: cannot be created ({getattr(e, 'strerror', e)}); use another out=DIR") from e


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Convert an OSError of the block to an OutputError that names the file.

    Parameters
    ----------
    folder
        Folder of the run.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    OutputError
        Where a file cannot be written.
    """
    try:
        yield
    except OSError as e:
        raise OutputError(
            f"{e.filename or folder}: cannot be written ({e.strerror}); make room, or use another out=DIR; the run "
            "is resumed from its last checkpoint"
        ) from e


def _locked(folder: Path) -> BinaryIO:
    """Exclusive lock that the system releases when the process ends, in any way."""
    try:
        file = hold_folder(folder)
    except OSError as e:
        raise OutputError(f"{folder}: cannot be written ({e.strerror}); use another out=DIR") from e
    if file is None:
        raise JobError(f"{folder}: {_holder(folder)} is training there; wait for it, or use another out=DIR")
    return file


def _holder(folder: Path) -> str:
    try:
        return (folder / FOLDER_LOCK).read_bytes()[:200].decode(errors="replace").strip() or "another process"
    except OSError:  # Windows locks the content too
        return "another process"


def _read_log(path: Path, upto: int) -> list[dict[str, float]]:
    """The lines of a log up to a step; a line torn by a crash is dropped."""
    lines: list[dict[str, float]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = conform(_Line, json.loads(text), f"{path}: line", DataError)
            except (ValueError, RecursionError, DataError):
                break
            if line.get("step", upto + 1) <= upto:
                lines.append(line)
    return lines
