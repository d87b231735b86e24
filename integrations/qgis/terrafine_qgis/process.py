"""Runs `terrafine` as a process of its own: its lines as they come, a clean end where the user cancels; pure Python."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .progress import Lines

__all__ = ["Ended", "environment", "run"]

_OF_QGIS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "VIRTUAL_ENV",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "GDAL_PLUGINS_PATH",
    "PROJ_LIB",
    "PROJ_DATA",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "QT_PLUGIN_PATH",
    "QGIS_PREFIX_PATH",
    "GI_TYPELIB_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""Variables that QGIS sets for its own Python and GDAL; another program would load the wrong libraries with them."""

_POLL_S = 0.1
_GRACE_S = 10.0
_KEPT = 400  # last lines kept for a message


@dataclass
class Ended:
    """How a run ended.

    Attributes
    ----------
    code
        Exit code; negative for a signal.
    cancelled
        Whether the user cancelled it.
    lines
        Its last lines, standard output and standard error as they came.
    """

    code: int
    cancelled: bool
    lines: list[str] = field(default_factory=list)

    def message(self) -> str:
        """The error that the program stated, or its last line."""
        for number, line in enumerate(self.lines):
            if line.startswith(("error:", "Error:")):
                return " ".join(self.lines[number:])
        return self.lines[-1] if self.lines else "nothing was printed"


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a clean process: without those that QGIS sets for itself, with UTF-8 output that is not held."""
    given = os.environ if base is None else base
    kept = {name: value for name, value in given.items() if name.upper() not in _OF_QGIS}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1", "NO_COLOR": "1"}


def run(command: Sequence[str], on_line: Callable[[str], None], cancelled: Callable[[], bool]) -> Ended:
    """Run a command to its end, or until the user cancels.

    Parameters
    ----------
    command
        The program and its arguments; no shell is involved.
    on_line
        Called with each line, on the calling thread.
    cancelled
        Asked ten times a second.

    Returns
    -------
    How it ended. A cancelled run is interrupted first, as by Ctrl+C, and killed after ten seconds; what it had
    finished is resumed by the next run.
    """
    process = _start(command)
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    ended = Ended(0, False)
    killer = threading.Timer(_GRACE_S, _kill, args=(process,))
    while True:
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            line = ""
        if line is None:
            break
        if line:
            ended.lines = [*ended.lines[1 - _KEPT :], line]
            on_line(line)
        if not ended.cancelled and cancelled():
            ended.cancelled = True
            _interrupt(process)
            killer.start()
    ended.code = process.wait()
    reader.join()
    if ended.cancelled:
        killer.cancel()
        killer.join()
    return ended


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    new_group: dict[str, object] = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        **new_group,
    )


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[str | None]) -> None:
    parser = Lines()
    pipe = process.stdout
    try:
        while pipe is not None and (data := os.read(pipe.fileno(), 65536)):
            for line in parser.feed(data):
                lines.put(line)
        for line in parser.rest():
            lines.put(line)
    finally:
        if pipe is not None:
            pipe.close()
        lines.put(None)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, signal.SIGINT)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
