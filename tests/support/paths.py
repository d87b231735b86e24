"""Where the tests find the repository, and data that is too large for it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TERRAFINE_DATA", ROOT.parent / "shared" / "data"))


def open_files(folder: Path) -> list[str]:
    """Files below a folder that this process holds open."""
    links = Path("/proc/self/fd").iterdir()
    return [to for link in links if link.is_symlink() and (to := str(link.readlink())).startswith(str(folder))]
