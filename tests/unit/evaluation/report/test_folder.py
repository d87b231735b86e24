"""The folder of a report belongs to one evaluation at a time, and to the last one as a whole."""

from __future__ import annotations

import copy
import fcntl
import json
import os
from pathlib import Path

import pytest
from tests.support.reports import results

from terrafine.errors import OutputError
from terrafine.evaluation.report import write_report


def test_no_table_of_an_earlier_report_stays_and_foreign_files_do(tmp_path: Path) -> None:
    first = {path.name for path in write_report(results(), None, tmp_path)}
    (tmp_path / "notes.csv").write_text("mine")
    less = copy.deepcopy(results())
    for candidate in (*less["candidates"], *less.get("baselines", {}).values()):
        for part in ("by_slope", "by_elevation", "by_class"):
            candidate.pop(part, None)
    second = {path.name for path in write_report(less, None, tmp_path)}
    assert second < first
    assert {path.name for path in tmp_path.iterdir()} == second | {"notes.csv"}


def test_a_results_file_that_is_no_report_is_replaced_and_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("mine")
    for text in ("{", "[]", '{"format": "x"}', json.dumps({"format": results()["format"], "candidates": 3})):
        (tmp_path / "results.json").write_text(text)
        write_report(results(), None, tmp_path)
    assert (tmp_path / "notes.csv").read_text() == "mine"


def test_a_folder_in_use_is_refused_and_nothing_in_it_changes(tmp_path: Path) -> None:
    handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutputError, match="another evaluation writes its report there"):
            write_report(results(), None, tmp_path)
    finally:
        os.close(handle)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    write_report(results(), None, tmp_path)
    assert not (tmp_path / ".lock").exists()
