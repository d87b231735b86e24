"""Mutation testing of `raster/` and `inference/`: how many changes of the code the tests see.

    python -m benchmarks.reliability.mutation [--count N] [--minutes M] [--tests PATH...] [--again] [--only NAME]

The tests are collected and run once, to learn which of them enter which function. Then each mutant gets a process
forked from this one, in which the code of its function is replaced, and the tests that enter it run, those that enter
the fewest functions first, until one fails. A mutant that all of them pass has survived: it is either equivalent to the
original, which `equivalent` in the results states with a reason, or a gap in the tests. Mutants of functions that no
test enters count as survived. Mutants are in random order, one of each part in turn, so those tried when the minutes
are over are a random sample too. The test that failed is then run on the code as it is; if it fails there too, it is
left out and the mutant is tried again. `--again` tries only what has survived before, after tests were added.

No clock of the wall kills a mutant, because the machine may be busy: one is out of time when it uses ten times the
processor time that its tests needed before, or none at all for minutes, and only if the unchanged code, tried next
within the same limits, is not.
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
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from benchmarks.common import ROOT
from benchmarks.reliability import RESULTS, Record
from benchmarks.reliability.kills import load
from benchmarks.reliability.mutants import Mutant, codes, named, noting, sample

PARTS = ("raster", "inference")
TESTS = (
    "tests/unit/raster",
    "tests/unit/inference",
    "tests/property",
    "tests/cli/test_dem.py",
)
SEED = 2026
SECONDS = 30  # of processor time for one mutant, and ten times what its tests needed on the unchanged code
PATIENCE = 240.0  # seconds without any processor time, in the process and its children, after which it waits for ever
MOST = 60  # tests for one mutant
ALIVE = ("survived", "not entered", "unknown")
FILE = RESULTS / "mutation.json"
SOURCES = str(ROOT / "src/terrafine")

_FAILED = 100  # exit code of a process in which the first test has failed; the next one has one more

Place = tuple[str, str]
"""File and qualified name of a function."""
Found = tuple[str, int | None]
"""What became of a mutant, and the number of the test that noticed."""


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
        breadth = Counter(name for names in entered.values() for name in names)
        for nth, mutant in enumerate(self.mutants, 1):
            key = (str(mutant.file), mutant.function)
            if time.monotonic() > self.deadline:
                break
            names = sorted(entered.get(key, []), key=lambda name: (breadth[name], seconds[name]))[:MOST]
            limit = SECONDS + int(10 * sum(seconds[name] for name in names))
            found = self._judged(mutant, [items[name] for name in names], functions.get(key, []), limit)
            self.outcomes.append(found)
            print(f"{nth}/{len(self.mutants)} {found}: {mutant.line} {mutant.name}", flush=True)
        return True

    def _judged(self, mutant: Mutant, items: list[pytest.Item], functions: list[FunctionType], limit: int) -> str:
        """What became of a mutant; what notices it must pass on the unchanged code."""
        while True:
            found, at = self._try(mutant, items, functions, limit)
            if found not in ("killed", "out of time"):
                return found
            noticed = items if at is None else items[at : at + 1]
            self.controls.append(self._try(None, noticed, functions, limit)[0])
            if self.controls[-1] == "survived":
                return found
            if at is None:
                return "unknown"
            items = items[:at] + items[at + 1 :]

    def _try(self, mutant: Mutant | None, items: list[pytest.Item], functions: list[FunctionType], limit: int) -> Found:
        if not items or not functions:
            return "not entered", None
        process = os.fork()
        if not process:
            _silence(1, 2)
            os.setpgid(0, 0)
            signal.signal(signal.SIGXCPU, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            if mutant:
                changed = codes(mutant.tree, mutant.file)
                for function in functions:
                    function.__code__ = changed[mutant.function]
            for nth, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.failed:
                    os._exit(_FAILED + nth)
            os._exit(0)
        return _ended(process)


def _ended(process: int) -> Found:
    """What a process found, and which test; the clock counts only while it and its children use no processor."""
    used, since, status = -1, time.monotonic(), None
    while time.monotonic() - since < PATIENCE:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            break
        time.sleep(0.02)
        now = _ticks(process)
        if now != used:
            used, since = now, time.monotonic()
    else:
        status = None
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # and what its tests had started
    if status is None:
        os.waitpid(process, 0)
        return "out of time", None
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return "out of time", None
    code = os.waitstatus_to_exitcode(status)
    return "killed" if code else "survived", code - _FAILED if code >= _FAILED else None


def _ticks(group: int) -> int:
    """Processor time of the processes of a group."""
    total = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                fields = Path(entry.path, "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
    return total


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
    parser.add_argument("--count", type=int, default=150, help="mutants of each part")
    parser.add_argument("--minutes", type=float, default=1e6, help="try no further mutant after so many minutes")
    parser.add_argument("--tests", nargs="+", default=list(TESTS), help="the tests that must notice")
    parser.add_argument("--again", action="store_true", help="try only the survivors of the results")
    parser.add_argument("--only", default="", help="part of a mutant's name; nothing is written")
    args = parser.parse_args()
    files = {part: sorted((ROOT / "src/terrafine" / part).rglob("*.py")) for part in PARTS}
    record: Record = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if args.again:
        names = [line.partition(": ")[2] for line in record["survivors"]]
        in_turn = [m for part in PARTS for m in named(files[part], names, SEED)]
    else:
        drawn = [sample(files[part], args.count, SEED) for part in PARTS]
        in_turn = [m for group in zip_longest(*drawn) for m in group if m is not None]
    mutants = [mutant for mutant in in_turn if args.only in mutant.name]
    plugin = Plugin(mutants, time.monotonic() + 60 * args.minutes)
    paths = [str(ROOT / path) for path in args.tests]
    pytest.main([*paths, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={ROOT}"], plugins=[plugin])
    if args.only:
        return 0
    found = list(zip(mutants, plugin.outcomes, strict=False))  # those of the minutes given
    new = _merged(record, found) if args.again else _counted(found, record.get("equivalent", {}))
    new["controls"] = {
        "tried": len(plugin.controls) + (record["controls"]["tried"] if args.again else 0),
        "failed": len(plugin.controls)
        - plugin.controls.count("survived")
        + (record["controls"]["failed"] if args.again else 0),
    }
    new["tests"] = sorted({*args.tests, *(record["tests"] if args.again else ())})
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(new["parts"]))
    return 0


def _part(mutant: Mutant) -> str:
    return mutant.file.relative_to(ROOT / "src/terrafine").parts[0]


def _counted(found: list[tuple[Mutant, str]], equivalent: dict[str, str]) -> Record:
    """The results of a whole run."""
    parts = {}
    for part in PARTS:
        outcomes = [(m.name, outcome) for m, outcome in found if _part(m) == part]
        alive = [name for name, outcome in outcomes if outcome in ALIVE]
        same = sum(name in equivalent for name in alive)
        parts[part] = {
            "tried": len(outcomes),
            "killed": sum(outcome == "killed" for _, outcome in outcomes),
            "out_of_time": sum(outcome == "out of time" for _, outcome in outcomes),
            "survived": len(alive) - same,
            "equivalent": same,
        }
    left = [m for m, outcome in found if outcome in ALIVE and m.name not in equivalent]
    lines = [f"{m.file.relative_to(ROOT / 'src/terrafine')} {m.line}: {m.name}" for m in left]
    return {"seed": SEED, "parts": parts, "first": parts, "survivors": lines, "equivalent": equivalent}


def _merged(record: Record, found: list[tuple[Mutant, str]]) -> Record:
    """The results, with what became of the survivors of the first run after tests were added."""
    left, parts = list(record["survivors"]), {part: dict(n) for part, n in record["parts"].items()}
    by_name: dict[str, list[tuple[Mutant, str]]] = defaultdict(list)
    for mutant, outcome in found:
        by_name[mutant.name].append((mutant, outcome))
    for name, same in by_name.items():
        lines = [line for line in left if line.partition(": ")[2] == name]
        here = [(m, o) for m, o in same if any(f" {m.line}: " in line for line in lines)] or same
        alive = any(outcome in ALIVE for _, outcome in here)  # of those that have one name, all must be noticed
        if alive and name not in record["equivalent"]:
            continue
        now = "equivalent" if alive else here[0][1].replace(" ", "_")
        for line in lines:
            left.remove(line)
            parts[_part(here[0][0])]["survived"] -= 1
            parts[_part(here[0][0])][now] += 1
    return {**record, "parts": parts, "survivors": left}


if __name__ == "__main__":
    raise SystemExit(main())
