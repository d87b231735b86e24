"""The only writer of temporary files: a file under its final name is whole, alone or together with its sidecar files.

Every write follows the same order: write under a hidden name beside the target, flush the file to the disk, rename it,
flush the folder. After a kill or a power cut the target is the old file, the new one or absent, never torn.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from terrafine.errors import OutputError
from terrafine.host import lock_exclusively
from terrafine.private import (
    check_name,
    empty_folder,
    make_private_folder,
    open_own_file,
    part_beside,
    staging_folder,
    sweep_dead,
)

__all__ = [
    "Publish",
    "PublishSet",
    "StagedFile",
    "publish",
    "staging_folder",
    "temporary_folder",
    "workshop",
    "write_whole",
    "written",
]

_WORK = re.compile(r"(level\d+|whole)\.tif(\.aux\.xml|\.ovr|\.msk|\.rows)?")

Publish = Callable[[Path, Path], None]
"""Takes a finished file in the target's file system, and the target: its final name."""


def publish(part: Path, target: Path) -> None:
    """Flush a finished file to the disk, rename it to its final name, and flush the folder.

    Parameters
    ----------
    part, target
        The finished file, in the file system of the target, and its final name.

    Raises
    ------
    OSError
        If the file cannot be flushed or renamed.
    """
    _sync(part)
    os.replace(part, target)
    _sync(target.parent)


@contextlib.contextmanager
def written(target: Path, publish: Publish = publish) -> Iterator[Path]:
    """Give a hidden path beside the target to write to; publish the file at the end of the block, remove it on failure.

    Parameters
    ----------
    target
        The final name.
    publish
        Brings the finished file under its final name: `publish`, or `PublishSet.stage`.

    Yields
    ------
    Path
        The hidden path.

    Raises
    ------
    OSError
        If the file cannot be written, flushed or renamed.
    """
    part = part_beside(target)
    try:
        yield part
        publish(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes as one file; under its final name the file is whole or absent.

    Parameters
    ----------
    path
        The final name.
    data
        The content.

    Raises
    ------
    OSError
        If the file cannot be written, flushed or renamed.
    """
    with written(Path(path)) as part, open(part, "wb") as file:
        file.write(data)


class StagedFile:
    """A file that is written piece by piece: `commit` publishes it whole, `abort` leaves nothing.

    Parameters
    ----------
    target
        The final name.

    Raises
    ------
    OSError
        From every method, if the file cannot be written, flushed or renamed.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._part = target, part_beside(target)
        self._file: BinaryIO | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes.

        Parameters
        ----------
        data
            The bytes to append.

        Returns
        -------
        int
            The offset in the file at which they begin.
        """
        if self._file is None:
            self._file = open(self._part, "wb")  # noqa: SIM115 - closed by commit or abort
        offset = self._file.tell()
        self._file.write(data)
        return offset

    def commit(self) -> int:
        """Flush and publish the file; return its size in bytes."""
        size = self.write(b"")
        if self._file is not None:
            self._file.close()
        publish(self._part, self._target)
        self._file = None
        return size

    def abort(self) -> None:
        """Remove the hidden file; does nothing after `commit`."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._part.unlink(missing_ok=True)


class PublishSet:
    """Files that are published together, all or none, the primary file last.

    `stage` replaces `publish` and keeps each finished file as a hidden `.NAME.new` beside its target. At the end of the
    `with` block the old primary file is moved aside, the sidecar files are replaced, and the new primary file comes
    last; each step reaches the disk before the next. A kill before the first step leaves everything as it was; a kill
    between the steps leaves no primary file, and the old one beside it as `.NAME.old`. A failure in the block or
    between the steps restores what was there.

    Parameters
    ----------
    primary
        The file that the others belong to.

    Raises
    ------
    OutputError
        At the end of the block, if a file cannot be renamed.
    """

    def __init__(self, primary: Path) -> None:
        self._primary = primary.absolute()
        self._targets: list[Path] = []
        self._discarded: list[Path] = []

    def stage(self, part: Path, target: Path) -> None:
        """Keep a finished file under a hidden name until all files are finished.

        Parameters
        ----------
        part, target
            The finished file, in the file system of the target, and its final name.

        Raises
        ------
        OSError
            If the file cannot be flushed or renamed.
        """
        _sync(part)
        os.replace(part, self.staged_path(target))
        self._targets.append(target.absolute())

    def discard(self, target: Path) -> None:
        """Remove a file of an earlier set when this set is published, and not before.

        Parameters
        ----------
        target
            Its name; it need not exist.
        """
        self._discarded.append(target.absolute())

    @staticmethod
    def staged_path(target: Path) -> Path:
        """Return the hidden path of a staged file until the set is published.

        Parameters
        ----------
        target
            The final name of the file.

        Returns
        -------
        Path
            `.NAME.new` beside the target.
        """
        return target.with_name(f".{target.name}.new")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._publish()
        except OSError as problem:
            raise OutputError(
                f"{problem.filename or self._primary}: cannot be renamed to its final name ({problem.strerror}); the "
                "previous file was restored, or is beside it as .NAME.old. Check the folder, and run again"
            ) from problem
        finally:
            for target in self._targets:
                self.staged_path(target).unlink(missing_ok=True)

    def _publish(self) -> None:
        sidecars = [target for target in self._targets if target != self._primary]
        with contextlib.ExitStack() as undo:
            _set_aside(self._primary, undo)
            _sync(self._primary.parent)
            for target in self._discarded:
                _set_aside(target, undo)
            for target in sidecars:
                _set_aside(target, undo)
                self._rename(target, undo)
            for folder in {target.parent for target in sidecars}:
                _sync(folder)
            self._rename(self._primary, undo)
            _sync(self._primary.parent)
            undo.pop_all()
        for target in (*self._targets, *self._discarded):
            with contextlib.suppress(OSError):
                _old(target).unlink(missing_ok=True)

    def _rename(self, target: Path, undo: contextlib.ExitStack) -> None:
        os.replace(self.staged_path(target), target)
        undo.callback(target.unlink, missing_ok=True)


@contextlib.contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """Give a hidden, empty folder beside the target for intermediate files; it is locked in use and removed afterwards.

    Parameters
    ----------
    target
        The file that is made in the folder.

    Yields
    ------
    Path
        The folder.

    Raises
    ------
    OutputError
        If the target's folder does not exist, the target is a folder, or another run is writing the target.
    """
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; expected the name of a file")
    check_name(target)
    sweep_dead(target.parent)
    folder = staging_folder(target)
    make_private_folder(folder)
    with open(open_own_file(folder / "lock"), "wb") as lock:
        if not lock_exclusively(lock.fileno()):
            raise OutputError(f"{target}: another run is writing it now; wait for it, or choose another name")
        empty_folder(folder, _WORK)
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError, OutputError):
                empty_folder(folder, _WORK)
                (folder / "lock").unlink(missing_ok=True)
                folder.rmdir()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder in the system's temporary directory; it is removed with its content when the block ends."""
    with tempfile.TemporaryDirectory(prefix="terrafine-") as folder:
        yield Path(folder)


def _set_aside(target: Path, undo: contextlib.ExitStack) -> None:
    if target.exists():
        os.replace(target, _old(target))
        undo.callback(os.replace, _old(target), target)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _sync(path: Path) -> None:
    """Flush a file to the disk, or a folder if its file system supports that."""
    windows = os.name == "nt"  # Windows cannot open a folder, and flushes a file only through a writable handle
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            error.filename = os.fspath(path)
            raise
    finally:
        os.close(handle)
