"""Pages that run: blocks marked `<!-- run -->` on the shipped sample, and every notebook at its small size."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("default")
def test_every_notebook_runs_at_its_small_size(path: Path, tmp_path: Path) -> None:
    env = environment(tmp_path)
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


ONNX_PAGE = (ROOT / "docs" / "guides" / "onnx.md").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_the_onnx_example_gives_what_terrafine_dem_gives_away_from_edges(tmp_path: Path) -> None:
    """The page's export, its example as it stands, and the command that it compares with, on held-out terrain."""
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("ONNX Runtime is not installed")
    with rasterio.open(ROOT / "demo" / "data" / "sample_30m.tif") as source:
        window = rasterio.windows.Window(40, 40, 96, 88)
        heights = source.read(1, window=window).astype("float32")
        made = {"driver": "GTiff", "width": 96, "height": 88, "count": 1, "dtype": "float32", "crs": "EPSG:32611"}
        with rasterio.open(tmp_path / "utm.tif", "w", transform=source.window_transform(window), **made) as out:
            out.write(heights + np.float32(0.25), 1)  # no whole metres, which would be taken for a product with noise
    example = re.findall(r"```python\n(.*?)```", ONNX_PAGE, re.S)[0]
    assert 15 <= len([line for line in example.splitlines() if line.strip()]) <= 20
    export = re.findall(r"^terrafine export [^\n]*", ONNX_PAGE, re.M)[0]
    compared = re.findall(r"`(terrafine dem utm\.tif [^`]*)`", ONNX_PAGE)[0]
    script = f"set -e\n{export}\n{compared}\n{sys.executable} example.py\n"
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    env = environment(tmp_path)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(tmp_path / "fine.tif") as a, rasterio.open(tmp_path / "same.tif") as b:
        assert a.transform == b.transform
        difference = np.abs(a.read(1).astype("float64") - b.read(1))
    edge = 4 * 26
    assert difference[edge:-edge, edge:-edge].max() < 0.01
    assert difference.max() > 0.01  # the edges do differ, as the page says: the comparison sees a difference
