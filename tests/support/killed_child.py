"""A job in a process of its own, which can be told where to die: `killed_child.py OUT`, TEST_KILL=place:n."""

from __future__ import annotations

import os
import signal
import sys
from functools import wraps
from pathlib import Path

from terrafine import atomic
from terrafine.inference import engine, job, planner
from tests.support.fakes import Slow, ToFile, noisy_heights, run, source, spec


def job_options():
    """Grid, spec and options of the one job that all runs of these tests share."""
    return source(noisy_heights((90, 70), 1, 0.02)), spec(scale=2, halo=3, tile=16), {"batch": 2}


def dying(function, n, *, after):
    """The function, whose process is killed at its n-th call, before or after the work."""
    calls = []

    @wraps(function)
    def wrapper(*args, **kwargs):
        calls.append(1)
        if len(calls) == n and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if len(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapper


def arm(place, n):
    """Die at the n-th passage of a place."""
    if place == "model":
        Slow.__call__ = dying(Slow.__call__, n, after=False)
    elif place == "before-fsync":
        atomic.os.fsync = dying(os.fsync, n, after=False)
    elif place == "before-rename":
        atomic.os.replace = dying(os.replace, n, after=False)
    elif place == "after-rename":
        atomic.os.replace = dying(os.replace, n, after=True)
    elif place == "rows":
        engine.assemble_rows = dying_rows(engine.assemble_rows, n)
    elif place == "before-publish":
        ToFile.__call__ = dying(ToFile.__call__, n, after=False)
    elif place == "after-publish":
        ToFile.__call__ = dying(ToFile.__call__, n, after=True)
    elif place == "removal":
        job.Path.unlink = dying(Path.unlink, n, after=True)
    else:
        raise SystemExit(f"no place is called {place}")


def dying_rows(function, n):
    """A generator function, whose process is killed at its n-th block."""

    def rows(work):
        for i, block in enumerate(function(work), 1):
            if i == n:
                os.kill(os.getpid(), signal.SIGKILL)
            yield block

    return rows


def work(out, kill=None):
    """The whole job, in a process that may die of it: `shards run, shards resumed`."""
    planner._SHARD_PIXELS = 2_000  # in this process alone: tests import this module, and share theirs
    if kill:
        where, count = kill.split(":")
        arm(where, int(count))
    grid, a_spec, options = job_options()
    report = run(out, grid, a_spec, Slow, **options)
    return f"{report.shards_run} {report.shards_resumed}\n"


if __name__ == "__main__":
    sys.stdout.write(work(sys.argv[1], os.environ.get("TEST_KILL")))
