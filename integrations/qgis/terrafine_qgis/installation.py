"""Where `terrafine` is installed, and how an environment for it is made outside QGIS; pure Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .process import environment

__all__ = [
    "LEAST_PYTHON",
    "LEAST_VERSION",
    "Installation",
    "candidates",
    "default_folder",
    "find",
    "install_commands",
    "is_new_enough",
    "look_at",
    "pythons",
]

LEAST_VERSION = (0, 1)
LEAST_PYTHON = (3, 11)
_WINDOWS = os.name == "nt"
_BIN = "Scripts" if _WINDOWS else "bin"
_EXE = ".exe" if _WINDOWS else ""
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Installation:
    """A program that was asked for its version.

    Attributes
    ----------
    path
        The executable.
    version
        What it states, or empty.
    problem
        Why it cannot be used, or empty.
    """

    path: str
    version: str
    problem: str = ""


def default_folder(env: Mapping[str, str] | None = None, home: Path | None = None) -> Path:
    """Where the plugin makes its environment: the user's data folder, never a folder of QGIS."""
    given = os.environ if env is None else env
    home = Path.home() if home is None else home
    if _WINDOWS:
        return Path(given.get("LOCALAPPDATA") or home / "AppData" / "Local") / "terrafine" / "environment"
    return Path(given.get("XDG_DATA_HOME") or home / ".local" / "share") / "terrafine" / "environment"


def candidates(setting: str, env: Mapping[str, str] | None = None, home: Path | None = None) -> Iterator[str]:
    """Executables that may be `terrafine`, the likeliest first.

    The path in the settings alone where there is one; else the plugin's own environment, the search path, and
    environments of conda, mamba, pipx, uv and venv in their usual folders.
    """
    if setting.strip():
        yield _executable(Path(setting.strip()).expanduser())
        return
    given = os.environ if env is None else env
    home = Path.home() if home is None else home
    yield str(default_folder(given, home) / _BIN / f"terrafine{_EXE}")
    if on_path := shutil.which("terrafine", path=given.get("PATH", "")):
        yield on_path
    yield from (str(p) for p in _usual(given, home))


def _executable(path: Path) -> str:
    """A folder in the settings is taken as an environment that holds the executable."""
    return str(path / _BIN / f"terrafine{_EXE}" if path.is_dir() else path)


def _usual(given: Mapping[str, str], home: Path) -> Iterator[Path]:
    roots = [Path(p) for p in (given.get("CONDA_PREFIX"), given.get("MAMBA_ROOT_PREFIX")) if p]
    roots += [home / name for name in ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba", ".conda")]
    for root in roots:
        yield root / _BIN / f"terrafine{_EXE}"
        yield from sorted(root.glob(f"envs/*/{_BIN}/terrafine{_EXE}"))
    yield home / ".local" / "bin" / f"terrafine{_EXE}"
    for folder in (home / ".venvs", home / ".virtualenvs", home / "venvs", home / "envs"):
        yield from sorted(folder.glob(f"*/{_BIN}/terrafine{_EXE}"))
    for folder in (home / "terrafine", home):
        yield from (folder / name / _BIN / f"terrafine{_EXE}" for name in (".venv", "venv"))


def look_at(path: str) -> Installation:
    """Ask an executable for its version."""
    if not Path(path).is_file():
        return Installation(path, "", "there is no such file")
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env=environment(),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return Installation(path, "", f"it does not run: {e}")
    match = re.search(r"terrafine, version (\S+)", done.stdout)
    if done.returncode or not match:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
        return Installation(path, "", f"`terrafine --version` was expected to state a version; it printed: {said[0]}")
    if _number(match.group(1)) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        return Installation(path, match.group(1), f"its version is {match.group(1)}; expected {least} or later")
    return Installation(path, match.group(1))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def find(paths: Iterable[str]) -> tuple[Installation | None, list[Installation]]:
    """The first that can be used, and those that exist but cannot."""
    refused: list[Installation] = []
    for path in dict.fromkeys(paths):
        if Path(path).is_file():
            found = look_at(path)
            if not found.problem:
                return found, refused
            refused.append(found)
    return None, refused


def pythons(chosen: str = "", env: Mapping[str, str] | None = None) -> Iterator[list[str]]:
    """Commands that may start a Python that is new enough, the newest first; `chosen` alone where it is given."""
    if chosen.strip():
        yield [chosen.strip()]
        return
    path = (os.environ if env is None else env).get("PATH", "")
    if _WINDOWS and (launcher := shutil.which("py", path=path)):
        yield from ([launcher, f"-3.{minor}"] for minor in (13, 12, 11))
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        if found := shutil.which(name, path=path):
            yield [found]


def is_new_enough(python: list[str]) -> bool:
    """Whether that Python runs, is 3.11 or later, and can make environments."""
    test = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < {LEAST_PYTHON})"
    try:
        done = subprocess.run(
            [*python, "-c", test], capture_output=True, timeout=_TIMEOUT_S, env=environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def install_commands(python: list[str], folder: Path, source: str, torch_index: str = "") -> list[list[str]]:
    """The commands that make an environment with Terrafine in it.

    Parameters
    ----------
    python
        Command of a Python that is new enough.
    folder
        The environment to make; it must not be inside QGIS.
    source
        What pip installs: a wheel, a folder with the sources, or a name and version.
    torch_index
        Address of a package index for torch, for example of its CPU builds; empty for pip's own.

    Returns
    -------
    Commands to run one after the other.
    """
    own = str(folder / _BIN / f"python{_EXE}")
    pip = [own, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    wanted = f"{source}[evaluate]" if not source.rstrip().endswith("]") else source
    return [
        [*python, "-m", "venv", str(folder)],
        *([[*pip, "torch", "--index-url", torch_index]] if torch_index else []),
        [*pip, wanted],
        [str(folder / _BIN / f"terrafine{_EXE}"), "doctor"],
    ]
