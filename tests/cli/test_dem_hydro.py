"""`terrafine dem --hydro`: what it says, and what it refuses, in the options of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import terrafine
from tests.support.paths import ROOT

pytest.importorskip("pyflwdir")
pytest.importorskip("pyogrio")
SAMPLE = ROOT / "demo" / "data" / "sample_120m.tif"
BICUBIC = ("--model", "bicubic")


def test_the_summary_states_streams_basins_and_what_may_be_incomplete(tmp_path: Path) -> None:
    run = terrafine("dem", SAMPLE, tmp_path / "fine.tif", *BICUBIC, "--scale", "2", "--hydro")
    assert run.exit_code == 0, run.output
    assert "streams from 10 km²:" in run.stdout
    assert "complete = 0" in run.stdout
    assert (tmp_path / "fine_hydro.gpkg").is_file()


def test_an_output_that_is_too_large_is_refused_with_the_options_to_give(tmp_path: Path) -> None:
    run = terrafine("dem", SAMPLE, tmp_path / "fine.tif", *BICUBIC, "--hydro", "--tr", 5, 5, "--memory", "600MB")
    assert run.exit_code == 10
    assert "--hydro routes water over the whole output" in run.stderr
    assert "--memory SIZE" in run.stderr
    assert "hydro=" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_area_of_streams_alone_is_refused(tmp_path: Path) -> None:
    run = terrafine("dem", SAMPLE, tmp_path / "fine.tif", "--stream-area", "1")
    assert run.exit_code == 2
    assert "--stream-area is for the streams of --hydro" in run.stderr
    assert list(tmp_path.iterdir()) == []
