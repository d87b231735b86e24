"""What differs between operating systems: locks, processor cores, memory of the process; the one place that asks."""

from __future__ import annotations

import errno
import os
import sys

__all__ = ["available_cores", "lock_exclusively", "peak_memory_bytes"]

_LOCKED_BYTE = 1 << 30  # Windows locks bytes, and a locked byte cannot be read: one far behind the text


def lock_exclusively(handle: int) -> bool:
    """Lock an open file until it is closed or its process ends; False where another process holds the lock.

    A file system that knows no locks counts as one without another holder.
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
    """Processor cores that this process may use; all of the machine where the system does not state it."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far; 0 where the system does not state it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
