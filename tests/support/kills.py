"""Runs in processes of their own, killed at a place or at a random moment and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

from terrafine.inference.job import job_folder
from tests.support import killed_child
from tests.support.paths import ROOT

CHILD = Path(killed_child.__file__)


def child(out, kill=None):
    """The job of `killed_child` in a process; `kill` is `place:n`."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    if kill:
        env["TEST_KILL"] = kill
    return subprocess.Popen(
        [sys.executable, CHILD, out], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class Forked:
    """The job of `killed_child` in a process forked from this one: the same kills, without loading Python and torch.

    It has the methods of `subprocess.Popen` that these tests use.
    """

    def __init__(self, out, kill=None):
        self.returncode = None
        reading, self._writing = os.pipe()
        self._reading = os.fdopen(reading, "rb")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of the test runner
            self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                os.dup2(self._writing, 2)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.write(self._writing, killed_child.work(out, kill).encode())
                code = 0
            except BaseException as error:  # noqa: BLE001 - it becomes the end of the process
                os.write(self._writing, repr(error).encode())
            finally:
                os._exit(code)
        os.close(self._writing)

    def poll(self):
        """The exit code, None while it runs."""
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, how):
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, how)

    def communicate(self, timeout=100):
        """(stdout, stderr), which are one here, once the process has ended."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} runs for {timeout} s")
            time.sleep(0.002)
        with self._reading:
            said = self._reading.read().decode(errors="replace")
        return said, said


def command(coarse, out):
    """`terrafine dem` in a process."""
    arguments = ["dem", coarse, out, "--model", "bicubic", "--tile", "16", "--threads", "1", "--preview", f"{out}.png"]
    return subprocess.Popen(
        [sys.executable, "-m", "terrafine.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    """(exit code, stdout, stderr) of a process."""
    stdout, stderr = process.communicate(timeout=100)
    return process.returncode, stdout, stderr


def stop_at_random(process, out, seconds, how):
    """Send the signal after the plan is written and that many seconds have passed; True where it came in time."""
    deadline = time.monotonic() + 60
    while not (job_folder(out) / "plan.json").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(seconds)
    early = process.poll() is None
    process.send_signal(how)
    process.communicate(timeout=100)
    return early
