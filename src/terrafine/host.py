"""Everything that differs between operating systems: locks, processor cores, memory of the process."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from terrafine.errors import DiskError, OutputError, ResourceError, TerrafineError

__all__ = [
    "ALLOWED_REMOTE",
    "NO_FILE",
    "available_cores",
    "available_memory_bytes",
    "import_engine",
    "lock_exclusively",
    "of_system",
    "peak_memory_bytes",
    "go_offline",
]

ALLOWED_REMOTE, NO_FILE = "CPL_VSIL_CURL_ALLOWED_FILENAME", "-"
"""GDAL's option that names the one remote file that may be read, and a value that no file has."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHORT = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN}
_LOCKED_BYTE = 1 << 30  # Windows locks bytes, and a locked byte cannot be read, so this one is far behind the text


def lock_exclusively(handle: int) -> bool:
    """Lock an open file until it is closed or its process ends.

    Parameters
    ----------
    handle
        File descriptor of the open file.

    Returns
    -------
    bool
        False if another process holds the lock. On a file system without locks, always True.
    """
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EWOULDBLOCK, errno.EACCES}
    return True


def _lock_on_windows(handle: int) -> bool:
    import msvcrt

    place = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    finally:
        os.lseek(handle, place, os.SEEK_SET)
    return True


def available_cores() -> int:
    """Return the number of processor cores that this process may use, or those of the machine if that is not known."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def available_memory_bytes() -> int | None:
    """Return the bytes of memory that are free for processes, None if the system does not state it.

    The limit of a container counts where it is lower.
    """
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")]
    with contextlib.suppress(OSError, ValueError):
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        if limit.isdigit():
            found.append(max(0, int(limit) - used))
    return min(found, default=None)


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far, in bytes; 0 if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def go_offline() -> None:
    """Keep libraries of this process from the network; called before they are imported.

    GDAL's remote file systems refuse every file, its formats that fetch are not registered
    (`terrafine.raster.gdal`), PROJ fetches no grid, and engines have no telemetry. A raster that the user allowed to
    be remote ends the first.
    """
    os.environ.setdefault(ALLOWED_REMOTE, NO_FILE)
    os.environ["PROJ_NETWORK"] = "OFF"
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def import_engine(package: str) -> Any:
    """Import the package of an inference engine without its telemetry, which uses the network and the home folder.

    Parameters
    ----------
    package
        Name of the package.

    Returns
    -------
    module
        The imported package.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it as it is imported
    hidden = "openvino_telemetry"  # without it, OpenVINO uses a stand-in of its own that does nothing
    absent = hidden not in sys.modules
    if absent:
        sys.modules[hidden] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(package)
    finally:
        if absent:
            sys.modules.pop(hidden, None)


def of_system(error: OSError | MemoryError) -> TerrafineError:
    """Return an unexpected error of the operating system as one of Terrafine's: disk, memory, path or permissions.

    Parameters
    ----------
    error
        The error.

    Returns
    -------
    TerrafineError
        The error to raise, with advice.
    """
    if isinstance(error, MemoryError):
        return ResourceError("the machine's memory is used up; close other programs, or allow the run less of it")
    name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    said = error.strerror or str(error) or type(error).__name__
    if error.errno in _FULL:
        return DiskError(f"{name}{said}; free space and run again, nothing was published")
    if error.errno in _SHORT:
        return ResourceError(f"{name}{said}; close other programs and run again")
    return OutputError(f"{name}{said}; check the name, its folder, and what this user may do there")
