"""Pages that run: blocks marked `<!-- run -->` on the shipped sample, and every notebook at its small size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import pages
from tests.support.paths import DATA, ROOT

MARK = "<!-- run -->"
PAGES = [p for p in pages.pages() if MARK in (ROOT / p).read_text(encoding="utf-8")]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))


def marked(text: str) -> str:
    """The script of a page: its marked blocks, one after the other."""
    return "\n".join(re.findall(rf"{MARK}\n```bash\n(.*?)```", text, re.S))


def environment(folder: Path) -> dict[str, str]:
    """`terrafine` of this checkout on the path, and no window for pictures."""
    program = folder / "bin" / "terrafine"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m terrafine.cli "$@"\n')
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "MPLBACKEND": "agg",
        "TERRAFINE_DEMO": str(ROOT / "demo" / "data"),
        "TERRAFINE_DATA": str(DATA),
    }


def test_tutorials_and_the_home_page_have_marked_blocks() -> None:
    wanted = {"docs/index.md", *(f"docs/tutorials/{n}.md" for n in ("flood", "road", "research"))}
    assert wanted <= set(PAGES)
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert marked(text).count("terrafine ") > 0
        assert text.count(MARK) == len(re.findall(rf"{MARK}\n```bash\n", text))


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_marked_blocks_run_as_they_stand(page: str, tmp_path: Path) -> None:
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    script = "set -euo pipefail\n" + marked((ROOT / page).read_text(encoding="utf-8"))
    env = environment(tmp_path)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_five_notebooks() -> None:
    assert [p.stem for p in NOTEBOOKS] == [
        "accuracy_report",
        "city_and_change",
        "radar_guided",
        "streams_and_floods",
        "train_your_region",
    ]
    for path in NOTEBOOKS:
        compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("default")
def test_every_notebook_runs_at_its_small_size(path: Path, tmp_path: Path) -> None:
    env = environment(tmp_path)
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
