"""Every benchmark has a quick mode that runs, writes a result of the published shape, and changes no published file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.paths import ROOT

# module: (published result, keys of the result that --quick holds only a part of, or leaves out)
BENCHMARKS = {
    "real.dem": ("real_dem", set()),
    "real.map": ("real_map", set()),
    "real.map_blocks": ("real_map_blocks", set()),
    "real.map_chain": ("real_map_chain", set()),
    "dem.accuracy": ("dem_accuracy", {"x2", "x3"}),
    "dem.speed": ("dem_speed", set()),
    "dem.peers": ("dem_peers", set()),
    "dem.jiao2020": ("jiao2020", {"x2", "x3"}),
    "dem.cross_source": ("cross_source", set()),
    "dem.ablation": ("ablation_ridgeline", set()),
    "dem.learning": ("dem_learning", set()),
    "dem.evaluate_memory": ("evaluate_memory", set()),
    "pimsr.accuracy": ("pimsr", set()),
    "pimsr.ablation": ("ablation_pimsr", set()),
    "jointseg.accuracy": ("jointseg", {"features", "public"}),
    "sat2dem.accuracy": ("sat2dem", set()),
}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    env = {k: v for k, v in os.environ.items() if k != "TERRAFINE_DATA"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def published() -> dict[str, float]:
    """Files that only a complete run may write, with their times of change."""
    files = [*(ROOT / "benchmarks" / "results").iterdir(), *(ROOT / "docs" / "img").iterdir()]
    return {str(p): p.stat().st_mtime for p in files}


def fits(quick: Any, full: Any, where: str = "") -> None:
    """The same types throughout, where both have a value: on tiny data some are undefined."""
    if quick is None:
        return
    if isinstance(full, dict):
        assert isinstance(quick, dict), where
        assert bool(quick) == bool(full), where
        for key in set(quick) & set(full):
            fits(quick[key], full[key], f"{where}/{key}")
    elif isinstance(full, list):
        assert isinstance(quick, list), where
    elif isinstance(full, (int, float)) and not isinstance(full, bool):
        assert isinstance(quick, (int, float)), where
    elif full is not None:
        assert isinstance(quick, type(full)), where


def test_every_benchmark_that_publishes_a_result_is_listed() -> None:
    names = {p.stem for p in (ROOT / "benchmarks" / "results").glob("*.json")}
    assert names == {result for result, _ in BENCHMARKS.values()}


@pytest.mark.slow
@pytest.mark.parametrize("module", BENCHMARKS)
def test_the_quick_mode_writes_a_result_of_the_published_shape(module: str, tmp_path: Path) -> None:
    before, out = published(), tmp_path / "result.json"
    done = run(module, "--quick", "--out", str(out))
    assert done.returncode == 0, done.stderr[-3000:]
    assert published() == before
    name, left_out = BENCHMARKS[module]
    quick = json.loads(out.read_text())
    full = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    assert set(full) - left_out == set(quick)
    fits(quick, full)


@pytest.mark.slow
def test_a_quick_run_without_a_destination_writes_nothing() -> None:
    before = published()
    done = run("dem.evaluate_memory", "--quick")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "written to" not in done.stdout
    assert published() == before


def test_a_result_of_another_shape_is_rejected() -> None:
    full = {"files": {"bicubic": {"rmse": 1.0}}, "ratios": [1.0]}
    fits({"files": {"bicubic": {"rmse": 2.0}}, "ratios": [1.0]}, full)
    for wrong in ({"files": {}, "ratios": []}, {"files": {"bicubic": {"rmse": "1"}}}, {"ratios": {"a": 1.0}}):
        with pytest.raises(AssertionError):
            fits(wrong, full)
