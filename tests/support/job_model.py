"""The life of a job as a state machine: runs, kills, damage and other people's files, in any order."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from terrafine import atomic
from terrafine.errors import DiskError, JobError, OutputError
from terrafine.inference import engine
from terrafine.inference.job import job_folder
from terrafine.inference.planner import make_plan
from terrafine.inference.shardfile import ShardReader
from tests.support.fakes import Box, ToFile, noisy_heights, source, spec
from tests.support.killed_child import dying, dying_rows

__all__ = ["JobModel"]

REQUESTS = ("a", "b")
SPEC = spec(scale=2, halo=2, tile=8)
SHARD_PIXELS = 600  # five tile rows of two shards each
PLACES = ("model", "fsync", "before-rename", "after-rename", "rows", "before-publish", "after-publish")


class _Full(ToFile):
    """A disk that is full when the output is published."""

    def __call__(self, rows, residual, folder):
        next(iter(rows))
        raise DiskError("no space left")


class _Unkept(ToFile):
    """An output that may not be published, whatever is tried."""

    def __call__(self, rows, residual, folder):
        raise OutputError("does not keep the observation")


class _CountedBox(Box):
    """A box mean whose calls a test can interrupt."""


def _run(path: Path, request: str, publish=ToFile, **more):
    """The job of a request: its heights are its own, its plan is that of every request."""
    grid = source(noisy_heights((40, 30), REQUESTS.index(request), 0.02))
    plan = make_plan(grid.shape, SPEC, shard_pixels=SHARD_PIXELS, batch=2)
    return engine.run_job(
        path,
        plan,
        SPEC,
        grid,
        partial(_CountedBox, SPEC),
        publish(path),
        outputs=SPEC.outputs,
        request={"name": request},
        **more,
    )


def _arm(place: str, n: int) -> None:
    """In a process of its own: die at the n-th passage of a place."""
    if place == "model":
        _CountedBox.__call__ = dying(Box.__call__, n, after=False)
    elif place == "fsync":
        atomic.os.fsync = dying(os.fsync, n, after=False)
    elif place.endswith("rename"):
        atomic.os.replace = dying(os.replace, n, after=place == "after-rename")
    elif place == "rows":
        engine.assemble_rows = dying_rows(engine.assemble_rows, 1)
    else:
        ToFile.__call__ = dying(ToFile.__call__, 1, after=place == "after-publish")


def _killed(path: Path, request: str, place: str, n: int) -> bool:
    """Run in a forked process that dies at a place; False where it ended before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of the test runner
        process = os.fork()
    if not process:
        try:
            _arm(place, n)
            _run(path, request)
        finally:
            os._exit(0)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise AssertionError(f"a run that should die at {place}:{n} hangs")


class JobModel(RuleBasedStateMachine):
    """Whatever happened before: a run publishes its bytes or is refused with a reason, and what is published is whole.

    `stored` is the request that the job folder is of; None where there is none or it was not planned yet, `?` where its
    plan is damaged.
    """

    expected: ClassVar[dict[str, bytes]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.out = self.folder / "out.npy"
        self.stored: str | None = None
        self.foreign = False
        if not self.expected:
            for request in REQUESTS:
                _run(self.folder / request, request)
                self.expected[request] = (self.folder / request).read_bytes()
                (self.folder / request).unlink()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def _whole(self) -> int:
        """Shards of the job folder that are complete, each read to its last byte."""
        key = hashlib.sha256((job_folder(self.out) / "plan.json").read_bytes()).hexdigest()
        count = 0
        for path in job_folder(self.out).glob("shard-*.bin"):
            try:
                reader = ShardReader(path, key, int(path.stem[6:]))
                count += reader.verify()
                reader.close()
            except JobError:
                pass
        return count

    @rule(request=st.sampled_from(REQUESTS), restart=st.booleans())
    def run(self, request: str, restart: bool) -> None:
        refused = self.foreign or (not restart and self.stored not in (None, request))
        whole = self._whole() if not refused and not restart and self.stored == request else 0
        try:
            report = _run(self.out, request, restart=restart)
        except JobError as error:
            assert refused, error
            assert "not of a job" in str(error) or "restart=True" in str(error)
            return
        assert not refused
        assert report.shards_resumed == whole
        assert self.out.read_bytes() == self.expected[request]
        assert not job_folder(self.out).exists()
        self.stored = None

    @precondition(lambda self: not self.foreign)
    @rule(request=st.sampled_from(REQUESTS), place=st.sampled_from(PLACES), n=st.integers(1, 12))
    def run_and_die(self, request: str, place: str, n: int) -> None:
        if self.stored in (None, request):
            _killed(self.out, request, place, n)
            planned = (job_folder(self.out) / "plan.json").exists()
            self.stored = request if planned else None

    @precondition(lambda self: not self.foreign)
    @rule(request=st.sampled_from(REQUESTS), final=st.booleans())
    def publishing_fails(self, request: str, final: bool) -> None:
        if self.stored not in (None, request):
            return
        with contextlib.suppress(OutputError, DiskError):
            _run(self.out, request, _Unkept if final else _Full)
            raise AssertionError("what cannot be published counts as published")
        self.stored = request

    @precondition(lambda self: any(job_folder(self.out).glob("shard-*.bin")))
    @rule(data=st.data(), how=st.sampled_from(("flip", "cut", "empty", "gone", "another's place")))
    def damage_a_shard(self, data: st.DataObject, how: str) -> None:
        found = sorted(job_folder(self.out).glob("shard-*.bin"))
        path = data.draw(st.sampled_from(found))
        content = bytearray(path.read_bytes())
        if how == "gone":
            path.unlink()
        elif how == "another's place":
            path.replace(data.draw(st.sampled_from(found)))
        elif how == "flip" and content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
            path.write_bytes(content)
        else:
            path.write_bytes(content[: 0 if how == "empty" else len(content) * 2 // 3])

    @precondition(lambda self: (job_folder(self.out) / "plan.json").exists())
    @rule(text=st.sampled_from(("", "{", "[]", '{"format": 1}', "[" * 5_000)))
    def damage_the_plan(self, text: str) -> None:
        (job_folder(self.out) / "plan.json").write_text(text)
        self.stored = "?"

    @precondition(lambda self: job_folder(self.out).is_dir())
    @rule()
    def leave_parts(self) -> None:
        (job_folder(self.out) / ".shard-0000001.bin.0-1-2.part").write_bytes(b"half")
        (job_folder(self.out) / "scratch-output.npy").write_bytes(b"half")

    @precondition(lambda self: job_folder(self.out).is_dir() and not self.foreign)
    @rule()
    def put_a_file_of_the_user(self) -> None:
        (job_folder(self.out) / "thesis.tex").write_text("years of work")
        self.foreign = True

    @precondition(lambda self: self.foreign)
    @rule()
    def take_the_file_away(self) -> None:
        (job_folder(self.out) / "thesis.tex").unlink()
        self.foreign = False

    @rule()
    def remove_the_output(self) -> None:
        self.out.unlink(missing_ok=True)

    @invariant()
    def what_is_published_is_whole(self) -> None:
        assert not self.out.exists() or self.out.read_bytes() in self.expected.values()

    @invariant()
    def the_file_of_the_user_stays(self) -> None:
        assert not self.foreign or (job_folder(self.out) / "thesis.tex").read_text() == "years of work"

    @invariant()
    def nothing_else_lies_beside_the_output(self) -> None:
        assert {path.name for path in self.folder.iterdir()} <= {"out.npy", "out.npy.job"}
