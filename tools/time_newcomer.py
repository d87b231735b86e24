"""The path of a newcomer, timed: clone, install, and the first commands of the site, each in seconds.

    python tools/time_newcomer.py                 # this checkout, cloned into a temporary folder
    python tools/time_newcomer.py --source URL    # another repository

Installation is stated apart from the rest, because it depends on the network and on what pip has kept.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- run -->\n```bash\n(.*?)```", re.S)


def timed(command: list[str], folder: Path, env: dict[str, str]) -> float:
    """Run a command; seconds that it took. Its output is shown where it fails."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begun


def first_commands(clone: Path) -> list[str]:
    """The commands of the site's home page that run on the shipped sample."""
    text = (clone / "docs" / "index.md").read_text(encoding="utf-8")
    return [line for block in BLOCK.findall(text) for line in block.splitlines() if line.startswith("terrafine ")]


def main() -> int:
    """Print a line for each step and the two sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=str(ROOT), help="repository to clone")
    parser.add_argument("--extras", default="evaluate", help="extras to install")
    given = parser.parse_args()
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    with tempfile.TemporaryDirectory(prefix="terrafine-newcomer-") as place:
        home, clone = Path(place), Path(place) / "terrafine"
        env |= {"HOME": place, "PATH": f"{home / 'venv' / 'bin'}:{env['PATH']}"}
        install = {
            "git clone": ["git", "clone", "--quiet", given.source, str(clone)],
            "python -m venv": [sys.executable, "-m", "venv", str(home / "venv")],
            f"pip install '.[{given.extras}]'": ["pip", "install", "--quiet", f"{clone}[{given.extras}]"],
        }
        sums = []
        for steps in (install, None):
            commands = steps or {c: ["bash", "-c", c] for c in ("terrafine doctor", *first_commands(clone))}
            total = 0.0
            for name, command in commands.items():
                seconds = timed(command, clone if clone.is_dir() else home, env)
                total += seconds
                sys.stdout.write(f"{seconds:7.1f} s  {name}\n")
                sys.stdout.flush()
            sums.append(total)
    sys.stdout.write(f"installation {sums[0]:.0f} s, the rest {sums[1]:.0f} s, load {os.getloadavg()[0]:.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
