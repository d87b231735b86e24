"""A Dask scheduler and its workers as processes of their own, which a test can kill one by one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.paths import ROOT

__all__ = ["Cluster", "free_port"]

SCHEDULER = """
import asyncio, sys
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", port=int(sys.argv[1]), dashboard=False) as scheduler:
        print("up", flush=True)
        await scheduler.finished()
asyncio.run(main())
"""
WORKER = """
import asyncio, sys
from distributed import Nanny
async def main():
    async with Nanny(sys.argv[1], nthreads=1, memory_limit=sys.argv[2], dashboard=False) as nanny:
        await nanny.finished()
if __name__ == "__main__":
    asyncio.run(main())
"""


class Cluster:
    """One scheduler and some workers on this machine; `folder` takes their scripts, scratch files and logs."""

    def __init__(self, folder: Path, workers: int = 2, memory: str = "2GB") -> None:
        self._folder, self._memory = folder, memory
        self.port = free_port()
        self.scheduler = self._start("scheduler", SCHEDULER, str(self.port))
        self.workers: list[subprocess.Popen[bytes]] = []
        for _ in range(workers):
            self.add_worker()

    @property
    def address(self) -> str:
        """What a client connects to."""
        return f"tcp://127.0.0.1:{self.port}"

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more worker, with a nanny that starts it again when it dies."""
        self.workers.append(self._start("worker", WORKER, self.address, self._memory))
        return self.workers[-1]

    def wait(self, workers: int) -> None:
        """Until so many workers have come."""
        import distributed

        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with distributed.Client(self.address, set_as_default=False, timeout=5) as client:
                    client.wait_for_workers(workers, timeout=60)
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError((self._folder / "log").read_text()[-2000:])

    def restart_scheduler(self) -> None:
        """Kill the scheduler and start another one at the same address."""
        self.kill(self.scheduler)
        self.scheduler = self._start("scheduler", SCHEDULER, str(self.port))

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to a process and to its children."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End all."""
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                self.kill(process)

    def _start(self, name: str, code: str, *words: str) -> subprocess.Popen[bytes]:
        script = self._folder / f"{name}.py"
        script.write_text(code)
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        env |= {"DASK_TEMPORARY_DIRECTORY": str(self._folder), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        with open(self._folder / "log", "ab") as log:
            command = [sys.executable, str(script), *words]
            return subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
