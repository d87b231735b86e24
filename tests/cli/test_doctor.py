"""The doctor says what is broken and what to do, and its exit code says the same."""

from collections.abc import Callable, Iterator

import pytest
from tests.support.cli import Run

from terrafine.cli.checks import run_checks
from terrafine.workflows import doctor
from terrafine.workflows.doctor import Check


def test_a_whole_installation_is_0(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "nothing is broken" in result.output
    for name in ("terrafine", "Python", "GDAL", "PROJ", "torch", "memory", "temporary files"):
        assert f"\n{name} " in result.output


def planted(*found: Check) -> Callable[[str], Iterator[Check]]:
    def check(_: str) -> Iterator[Check]:
        yield from found

    return check


def test_something_broken_is_1_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (("disk", planted(Check("disk", "broken", "read-only", "set TMPDIR"))),))
    result = run("doctor")
    assert result.exit_code == 1
    assert "disk: set TMPDIR" in result.stdout
    assert result.stderr == "error: broken: disk\n"


def test_a_note_is_no_defect(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (("onnx", planted(Check("onnx", "note", "without onnx", "pip install"))),))
    assert run("doctor").exit_code == 0


def test_a_check_that_fails_itself_is_broken_and_the_others_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: str) -> Iterator[Check]:
        raise RuntimeError("no such flag")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (("CPU", crash), ("disk", planted(Check("disk", "ok", "9 GB")))))
    first, second = run_checks()
    assert (first.name, first.state) == ("CPU", "broken")
    assert "no such flag" in first.found
    assert second.state == "ok"


def test_a_missing_extra_is_a_note_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "dask", ("no_such_module_anywhere",))
    found = {c.name: c for c in doctor._engines("")}
    assert found["dask"].state == "note"
    assert "terrafine[dask]" in found["dask"].advice


def test_a_full_temporary_folder_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    found = {c.name: c for c in doctor._disk("disk")}
    assert found["temporary files"].state == "broken"
    assert "No space left" in found["temporary files"].found


def test_little_memory_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 200_000_000)
    (found,) = doctor._memory("memory")
    assert (found.state, found.found) == ("note", "0.2 GB free")
