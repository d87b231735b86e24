"""-q, -v and --log-file of every verb; --json of those that report; what `terrafine` alone prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.support.cli import Run
from tests.support.rasters import write_dem
from tests.support.surfaces import hills
from tests.support.verbs import NEAREST, verbs_of

from terrafine import errors
from terrafine.cli import main
from terrafine.cli.log import add_log_options
from terrafine.cli.messages import print_json
from terrafine.errors import OutputError, SourceError

ALL = verbs_of(main)


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_verb_has_v_and_a_log_file(name: str, command: click.Command) -> None:
    flags = [flag for p in command.params for flag in p.opts]
    assert {"-v", "--verbose", "--log-file"} <= set(flags), name
    assert len(flags) == len(set(flags))
    assert {"-q", "--quiet"} <= set(flags), name


def test_a_verb_with_an_option_of_the_name_keeps_it() -> None:
    @click.command()
    @click.option("-v", "volume", is_flag=True)
    def verb(volume: bool) -> None:
        click.echo(volume)

    add_log_options(verb)
    assert [p.name for p in verb.params if "-v" in p.opts] == ["volume"]


def test_the_log_has_the_command_the_result_and_the_error(dem: Path, tmp_path: Path, run: Run) -> None:
    log = tmp_path / "run.log"
    out = tmp_path / "o.tif"
    assert run("dem", dem, out, "--model", "nearest", "--log-file", log).exit_code == 0
    assert run("dem", tmp_path / "none.tif", out, *NEAREST, "--log-file", log).exit_code == SourceError.exit_code
    text = log.read_text()
    for expected in (f"terrafine dem {dem}", "cells, ", "ERROR terrafine: error: ", "none.tif", "Traceback"):
        assert expected in text
    before = log.stat().st_size
    run("dem", dem, out, *NEAREST)
    assert log.stat().st_size == before


def test_a_log_file_never_harms_another_file(dem: Path, tmp_path: Path, run: Run) -> None:
    before = dem.read_bytes()
    for path in (dem, tmp_path, tmp_path / "no" / "a.log"):
        result = run("dem", dem, tmp_path / "o.tif", *NEAREST, "--log-file", path)
        assert result.exit_code == OutputError.exit_code
        assert str(path) in result.output
    assert dem.read_bytes() == before and not (tmp_path / "o.tif").exists()


def test_q_prints_nothing_and_v_more(dem: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "o.tif"
    assert run("dem", dem, out, "--model", "nearest", "-q").output == ""
    plain = run("dem", dem, out, "--model", "nearest").stderr
    verbose = run("dem", dem, out, "--model", "nearest", "-v").stderr
    assert "terrafine." not in plain and "terrafine.inference.engine: " in verbose


def test_reports_are_one_json_document(dem: Path, tmp_path: Path, run: Run) -> None:
    other = write_dem(tmp_path / "b.tif", hills() + 1)
    info = json.loads(run("info", dem, "--json").stdout)
    assert info["kind"] == "elevation" and info["product"]["key"]
    models = json.loads(run("models", "--json").stdout)
    ridgeline = next(m for m in models if m["name"].startswith("ridgeline") and m["kind"] == "network")
    assert ridgeline["inputs"] == ["elevation"] and len(ridgeline["sha256"]) == 64
    named = json.loads(run("info", ridgeline["name"], "--json").stdout)
    assert ridgeline["sha256"] in {m["sha256"] for m in named["models"]}
    weights = json.loads(run("info", ridgeline["path"], "--json").stdout)
    assert weights["sha256"] == ridgeline["sha256"]
    judged = run("evaluate", dem, other, "--no-hydrology", "--no-coregistration", "--json")
    results = json.loads(judged.stdout)
    assert results["kind"] == "elevation" and results["candidates"][0]["elevation"]["rmse"] > 0


def test_doctor_is_json_too(run: Run) -> None:
    found = json.loads(run("doctor", "--json").stdout)
    assert found["broken"] == [] and {c["name"] for c in found["checks"]} >= {"Python", "GDAL", "torch"}


def test_numbers_that_are_not_finite_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), float("inf"), 1.5], "p": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "p": "x"}


def test_terrafine_alone_shows_three_commands(run: Run) -> None:
    result = run()
    assert result.exit_code == 0
    shown = [line.split()[1] for line in result.output.splitlines() if line.startswith("  terrafine")]
    assert shown == ["dem", "evaluate", "map"]


def test_help_has_every_exit_code(run: Run) -> None:
    text = run("--help").output
    table = text.split("Exit codes:")[1].splitlines()
    shown = {int(line.split()[0]) for line in table if line.strip()[:1].isdigit()}
    assert shown == {0, 1, 130} | {getattr(errors, name).exit_code for name in errors.__all__}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    def asked(**more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from terrafine.cli import main; main(prog_name='terrafine')"],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    if shell == "bash":
        script = subprocess.run(["bash", "-c", "command -v bash"], capture_output=True, check=False)
        assert script.returncode == 0
    assert "_TERRAFINE_COMPLETE" in asked(_TERRAFINE_COMPLETE=f"{shell}_source")
    words = {"COMP_WORDS": "terrafine dem --sel", "COMP_CWORD": "--sel" if shell == "fish" else "2"}
    assert "--self-ensemble" in asked(_TERRAFINE_COMPLETE=f"{shell}_complete", **words)
    words = {"COMP_WORDS": "terrafine dem ", "COMP_CWORD": "" if shell == "fish" else "2"}
    assert "file" in asked(_TERRAFINE_COMPLETE=f"{shell}_complete", **words)  # inputs complete as files


def test_a_note_is_printed_once() -> None:
    """In a process of its own: pytest has handlers, without which Python repeats warnings on standard error."""
    code = "import terrafine.cli\nfrom terrafine.cli.messages import note\nnote('note: one')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "note: one\n"


def test_q_silences_verbs_that_only_report(dem: Path, run: Run) -> None:
    assert run("info", dem).stdout != ""
    assert run("info", dem, "-q").output == ""
    assert run("models", "--quiet").output == ""
    assert json.loads(run("info", dem, "-q", "--json").stdout)
    assert run("info", dem.with_name("none.tif"), "-q").stderr.startswith("error: ")
