"""Finished files come under their final names: flushed to the disk, then renamed; and several that belong together."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from terrafine.errors import OutputError

__all__ = ["Publish", "Together", "publish", "written"]

Publish = Callable[[Path, Path], None]
"""Takes a finished file of the target's file system, and the target: its final name."""


def publish(part: Path, target: Path) -> None:
    """Rename a finished file to its final name; the file is on the disk before, and its name as this returns."""
    _sync(part)
    os.replace(part, target)
    _sync(target.parent)


@contextlib.contextmanager
def written(target: Path, publish: Publish = publish) -> Iterator[Path]:
    """A path to write to; published as the block is left, and removed where that fails. Raises OSError."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        publish(part, target)
    finally:
        part.unlink(missing_ok=True)


class Together:
    """Files published as the block is left, all or none, `chief` last: where it is, its company is there, and its own.

    `take` stands in for `publish` and keeps each file as a hidden `.NAME.new` beside its target. At the end the old
    chief is moved aside, the others are replaced, and the new chief comes last, each step on the disk before the next.
    A kill before the first step leaves everything as it was; one between the steps leaves no chief, so that none is
    taken for what it is not, and the old one beside it as `.NAME.old`. A failure, in the block or between the steps,
    leaves or puts back what was there; raises OutputError.
    """

    def __init__(self, chief: Path) -> None:
        self._chief = chief.absolute()
        self._targets: list[Path] = []

    def take(self, part: Path, target: Path) -> None:
        """Keep a finished file until all are; raises OSError."""
        _sync(part)
        os.replace(part, self.waiting(target))
        self._targets.append(target.absolute())

    @staticmethod
    def waiting(target: Path) -> Path:
        """Where a file that was taken lies meanwhile."""
        return target.with_name(f".{target.name}.new")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._place()
        except OSError as problem:
            raise OutputError(
                f"{problem.filename or self._chief}: cannot be put in place ({problem.strerror}); what was there is "
                "back, or beside it as .NAME.old. See to the folder, and run again"
            ) from problem
        finally:
            for target in self._targets:
                self.waiting(target).unlink(missing_ok=True)

    def _place(self) -> None:
        others = [target for target in self._targets if target != self._chief]
        with contextlib.ExitStack() as undo:
            _set_aside(self._chief, undo)
            _sync(self._chief.parent)
            for target in others:
                _set_aside(target, undo)
                self._rename(target, undo)
            for folder in {target.parent for target in others}:
                _sync(folder)
            self._rename(self._chief, undo)
            _sync(self._chief.parent)
            undo.pop_all()
        for target in self._targets:
            with contextlib.suppress(OSError):
                _old(target).unlink(missing_ok=True)

    def _rename(self, target: Path, undo: contextlib.ExitStack) -> None:
        os.replace(self.waiting(target), target)
        undo.callback(target.unlink, missing_ok=True)


def _set_aside(target: Path, undo: contextlib.ExitStack) -> None:
    if target.exists():
        os.replace(target, _old(target))
        undo.callback(os.replace, _old(target), target)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _sync(path: Path) -> None:
    """Flush a file to the disk, or a folder where its file system can do that."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            error.filename = os.fspath(path)
            raise
    finally:
        os.close(handle)
