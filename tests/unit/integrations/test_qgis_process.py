"""The QGIS plugin runs a program of its own: progress out of its lines, cancelling, and finding what is installed."""

from __future__ import annotations

import configparser
import os
import runpy
import sys
from pathlib import Path

import pytest
from integrations.qgis.terrafine_qgis import installation, process
from integrations.qgis.terrafine_qgis.progress import Lines, Step, step_of
from tests.support.paths import ROOT

from terrafine import __version__

PLUGIN = ROOT / "integrations" / "qgis" / "terrafine_qgis"
posix = pytest.mark.skipif(os.name == "nt", reason="the fake programs are shell scripts")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ridgeline:  43%|████▎     | 1.20M/2.80M [00:03<00:04, 380kpx/s]", Step("ridgeline", 43)),
        ("  7%|▋         | 2/29 [00:01<00:20,  1.3step/s]", Step("", 7)),
        ("dem: 50 %", Step("dem", 50)),
        ("dem: 50 % of 1,638,400 px, 12 s left", Step("dem", 50)),
        ("writing 100%", Step("writing", 100)),
        ("30 %", Step("", 30)),
        ("layover 12.3 %, shadow 4.0 % of the valid cells", None),
        ("note: 12 % of the cells are nodata", None),
        ("error: 95 % of the disk is full", None),
        ("fine.tif: 640 × 640 cells, 1.29 MB", None),
        ("progress 400 %", None),
        ("", None),
    ],
)
def test_progress_is_read_from_bars_and_lines_and_from_nothing_else(line: str, expected: Step | None) -> None:
    assert step_of(line) == expected


def test_lines_end_at_returns_and_feeds_and_may_come_in_pieces() -> None:
    lines = Lines()
    data = "a: 10%\rb: 20%\r\n\nöl".encode()
    found = [text for i in range(len(data)) for text in lines.feed(data[i : i + 1])]
    assert [*found, *lines.rest()] == ["a: 10%", "b: 20%", "öl"]
    assert lines.rest() == []


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_run_hands_over_its_lines_and_its_exit_code() -> None:
    seen: list[str] = []
    code = "import sys; print('one'); print('error: two', file=sys.stderr); print('three'); sys.exit(4)"
    ended = process.run(program(code), seen.append, lambda: False)
    assert (seen, ended.code, ended.cancelled) == (["one", "error: two", "three"], 4, False)
    assert ended.message() == "error: two three"


def test_a_cancelled_run_is_interrupted_and_may_clean_up(tmp_path: Path) -> None:
    mark = tmp_path / "cleaned"
    code = (
        "import signal, time, pathlib\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # not as inherited
        "try:\n    print('ready')\n    time.sleep(60)\n"
        f"except KeyboardInterrupt: pathlib.Path({str(mark)!r}).touch(); raise SystemExit(130)"
    )
    seen: list[str] = []
    ended = process.run(program(code), seen.append, lambda: bool(seen))
    assert ended.cancelled
    assert ended.code == 130
    assert mark.exists()


def test_a_run_that_ignores_the_interrupt_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE_S", 0.2)
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('ready')\ntime.sleep(60)"
    seen: list[str] = []
    ended = process.run(program(code), seen.append, lambda: bool(seen))
    assert ended.cancelled
    assert ended.code != 0


def test_variables_of_qgis_do_not_reach_the_program() -> None:
    of_qgis = {"PYTHONHOME": "x", "PYTHONPATH": "x", "PROJ_LIB": "x", "GDAL_DATA": "x", "LD_LIBRARY_PATH": "x"}
    kept = process.environment({**of_qgis, "HOME": "h", "PATH": "p"})
    assert set(of_qgis).isdisjoint(kept)
    assert kept["HOME"] == "h"
    assert kept["PYTHONUNBUFFERED"] == "1"


def fake(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@posix
def test_the_first_installation_that_runs_is_used_and_others_are_named(tmp_path: Path) -> None:
    broken = fake(tmp_path / "broken", "echo nonsense")
    old = fake(tmp_path / "old", "echo terrafine, version 0.0.9")
    good = fake(tmp_path / "good", "echo terrafine, version 1.2.3")
    found, refused = installation.find([str(tmp_path / "absent"), str(broken), str(old), str(good)])
    assert found == installation.Installation(str(good), "1.2.3")
    assert [r.path for r in refused] == [str(broken), str(old)]
    assert "nonsense" in refused[0].problem
    assert "0.0.9" in refused[1].problem


@posix
def test_the_setting_alone_counts_and_may_be_an_environment(tmp_path: Path) -> None:
    good = fake(tmp_path / "env" / "bin" / "terrafine", "echo terrafine, version 1.2.3")
    assert list(installation.candidates(str(tmp_path / "env"))) == [str(good)]
    assert list(installation.candidates(str(good))) == [str(good)]


@posix
def test_the_search_covers_path_conda_and_environments(tmp_path: Path) -> None:
    home = tmp_path / "home"
    own = fake(installation.default_folder({}, home) / "bin" / "terrafine", "")
    on_path = fake(tmp_path / "bin" / "terrafine", "")
    conda = fake(home / "miniforge3" / "envs" / "geo" / "bin" / "terrafine", "")
    pipx = fake(home / ".local" / "bin" / "terrafine", "")
    found = [c for c in installation.candidates("", {"PATH": str(on_path.parent)}, home) if Path(c).is_file()]
    assert found == [str(own), str(on_path), str(conda), str(pipx)]


def test_this_python_is_new_enough_and_a_program_that_is_none_is_not(tmp_path: Path) -> None:
    assert installation.is_new_enough([sys.executable])
    assert not installation.is_new_enough([str(tmp_path / "absent")])


def test_an_environment_is_made_with_venv_and_pip_outside_qgis(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    commands = installation.install_commands(["py", "-3.12"], folder, "terrafine.whl", "https://example.org/cpu")
    assert commands[0] == ["py", "-3.12", "-m", "venv", str(folder)]
    assert commands[1][-3:] == ["torch", "--index-url", "https://example.org/cpu"]
    assert commands[2][-1] == "terrafine.whl[evaluate]"
    assert commands[3][1] == "doctor"
    assert all(str(folder) in c[0] for c in commands[1:])
    assert len(installation.install_commands(["py"], folder, "terrafine.whl")) == 3


def test_the_metadata_are_complete_and_of_this_version() -> None:
    parser = configparser.ConfigParser()
    parser.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = parser["general"]
    for key in ("name", "description", "about", "author", "email", "qgisMinimumVersion", "repository", "tracker"):
        assert general[key], key
    assert general["version"] == __version__
    assert general["hasProcessingProvider"] == "yes"
    assert (PLUGIN / general["icon"]).is_file()


def test_nothing_of_qgis_is_imported_by_the_parts_without_it() -> None:
    for name in ("verbs", "command", "progress", "process", "installation", "__init__"):
        assert "import qgis" not in (PLUGIN / f"{name}.py").read_text(encoding="utf-8")
        assert "from qgis" not in (PLUGIN / f"{name}.py").read_text(encoding="utf-8")


def test_the_package_holds_one_folder_with_the_sources_and_the_licence(tmp_path: Path) -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "package_qgis.py"))
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    names = tool["package"](first)
    tool["package"](second)
    assert first.read_bytes() == second.read_bytes()
    assert {n.partition("/")[0] for n in names} == {"terrafine_qgis"}
    assert {"metadata.txt", "__init__.py", "LICENSE", "icon.svg", "algorithm.py"} <= {Path(n).name for n in names}
    assert not [n for n in names if "__pycache__" in n]
