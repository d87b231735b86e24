"""The library runs on macOS and Windows too: what only some systems have is asked for in a few modules, guarded."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
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


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: p.stem)
def test_no_module_of_the_tests_fails_to_load_on_another_system(path: Path) -> None:
    assert found(path.read_text(encoding="utf-8")) & NOT_ON_WINDOWS_MODULES == set()


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


WITHOUT = """
import importlib, os, pkgutil, signal, sys
import numba, rasterio, torch, shapely, pyproj, scipy.ndimage, xarray, distributed, onnxruntime, h5py, pandas  # theirs
import matplotlib.pyplot, pystac_client, odc.stac, pyogrio, rioxarray, odc.geo.xr

names = {"fcntl", "resource", "pwd", "grp", "termios", "pty"}
sys.modules.update(dict.fromkeys(names))  # an import of them raises ImportError
for name in (
    "sched_getaffinity fork getuid geteuid statvfs posix_fallocate pread pwrite killpg setsid getpgid mkfifo "
    "O_NOFOLLOW O_DIRECTORY O_NONBLOCK"
).split():
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "alarm"):
    delattr(signal, name)

import terrafine

found = [m.name for m in pkgutil.walk_packages(terrafine.__path__, "terrafine.") if not m.name.endswith("__main__")]
for name in found:
    importlib.import_module(name)
    if PLANTED == name:
        import fcntl
print(len(found), "modules")
"""


def imported(planted: str = "") -> subprocess.CompletedProcess[str]:
    """Import every module in a Python that lacks what Windows lacks; `planted` is followed by an import of fcntl."""
    return subprocess.run(
        [sys.executable, "-c", f"PLANTED = {planted!r}\n{WITHOUT}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )


@pytest.mark.long
def test_every_module_is_imported_without_what_windows_lacks() -> None:
    done = imported()
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) > 300


@pytest.mark.long
def test_a_planted_import_of_a_module_that_windows_lacks_fails() -> None:
    assert "ModuleNotFoundError" in imported("terrafine.errors").stderr
