"""The library runs on macOS and Windows too: what only some systems have is asked for in a few modules, guarded."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.support.paths import ROOT

SRC = ROOT / "src" / "terrafine"
NOT_ON_WINDOWS_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "pty"}
NOT_EVERYWHERE = {
    "os.fork",
    "os.getuid",
    "os.geteuid",
    "os.sched_getaffinity",
    "os.statvfs",
    "os.posix_fallocate",
    "os.pread",
    "os.pwrite",
    "os.killpg",
    "os.setsid",
    "os.getpgid",
    "os.mkfifo",
    "os.O_NOFOLLOW",
    "os.O_DIRECTORY",
    "os.O_NONBLOCK",
    "signal.SIGKILL",
    "signal.SIGHUP",
    "signal.SIGUSR1",
    "signal.alarm",
}


def found(source: str) -> set[str]:
    """What of those a module uses outside any guard: not in `if`, `try`, a conditional expression or `getattr`."""
    tree = ast.parse(source)
    guarded: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp, ast.Try)):
            guarded.update(inner for part in ast.iter_child_nodes(node) for inner in ast.walk(part))
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names} & NOT_ON_WINDOWS_MODULES
        elif isinstance(node, ast.ImportFrom) and node.module in NOT_ON_WINDOWS_MODULES:
            names.add(node.module)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in NOT_EVERYWHERE:
            names.add(ast.unparse(node))
    return names


@pytest.mark.parametrize(
    "path", sorted([*SRC.rglob("*.py"), *(ROOT / "integrations").rglob("*.py")]), ids=lambda p: p.stem
)
def test_what_only_some_systems_have_is_guarded(path: Path) -> None:
    assert found(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import fcntl", {"fcntl"}),
        ("import os\nx = os.getuid()", {"os.getuid"}),
        ("try:\n    import fcntl\nexcept ImportError:\n    pass", set()),
        ("import os\nx = os.getuid() if os.name != 'nt' else 0", set()),
        ("import os\nx = getattr(os, 'O_NOFOLLOW', 0)", set()),
    ],
)
def test_a_planted_call_is_found(source: str, expected: set[str]) -> None:
    assert found(source) == expected
