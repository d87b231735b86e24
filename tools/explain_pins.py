"""Write beside each pin of constraints.txt what needs it: `python tools/explain_pins.py [--check]`.

Reads the installed packages. --check changes nothing and exits with 1 where a reason is missing or stale.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import distributions
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "constraints.txt"
NAME = re.compile(r"[\s\[<>=!~;(]")
PIN = re.compile(r"^(?P<pin>(?P<name>[A-Za-z0-9_.-]+)==[^\s#]+)(?:\s*#\s*(?P<reason>.*))?$")


def plain(name: str) -> str:
    """A package's name as all tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by(pinned: set[str], *, extras: bool) -> dict[str, set[str]]:
    """Package -> pinned packages that ask for it, for themselves or for one of their extras."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in distributions():
        name = package.metadata["Name"]
        for line in package.requires or [] if plain(name) in pinned else []:
            if extras or "extra ==" not in line:
                found[plain(NAME.split(line, maxsplit=1)[0])].add(name)
    return found


def declared() -> set[str]:
    """What pyproject.toml asks for, extras included."""
    project = tomllib.loads((FILE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *(r for group in project["optional-dependencies"].values() for r in group)]
    return {plain(NAME.split(line, maxsplit=1)[0]) for line in listed}


def main() -> int:
    """Write, or with --check compare."""
    old = FILE.read_text(encoding="utf-8").splitlines()
    pinned = {plain(match["name"]) for line in old if (match := PIN.match(line))}
    direct, users, more = declared(), needed_by(pinned, extras=False), needed_by(pinned, extras=True)
    lines, missing = [], []
    for line in old:
        match = PIN.match(line)
        if match is None:
            lines.append(line)
            continue
        name = plain(match["name"])
        by = sorted(users.get(name) or more.get(name, set()), key=str.lower)
        reason = "pyproject.toml" if name in direct else "for " + ", ".join(by[:4]) if by else match["reason"]
        if not reason:
            missing.append(match["name"])
        lines.append(f"{match['pin']}  # {reason}" if reason else match["pin"])
    text = "\n".join(lines) + "\n"
    stale = text != FILE.read_text(encoding="utf-8")
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"no reason: {', '.join(missing)}\n" if missing else "every pin has a reason\n")
    return int(bool(missing) or (stale and "--check" in sys.argv[1:]))


if __name__ == "__main__":
    raise SystemExit(main())
