"""The benchmark of a GPU says where there is none, and compares outputs with a tolerance that can fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.dem import gpu


def test_without_a_gpu_nothing_is_measured_and_nothing_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "find_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path / "gpu.json")])
    gpu.main()
    assert capsys.readouterr().out == "no GPU here: nothing is measured and nothing written\n"
    assert not list(tmp_path.iterdir())


def test_outputs_that_differ_by_more_than_the_tolerance_are_named() -> None:
    equal = {"dem": {"largest_difference": {"elevation": 1e-3, "elevation_sigma": 9.0}}, "training": {"cpu": 1.0}}
    assert gpu.unequal(equal) == []
    for wrong in (0.5, float("nan")):
        (found,) = gpu.unequal({"map_full": {"largest_difference": {"impervious": wrong}}})
        assert found.startswith("map_full: impervious differs by")


@pytest.mark.slow
def test_the_quick_mode_runs_every_part_with_the_cpu_in_the_place_of_the_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--quick", "--out", str(tmp_path / "gpu.json")])
    gpu.main()
    assert (tmp_path / "gpu.json").stat().st_size > 500
