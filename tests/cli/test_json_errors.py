"""With --json, standard output is one JSON document, in the case of an error too; `-` is no output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.support.rasters import write_dem

from terrafine.cli import main
from terrafine.cli.messages import json_error, print_json


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (["info", "nosuch.tif", "--json"], "SourceError", 3),
        (["evaluate", "nosuch.tif", "other.tif", "--json"], "SourceError", 3),
        (["models", "nosuch", "--json"], "UsageError", 2),
    ],
)
def test_an_error_is_a_document_and_a_message(words: list[str], kind: str, code: int) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == code
    found = json.loads(done.stdout)["error"]
    assert (found["kind"], found["exit_code"]) == (kind, code)
    assert found["message"] in done.stderr


def test_without_json_standard_output_is_empty_in_an_error() -> None:
    done = CliRunner().invoke(main, ["info", "nosuch.tif"])
    assert (done.exit_code, done.stdout) == (3, "")


def test_a_document_that_was_printed_is_the_only_one(capsys: pytest.CaptureFixture[str]) -> None:
    with main.make_context("terrafine", ["info", "x", "--json"]) as context:
        print_json({"rmse": 1.0})
        json_error(context, ["--json"], "GateError", "too far", 17)
    assert json.loads(capsys.readouterr().out) == {"rmse": 1.0}


def test_standard_output_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_dem(tmp_path / "in.tif", np.full((8, 8), 500, np.float32), cell=30.0)
    done = CliRunner().invoke(main, ["dem", "in.tif", "-", "--model", "bicubic"])
    assert done.exit_code == 12
    assert "not standard output" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_standard_output_is_no_folder_of_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["fetch", "copernicus-dem", "--aoi", "10.0,43.0,10.01,43.01", "-o", "-"])
    assert done.exit_code == 12
    assert "not standard output" in done.stderr
    assert not list(tmp_path.iterdir())
