"""`terrafine evaluate`: the table, the verdict, the report, the refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_files import hills, write_dem
from click.testing import Result

Run = Callable[..., Result]

OPTIONS = ("--no-coregistration",)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_dem(tmp_path / "truth.tif", hills(96, 96))


def shifted(path: Path, by_m: float) -> Path:
    return write_dem(path, hills(96, 96) + np.float32(by_m))


def test_the_table_shows_each_surface_with_its_errors(truth: Path, tmp_path: Path, run: Run) -> None:
    near, far = shifted(tmp_path / "near.tif", 1), shifted(tmp_path / "far.tif", 3)
    result = run("evaluate", far, near, truth, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[1:3]]
    assert [row[:3] for row in rows] == [["near", "1.000", "1.000"], ["far", "3.000", "3.000"]]


def test_the_report_is_written_where_it_was_asked_for(truth: Path, tmp_path: Path, run: Run) -> None:
    result = run("evaluate", shifted(tmp_path / "near.tif", 1), truth, *OPTIONS, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert results["candidates"][0]["elevation"]["rmse"] == pytest.approx(1, abs=1e-4)
    assert str(tmp_path / "report" / "index.html") in result.stdout


def test_quiet_says_nothing(truth: Path, tmp_path: Path, run: Run) -> None:
    result = run("evaluate", shifted(tmp_path / "near.tif", 1), truth, *OPTIONS, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_surfaces_that_do_not_overlap_are_5(truth: Path, tmp_path: Path, run: Run) -> None:
    away = write_dem(tmp_path / "away.tif", hills(96, 96), crs="EPSG:32733")
    result = run("evaluate", away, truth, *OPTIONS, "--out", tmp_path / "report")
    assert result.exit_code == 5, result.output
    assert not (tmp_path / "report").exists()


def test_surfaces_on_two_datums_are_6(tmp_path: Path, run: Run) -> None:
    a = write_dem(tmp_path / "a.tif", hills(96, 96), crs="EPSG:32633+5773")
    b = write_dem(tmp_path / "b.tif", hills(96, 96), crs="EPSG:32633+3855")
    assert run("evaluate", a, b, *OPTIONS).exit_code == 6


def test_a_missing_file_is_3(truth: Path, tmp_path: Path, run: Run) -> None:
    assert run("evaluate", tmp_path / "absent.tif", truth, *OPTIONS).exit_code == 3
