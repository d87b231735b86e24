"""Mutation testing of `raster/` and `inference/`: how many changes of the code the tests see.

    python -m benchmarks.reliability.mutation [--count N] [--minutes M] [--tests PATH...] [--only NAME]

The tests are collected and run once, to learn which of them enter which function. Then each mutant gets a process
forked from this one, in which the code of its function is replaced, and the tests that enter it run, the quickest
first, until one fails. A mutant that all of them pass has survived: it is either equivalent to the original, which
`equivalent` in the results states with a reason, or a gap in the tests. Mutants of functions that no test enters count
as survived. Mutants are in random order, one of each part in turn, so those tried when the minutes are over are a
random sample too. After every tenth mutant its tests run on the code as it is: one that fails there counts for nothing.
"""

from __future__ import annotations

import argparse
import builtins
import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from itertools import zip_longest
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from benchmarks.common import ROOT
from benchmarks.reliability import RESULTS
from benchmarks.reliability.kills import load
from benchmarks.reliability.mutants import Mutant, codes, noting, sample

PARTS = ("raster", "inference")
TESTS = (
    "tests/unit/raster",
    "tests/unit/inference",
    "tests/property",
    "tests/cli/test_dem.py",
)
SEED = 2026
SECONDS = 40  # of processor time for one mutant; a mutant that needs more has been noticed
PATIENCE = 400.0  # seconds after which a mutant that does nothing has been noticed
MOST = 60  # tests for one mutant
FILE = RESULTS / "mutation.json"
SOURCES = str(ROOT / "src/terrafine")

Place = tuple[str, str]
"""File and qualified name of a function."""


class Plugin:
    """Runs mutants in place of the collected tests."""

    def __init__(self, mutants: list[Mutant], deadline: float) -> None:
        self.mutants = mutants
        self.deadline = deadline
        self.controls: list[str] = []
        self.outcomes: list[str] = []
        self.failed = False

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test that fails in a child is what notices a mutant."""
        self.failed |= report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn which tests enter which functions, then try each mutant."""
        load()
        entered, seconds = _learnt(session, self)
        items = {item.nodeid: item for item in session.items}
        functions = _functions()
        for nth, mutant in enumerate(self.mutants, 1):
            key = (str(mutant.file), mutant.function)
            if time.monotonic() > self.deadline:
                break
            chosen = [items[name] for name in sorted(entered.get(key, []), key=seconds.__getitem__)[:MOST]]
            self.outcomes.append(self._try(mutant, chosen, functions.get(key, [])))
            print(f"{nth}/{len(self.mutants)} {self.outcomes[-1]}: {mutant.line} {mutant.name}", flush=True)
            if nth % 10 == 0 and chosen:
                self.controls.append(self._try(None, chosen, functions.get(key, [])))
                print(f"unchanged: {self.controls[-1]}", flush=True)
        return True

    def _try(self, mutant: Mutant | None, items: list[pytest.Item], functions: list[FunctionType]) -> str:
        if not items or not functions:
            return "not entered"
        process = os.fork()
        if not process:
            _silence(1, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            if mutant:
                changed = codes(mutant.tree, mutant.file)
                for function in functions:
                    function.__code__ = changed[mutant.function]
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.failed:
                    os._exit(1)
            os._exit(0)
        return "survived" if _status(process) == 0 else "killed"


def _status(process: int) -> int:
    """How a process ended; one that waits for ever is ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def _silence(*handles: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    for handle in handles:
        os.dup2(null, handle)


def _functions() -> dict[Place, list[FunctionType]]:
    """All live functions of the package, by file and qualified name."""
    found = defaultdict(list)
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename.startswith(SOURCES):
            found[thing.__code__.co_filename, thing.__code__.co_qualname].append(thing)
    return found


def _learnt(session: pytest.Session, plugin: Plugin) -> tuple[dict[Place, list[str]], dict[str, float]]:
    """The tests that enter each function of a mutant, and seconds of each test, from a process that runs all once."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "learned.json"
        process = os.fork()
        if not process:
            _silence(1)
            _learn(session, file, plugin)
            os._exit(0)
        os.waitpid(process, 0)
        record = json.loads(file.read_text(encoding="utf-8"))
    print(f"{len(record['seconds'])} tests, {sum(record['seconds'].values()):.0f} s", flush=True)
    return {(path, name): tests for path, name, tests in record["entered"]}, record["seconds"]


def _learn(session: pytest.Session, file: Path, plugin: Plugin) -> None:
    entered: dict[Place, list[str]] = defaultdict(list)
    seconds: dict[str, float] = {}
    seen: set[Place] = set()
    builtins._entered = seen  # type: ignore[attr-defined]
    functions = _functions()
    for path, name in {(str(mutant.file), mutant.function) for mutant in plugin.mutants}:
        watched = codes(noting(Path(path), name, "_entered"), Path(path))[name]
        for function in functions.get((path, name), []):
            function.__code__ = watched
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        seen.clear()
        plugin.failed = False
        start = time.process_time()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if plugin.failed:  # a test that fails by itself can tell nothing about a mutant
            print(f"left out: {item.nodeid}", file=sys.stderr)
            continue
        seconds[item.nodeid] = time.process_time() - start
        for place in list(seen):
            entered[place].append(item.nodeid)
    rows = [[path, name, tests] for (path, name), tests in entered.items()]
    file.write_text(json.dumps({"entered": rows, "seconds": seconds}), encoding="utf-8")


def main() -> int:
    """Try the mutants, and write what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="mutants of each part")
    parser.add_argument("--minutes", type=float, default=1e6, help="try no further mutant after so many minutes")
    parser.add_argument("--tests", nargs="+", default=list(TESTS), help="the tests that must notice")
    parser.add_argument("--only", default="", help="part of a mutant's name")
    args = parser.parse_args()
    by_part = {part: sample(sorted((ROOT / "src/terrafine" / part).rglob("*.py")), args.count, SEED) for part in PARTS}
    in_turn = [m for group in zip_longest(*by_part.values()) for m in group if m is not None]
    mutants = [mutant for mutant in in_turn if args.only in mutant.name]
    plugin = Plugin(mutants, time.monotonic() + 60 * args.minutes)
    paths = [str(ROOT / path) for path in args.tests]
    pytest.main([*paths, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={ROOT}"], plugins=[plugin])
    if args.only:
        return 0
    record = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    equivalent: dict[str, str] = record.get("equivalent", {})
    named = list(zip(mutants, plugin.outcomes, strict=False))  # those of the minutes given
    parts = {}
    for part in PARTS:
        found = [(m, outcome) for m, outcome in named if m in by_part[part]]
        alive = [m for m, outcome in found if outcome != "killed"]
        same = sum(m.name in equivalent for m in alive)
        parts[part] = {
            "tried": len(found),
            "killed": len(found) - len(alive),
            "survived": len(alive) - same,
            "equivalent": same,
        }
    left = [m for m, outcome in named if outcome != "killed" and m.name not in equivalent]
    record = {
        "seed": SEED,
        "tests": args.tests,
        "parts": parts,
        "controls": {"tried": len(plugin.controls), "failed": plugin.controls.count("killed")},
        "survivors": [f"{m.file.relative_to(ROOT / 'src/terrafine')} {m.line}: {m.name}" for m in left],
        "equivalent": equivalent,
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(parts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
