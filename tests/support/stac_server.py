"""A real STAC API (stac-fastapi) on loopback, with the files of its items behind HTTP range requests and faults."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

__all__ = ["Server", "serve"]


@dataclass
class Server:
    """The running server, seen from the tests: a process of its own, whose items and faults change while it runs."""

    folder: Path
    url: str
    places: dict[str, str] = field(default_factory=dict)

    def place(self, name: str) -> Path:
        """A folder for the files of an item, never used before: GDAL remembers files by their address."""
        self.places[name] = f"{len(list(self.folder.iterdir()))}-{name}"
        made = self.folder / self.places[name]
        made.mkdir()
        return made

    def add(self, item: dict[str, Any]) -> None:
        """Add an item, or replace one; its collection is made where there is none."""
        self._do("add", item=item)

    def fault(self, path: str, *, status: int = 0, times: int = 10**9, wait_s: float = 0.0) -> None:
        """Answer the next requests of ITEM/FILE with a status, or late; `search` names the search."""
        item, _, file = path.partition("/")
        path = f"{self.places[item]}/{file}" if file else path
        self._do("fault", path=path, status=status, times=times, wait_s=wait_s)

    def clear(self) -> None:
        """Remove all items, faults, counts and conditions."""
        self._do("clear")

    def sign(self, needed: bool = True, life_s: float = 3600.0) -> None:
        """Whether files need the newest token, and how long a token states that it lives."""
        self._do("sign", needed=needed, life_s=life_s)

    def expire(self) -> None:
        """Refuse every token that was given so far."""
        self._do("expire")

    def requests(self, prefix: str = "/files/") -> int:
        """Number of requests of addresses that begin so."""
        counts = self._do("counts")
        return sum(n for path, n in counts.items() if path.startswith(prefix))

    def _do(self, what: str, **values: Any) -> Any:
        body = json.dumps({"what": what, **values}).encode()
        request = urllib.request.Request(f"{self.url}/control", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Run the server in a process of its own, on a free port of the loopback interface."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = Server(folder, f"http://127.0.0.1:{listener.getsockname()[1]}")
        handle = listener.fileno()
        command = [sys.executable, "-m", "tests.support.stac_process", str(folder), server.url, str(handle)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        env |= {f"STAC_FASTAPI_{name}": "tests" for name in ("TITLE", "DESCRIPTION", "LANDING_ID", "VERSION")}
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[handle], env=env)
        try:
            server.requests()  # the socket listens already: this waits until it answers
            yield server
        finally:
            process.terminate()
            process.wait()
