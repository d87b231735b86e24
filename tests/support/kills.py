"""Runs in processes of their own, killed at a place or at a random moment and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
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
