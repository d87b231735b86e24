"""The folder of a report belongs to one evaluation at a time, and to the last one as a whole."""

from __future__ import annotations

import copy
import json
import os
import signal
import warnings
from pathlib import Path

import pytest
from tests.support.killed_child import dying
from tests.support.rasters import write_surface
from tests.support.reports import results
from tests.support.surfaces import terrain

from terrafine.errors import OutputError, TerrafineError
from terrafine.evaluation.report import report_folder, write_report
from terrafine.workflows.evaluate import evaluate


def test_no_table_of_an_earlier_report_stays_and_foreign_files_do(tmp_path: Path) -> None:
    first = {path.name for path in write_report(results(), None, tmp_path)}
    (tmp_path / "notes.csv").write_text("mine")
    second = {path.name for path in write_report(less(), None, tmp_path)}
    assert second < first
    assert {path.name for path in tmp_path.iterdir()} == second | {"notes.csv"}


def test_a_results_file_that_is_no_report_is_replaced_and_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("mine")
    for text in ("{", "[]", '{"format": "x"}', json.dumps({"format": results()["format"], "candidates": 3})):
        (tmp_path / "results.json").write_text(text)
        write_report(results(), None, tmp_path)
    assert (tmp_path / "notes.csv").read_text() == "mine"


def test_a_folder_in_use_is_refused_and_nothing_in_it_changes(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutputError, match="another evaluation uses it"):
            write_report(results(), None, tmp_path)
    finally:
        os.close(handle)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    write_report(results(), None, tmp_path)
    assert not (tmp_path / ".lock").exists()


def less() -> dict[str, object]:
    """Results with fewer tables."""
    record = copy.deepcopy(results())
    for candidate in (*record["candidates"], *record.get("baselines", {}).values()):
        for part in ("by_slope", "by_elevation", "by_class"):
            candidate.pop(part, None)
    return record


def killed_at(nth: int, folder: Path) -> bool:
    """Write a report in a forked process that is killed at its n-th renaming; False where it ends before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of the test runner
        process = os.fork()
    if not process:
        try:
            os.replace = dying(os.replace, nth, after=False)
            write_report(results(), None, folder)
        finally:
            os._exit(0)
    return os.waitpid(process, 0)[1] == signal.SIGKILL


def test_a_run_killed_between_two_files_leaves_no_table_in_the_next_report(tmp_path: Path) -> None:
    write_report(less(), None, tmp_path / "calm")
    calm = {path.name: path.read_bytes() for path in (tmp_path / "calm").iterdir()}
    write_report(less(), None, tmp_path / "cut")
    killed = 0
    for nth in range(2, 200, 4):
        dead = killed_at(nth, tmp_path / "cut")
        killed += dead
        write_report(less(), None, tmp_path / "cut")
        assert {path.name: path.read_bytes() for path in (tmp_path / "cut").iterdir()} == calm
        if not dead:
            break
    assert 5 <= killed < 50


def test_a_folder_in_use_is_refused_before_anything_is_compared(tmp_path: Path, monkeypatch) -> None:
    for name in "ab":
        write_surface(tmp_path / f"{name}.tif", terrain(32))
    with report_folder(tmp_path / "out"):
        monkeypatch.setattr("terrafine.evaluation.elevation.compare.compare", None)
        with pytest.raises(OutputError, match="another evaluation uses it"):
            evaluate(tmp_path / "a.tif", tmp_path / "b.tif", out=tmp_path / "out")


def test_an_evaluation_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    write_surface(tmp_path / "a.tif", terrain(32))
    write_surface(tmp_path / "b.tif", terrain(32), origin=(900_000, 4_000_000))
    with pytest.raises(TerrafineError):
        evaluate(tmp_path / "a.tif", tmp_path / "b.tif", out=tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()
