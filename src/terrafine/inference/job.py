"""Job folder: the request, the lock of the process that works on it, and the finished shards.

    fine.tif.job/
      plan.json          the request (inputs, model, options) and the plan; written first and never changed
      lock               held by the living process that works on the job
      shard-0000012.bin  a finished shard; its presence and its checksums are the manifest
      scratch-*          temporary files of publishing

A second run of the same command verifies the finished shards and resumes. A run with another request is refused, and
the message lists the differences. The folder is removed when the output is published.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from terrafine.atomic import write_whole
from terrafine.errors import JobError, OutputError
from terrafine.host import available_cores, lock_exclusively
from terrafine.inference.changes import changes, difference
from terrafine.inference.plan import Plan
from terrafine.inference.shardfile import is_whole
from terrafine.private import check_name, make_private_folder, open_own_file
from terrafine.schema.files import read_json
from terrafine.schema.types import shown

__all__ = ["Job", "engine_threads", "job_folder", "stored_request"]

_FORMAT = 1
_SHARD = re.compile(r"shard-(\d{7,})\.bin")
_OURS = re.compile(r"plan\.json|lock|shard-\d{7,}\.bin|scratch-[a-z-]+\.(tif|npy)|\.(plan|shard|scratch)\b.*\.part")


def job_folder(output: Path) -> Path:
    """Return the path of the job folder of an output, `<output>.job` beside it.

    Parameters
    ----------
    output
        Path of the output.

    Returns
    -------
    Path
        Path of the folder.
    """
    return output.with_name(output.name + ".job")


def stored_request(output: Path) -> dict[str, Any] | None:
    """Read the request of an unfinished job.

    Parameters
    ----------
    output
        Path of the output.

    Returns
    -------
    dict[str, Any] | None
        The request, or None where there is no job.

    Raises
    ------
    JobError
        Where the job cannot be read, or the folder is not a job folder.
    """
    folder = job_folder(output)
    if os.path.lexists(folder):
        _make(folder)
        _refuse_foreign(folder)
    record = _load(folder / "plan.json")
    return None if record is None else dict(record["request"])


def engine_threads(requested: int | None, output: Path, dask: object, restart: bool) -> int:
    """Determine the number of threads of the engine.

    Parameters
    ----------
    requested
        Number that the user requested, or None.
    output
        Path of the output.
    dask
        Dask cluster, or None.
    restart
        Whether finished shards of an earlier run are discarded.

    Returns
    -------
    int
        The requested number, else that of the resumed run, else 1 on Dask and the number of cores otherwise.

    Raises
    ------
    JobError
        Where the job of the output cannot be read.
    """
    if requested is not None:
        return requested
    stored = None if restart else stored_request(output)
    options = {} if stored is None else stored.get("options")
    if isinstance(options, dict) and isinstance(threads := options.get("threads"), int) and 1 <= threads <= 4_096:
        return threads
    return 1 if dask is not None else available_cores()


class Job:
    """Claimed job folder; as a context manager it releases the claim at the end and keeps the finished shards.

    Parameters
    ----------
    folder
        Path of the folder.
    plan
        Plan of the run.
    key
        Digest of the job, which its shards carry.
    lock
        Descriptor of the locked file.
    """

    def __init__(self, folder: Path, plan: Plan, key: str, lock: int) -> None:
        self.folder, self.plan, self.key, self._lock = folder, plan, key, lock

    @classmethod
    def claim(cls, output: Path, request: Mapping[str, Any], plan: Plan, *, restart: bool = False) -> Self:
        """Start or resume the job that writes `output`.

        Parameters
        ----------
        output
            Path of the output; the folder is `<output>.job`.
        request, plan
            Request as plain JSON data, and plan; both must equal those of the run that is resumed.
        restart
            Whether files of an earlier run are discarded.

        Returns
        -------
        Self
            The claimed job.

        Raises
        ------
        JobError
            Where a running process holds the job, the folder holds another request (one line for each difference), or
            it is not a job folder.
        """
        folder = job_folder(output)
        record = _canonical({"format": _FORMAT, "request": dict(request), "plan": json.loads(plan.to_json())})
        check_name(output)
        _make(folder)
        _refuse_foreign(folder)
        lock = _hold(folder)
        try:
            if restart:
                _sweep(folder, lambda name: name != "lock")
            stored = _load(folder / "plan.json")
            if stored is None:
                _sweep(folder, lambda name: name != "lock")
                _write(folder / "plan.json", record)
            elif leaves := difference(stored, json.loads(record)):
                raise JobError(
                    f"{folder}: an unfinished job with other inputs, model or options:\n"
                    + "\n".join(f"  {line}" for line in changes(stored, json.loads(record)) or leaves)
                    + "\nrun the earlier command to finish it, or add restart=True to start over"
                )
            _sweep(folder, lambda name: name.endswith(".part") or name.startswith("scratch-"))
        except BaseException:
            os.close(lock)
            raise
        return cls(folder, plan, hashlib.sha256(record.encode()).hexdigest(), lock)

    def path(self, index: int) -> Path:
        """Return the path of a finished shard.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        Path
            Path in the folder.
        """
        return self.folder / f"shard-{index:07d}.bin"

    def finished(self, progress: Callable[[int], None] = lambda _: None) -> set[int]:
        """Find the shards that are complete, and remove those that are damaged or of another job.

        Parameters
        ----------
        progress
            Function that is called with the index of each complete shard.

        Returns
        -------
        set[int]
            Indices of the complete shards.
        """
        done = set()
        for path in sorted(self.folder.iterdir()):
            if match := _SHARD.fullmatch(path.name):
                index = int(match.group(1))
                if index < self.plan.shards and is_whole(path, self.key, index):
                    done.add(index)
                    progress(index)
                else:
                    path.unlink()
        return done

    def has_shards(self) -> bool:
        """Report whether any shard is finished."""
        return self.folder.is_dir() and any(_SHARD.fullmatch(path.name) for path in self.folder.iterdir())

    def remove(self) -> None:
        """Remove the folder if it exists; files that do not belong to the job are kept."""
        if not self.folder.is_dir():
            return
        if os.name == "nt":  # Windows cannot remove an open file
            self.release()
        _sweep(self.folder, lambda _: True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def release(self) -> None:
        """Release the claim."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _canonical(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, indent=1, allow_nan=False)


def _load(path: Path) -> dict[str, Any] | None:
    try:
        record = read_json(path, JobError, "the plan of a job; start over with restart=True", 64_000_000)
    except JobError as e:
        if isinstance(e.__cause__, FileNotFoundError):
            return None
        raise
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise JobError(
            f"{path}: a job of another version of Terrafine, expected format {_FORMAT}; start over with restart=True"
        )
    for part in ("request", "plan"):
        if not isinstance(record.get(part), dict):
            found = shown(record.get(part))
            raise JobError(f"{path}: {part} = {found}: expected a table; start over with restart=True")
    return record


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode())


def _hold(folder: Path) -> int:
    """Exclusive lock that the kernel releases when the process ends, in any way."""
    path = folder / "lock"
    while True:
        try:
            lock = open_own_file(path)
        except FileNotFoundError:  # the former holder finished and removed the folder in the meantime
            _make(folder)
            continue
        except OutputError as error:
            raise JobError(str(error)) from None
        if not lock_exclusively(lock):
            holder = os.read(lock, 200).decode(errors="replace").strip() or "another process"
            os.close(lock)
            raise JobError(f"{folder}: in use by {holder}; wait for it, or stop it, and run the command again")
        try:
            current = path.stat().st_ino == os.fstat(lock).st_ino
        except FileNotFoundError:
            current = False
        if current:
            try:
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            except OSError:
                os.close(lock)
                raise
            return lock
        os.close(lock)
        _make(folder)


def _make(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OutputError as error:
        raise JobError(str(error)) from None


def _refuse_foreign(folder: Path) -> None:
    names = sorted(p.name for p in folder.iterdir() if not _OURS.fullmatch(p.name))
    if names:
        raise JobError(
            f"{folder}: holds files that are not of a job ({', '.join(names[:3])}); move them or write elsewhere"
        )


def _sweep(folder: Path, chosen: Callable[[str], bool]) -> None:
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and chosen(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
