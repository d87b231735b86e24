"""Build the wheel and look into it: `python tools/check_wheel.py [--wheel FILE]`.

Everything that the program needs at run time is inside: modules, weights, recipes, cards and the parts of the report.
The size stays below a limit, so that nothing large gets in by accident, and nothing of tests or benchmarks is inside.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "terrafine"
LARGEST_MB = 40
NEEDED = {".py", ".safetensors", ".toml", ".md", ".css", ".js", ".mjs", ".html", ".typed"}


def expected() -> set[str]:
    """Files of the package that must be inside."""
    files = (p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {
        p.relative_to(ROOT / "src").as_posix()
        for p in files
        if p.suffix in NEEDED or p.name == "py.typed" or "LICENSE" in p.name
    }


def problems(wheel: Path) -> Iterator[str]:
    """What is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in sorted(expected() - names):
        yield f"{name} is missing"
    for name in sorted(names):
        if not name.startswith("terrafine") or "__pycache__" in name:
            yield f"{name} does not belong into the wheel"
    for needed in ("LICENSE", "licences.md"):
        if not any(n.startswith("terrafine-") and n.endswith(f"/{needed}") for n in names):
            yield f"{needed} is missing"
    size = wheel.stat().st_size / 1e6
    if size > LARGEST_MB:
        yield f"{size:.1f} MB; expected at most {LARGEST_MB} MB"


def build(folder: Path) -> Path:
    """Build the wheel from a clean copy of the tracked sources."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return next(folder.glob("terrafine-*.whl"))


def main() -> int:
    """Print what is wrong; 1 where there is anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, help="look into this one instead of building one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = given.wheel or build(Path(folder))
        found = list(problems(wheel))
        sys.stdout.write(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(expected())} files expected\n")
    for line in found:
        sys.stdout.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
