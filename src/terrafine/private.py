"""Files and folders that belong to this user and this run alone, and names that no one else uses."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import socket
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from terrafine.errors import OutputError
from terrafine.host import lock_exclusively

__all__ = [
    "FOLDER_LOCK",
    "check_name",
    "empty_folder",
    "hold_folder",
    "make_folders",
    "make_private_folder",
    "open_own_file",
    "part_beside",
    "remove_empty",
    "staging_folder",
    "sweep_dead",
]

FOLDER_LOCK = ".lock"
"""The file by which a folder of a run or of a report is locked."""

_PART = re.compile(r"\..*\.([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{8}\.part", re.DOTALL)
_LONGEST = 210  # bytes of a name; the longest derived from it has 45 more, and most disks allow 255
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def make_private_folder(folder: Path) -> None:
    """Make a folder that this user alone may enter, or accept one of this user that exists and is not a link.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    OutputError
        For a link, a file or another user's folder of that name.
    OSError
        If the folder cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a file"
        raise OutputError(f"{folder}: is {kind} where a folder of Terrafine belongs; move it, or write elsewhere")
    _refuse_stranger(folder, found)


def open_own_file(path: Path) -> int:
    """Open a small file of this user for reading and writing, never through a link; it is made if it does not exist.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    int
        The handle.

    Raises
    ------
    OutputError
        For a link, a file with a second name, or a file of another user.
    OSError
        If the file cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR):
            raise OutputError(f"{path}: is not a plain file, expected one of Terrafine; move it away") from None
        raise
    found = os.fstat(handle)
    try:
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OutputError(f"{path}: is not a plain file with one name, expected one of Terrafine; move it away")
        _refuse_stranger(path, found)
    except BaseException:
        os.close(handle)
        raise
    return handle


def hold_folder(folder: Path) -> BinaryIO | None:
    """Lock a folder for this process by its file `.lock`, which the holder removes before it closes it.

    What killed processes left there under the names of `part_beside` is removed.

    Parameters
    ----------
    folder
        The folder; it exists.

    Returns
    -------
    BinaryIO or None
        The locked file, which names this process; None where another process holds it.

    Raises
    ------
    OutputError
        Where `.lock` is not a plain file of this user.
    OSError
        If it cannot be opened or written.
    """
    path = folder / FOLDER_LOCK
    while True:
        file = open(open_own_file(path), "r+b")  # noqa: SIM115
        try:
            if not lock_exclusively(file.fileno()):
                file.close()
                return None
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    file.truncate(0)
                    file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
                    file.flush()
                    sweep_dead(folder)
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # the former holder removed the file in the meantime


def make_folders(path: Path) -> list[Path]:
    """Make a folder and its parents.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    list of Path
        Those that were not there, deepest first.

    Raises
    ------
    OSError, ValueError
        If one cannot be made; those that were made are removed.
    """
    new: list[Path] = []
    try:
        for folder in reversed((path, *path.parents)):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                new.insert(0, folder)
    except (OSError, ValueError):
        remove_empty(new)
        raise
    return new


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders; one that holds files stays.

    Parameters
    ----------
    folders
        The folders, deepest first.
    """
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _refuse_stranger(path: Path, found: os.stat_result) -> None:
    user = getattr(os, "geteuid", lambda: found.st_uid)()
    if found.st_uid != user:
        raise OutputError(f"{path}: belongs to another user (number {found.st_uid}); write elsewhere")


def check_name(target: Path) -> None:
    """Check that the name of an output is text and leaves room for the names that are derived from it.

    Parameters
    ----------
    target
        The output.

    Raises
    ------
    OutputError
        For a name that is not UTF-8, or too long, and for `-`, which other programs take as standard output.
    """
    if target.name == "-":
        raise OutputError(f"{target}: an output is a file, not standard output; expected a path, such as out.tif")
    try:
        size = len(target.name.encode())
    except UnicodeEncodeError:
        raise OutputError(f"{os.fspath(target)!r}: the name is not UTF-8; give another") from None
    if size > _LONGEST:
        raise OutputError(f"{target}: a name of {size} bytes; expected at most {_LONGEST}, or the disk refuses it")


def empty_folder(folder: Path, known: re.Pattern[str]) -> None:
    """Remove the files of an earlier run from a work folder, its lock excepted, unless there is anything else in it.

    Parameters
    ----------
    folder
        The folder.
    known
        Names of the files of a run.

    Raises
    ------
    OutputError
        For files that are not of a run; nothing is removed then.
    """
    found = [path for path in folder.iterdir() if path.name != "lock"]
    foreign = [path.name for path in found if path.is_symlink() or not (path.is_file() and known.fullmatch(path.name))]
    if foreign:
        names = ", ".join(sorted(foreign)[:3])
        raise OutputError(f"{folder}: holds files that are not of a run ({names}); move them, or write elsewhere")
    for path in found:
        path.unlink()


def part_beside(target: Path) -> Path:
    """Return a hidden path that no other process, thread or machine uses, and that states which process does.

    What killed processes left in the folder is removed when this process first writes there.

    Parameters
    ----------
    target
        The final path.

    Returns
    -------
    Path
        `.NAME.MACHINE-PROCESS-RANDOM.part` in the folder of the target.
    """
    _sweep_once(target.parent)
    return target.with_name(f".{target.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part")


def staging_folder(target: Path) -> Path:
    """Return the folder that `workshop` uses: `.NAME.part` beside the target.

    Parameters
    ----------
    target
        The file that is made in the folder.

    Returns
    -------
    Path
        The folder.
    """
    return target.parent / f".{target.name}.part"


def sweep_dead(folder: Path) -> None:
    """Remove the hidden files of `part_beside` whose processes on this machine have ended.

    Parameters
    ----------
    folder
        Where to look; not below it.
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            match = _PART.fullmatch(entry.name)
            if match and match[1] == _machine() and entry.is_file(follow_symlinks=False) and not _lives(int(match[2])):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


@functools.lru_cache(maxsize=4096)
def _sweep_once(folder: Path) -> None:
    """Sweep a folder when this process first writes there."""
    sweep_dead(folder)


@functools.cache
def _machine() -> str:
    """The machine, or the container, within which a process number means one process."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        space = ""
    return f"{zlib.crc32((socket.gethostname() + space).encode()):08x}"


def _lives(process: int) -> bool:
    """Whether a process of that number runs on this machine; True where that is not certain."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
