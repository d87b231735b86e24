"""Files of one set are published together: a failure changes nothing, and a map never has another map's sidecars."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from terrafine import atomic as module
from terrafine.atomic import PublishSet, StagedFile, publish, written
from terrafine.errors import OutputError

NAMES = ("map.tif", "map.qml", "map.csv")
PRIMARY = NAMES[0]

WRITE = """
import os, sys
from pathlib import Path
from terrafine.atomic import PublishSet, written

def write(folder, at):
    steps = 0

    def counted(real):
        def call(*given, **named):
            nonlocal steps
            steps += 1
            if steps == at:
                os._exit(9)
            return real(*given, **named)
        return call

    os.replace, os.fsync, Path.unlink = counted(os.replace), counted(os.fsync), counted(Path.unlink)
    with PublishSet(folder / "map.tif") as files:
        for name in ("map.tif", "map.qml", "map.csv"):
            with written(folder / name, files.stage) as part:
                part.write_text("new")
    os._exit(0)

for folder in map(Path, sys.argv[1:]):
    child = os.fork()
    if not child:
        write(folder, int(folder.name))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def put(folder: Path, text: str, names: tuple[str, ...] = NAMES) -> None:
    with PublishSet(folder / PRIMARY) as files:
        for name in names:
            with written(folder / name, files.stage) as part:
                part.write_text(text)


def there(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir()}


def test_nothing_is_seen_before_all_is_there_and_nothing_else_stays(tmp_path: Path) -> None:
    put(tmp_path, "old", NAMES[:2])
    with PublishSet(tmp_path / PRIMARY) as files:
        for name in NAMES:
            with written(tmp_path / name, files.stage) as part:
                part.write_text("new")
            assert files.staged_path(tmp_path / name).read_text() == "new"
        assert {n: t for n, t in there(tmp_path).items() if n[0] != "."} == dict.fromkeys(NAMES[:2], "old")
    assert there(tmp_path) == dict.fromkeys(NAMES, "new")


def test_paths_that_are_not_absolute_mean_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path(), "old")
    with PublishSet(Path(PRIMARY)) as files, written(tmp_path / PRIMARY, files.stage) as part:
        part.write_text("new")
    assert there(tmp_path) == {**dict.fromkeys(NAMES, "old"), PRIMARY: "new"}


@pytest.mark.parametrize("before", [(), NAMES[:2], NAMES])
def test_a_failure_at_any_rename_or_flush_leaves_what_was_there(
    before: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "old", before) if before else None
    failed = 0
    for at in range(1, 40):
        steps = 0

        def counted(real: Callable[..., None], at: int = at) -> Callable[..., None]:
            def call(*given: object) -> None:
                nonlocal steps
                steps += 1
                if steps == at:
                    raise OSError(5, "input/output error")
                real(*given)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "replace", counted(os.replace))
            patch.setattr(module.os, "fsync", counted(os.fsync))
            try:
                put(tmp_path, "new")
            except OSError:  # while a file was written
                failed += 1
            except OutputError as error:
                failed += 1
                assert "cannot be renamed to its final name (input/output error)" in str(error)
            else:
                break
        assert there(tmp_path) == dict.fromkeys(before, "old")
    assert failed >= 12
    assert there(tmp_path) == dict.fromkeys(NAMES, "new")


def test_an_error_in_the_block_leaves_what_was_there(tmp_path: Path) -> None:
    put(tmp_path, "old")
    with pytest.raises(ZeroDivisionError), PublishSet(tmp_path / PRIMARY) as files:
        with written(tmp_path / PRIMARY, files.stage) as part:
            part.write_text("new")
        raise ZeroDivisionError
    assert there(tmp_path) == dict.fromkeys(NAMES, "old")


def test_after_a_kill_at_any_step_a_map_has_its_own_sidecars_and_the_next_run_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / str(at) for at in range(1, 27)]
    for folder in folders:
        folder.mkdir()
        put(folder, "old", NAMES[:2])
    done = subprocess.run([sys.executable, "-c", WRITE, *folders], check=True, capture_output=True, text=True)
    absent, codes = 0, done.stdout.split()
    assert set(codes) == {"0", "9"} and codes == sorted(codes, reverse=True)
    for folder, code in zip(folders, codes, strict=True):
        seen = {n: t for n, t in there(folder).items() if n[0] != "."}
        if PRIMARY in seen:
            assert seen in (dict.fromkeys(NAMES[:2], "old"), dict.fromkeys(NAMES, "new"))
        else:
            absent += 1
            assert there(folder)[f".{PRIMARY}.old"] == "old"
        assert code == "9" or there(folder) == dict.fromkeys(NAMES, "new")
        put(folder, "newer")
        assert {n: t for n, t in there(folder).items() if not n.endswith(".part")} == dict.fromkeys(NAMES, "newer")
    assert absent > 4


def test_what_is_published_is_flushed_first_and_its_name_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(module.os, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    monkeypatch.setattr(module.os, "fsync", lambda f: (done.append(os.fstat(f).st_ino), fsync(f)))
    (tmp_path / "part").write_text("x")
    file = (tmp_path / "part").stat().st_ino
    publish(tmp_path / "part", tmp_path / "whole")
    assert done == [file, "rename", tmp_path.stat().st_ino]
    assert there(tmp_path) == {"whole": "x"}


def test_a_staged_file_appears_at_commit_alone_and_an_abort_leaves_nothing(tmp_path: Path) -> None:
    file = StagedFile(tmp_path / "x")
    assert [file.write(b"ab"), file.write(b"cde")] == [0, 2]
    assert [p.name for p in tmp_path.iterdir() if p.name[0] != "."] == []
    assert file.commit() == 5 and there(tmp_path) == {"x": "abcde"}
    file.abort()
    other = StagedFile(tmp_path / "y")
    other.write(b"z")
    other.abort()
    assert there(tmp_path) == {"x": "abcde"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_staged_file_whose_commit_fails_can_be_aborted(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("old")
    file = StagedFile(tmp_path / "x")
    file.write(b"new")

    def failing(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(module.os, call, failing)
    with pytest.raises(OSError, match="no space"):
        file.commit()
    file.abort()
    assert there(tmp_path) == {"x": "old"}


def test_two_writers_of_one_file_do_not_share_a_temporary_name(tmp_path: Path) -> None:
    with written(tmp_path / "x") as first, written(tmp_path / "x") as second:
        first.write_text("first")
        second.write_text("second")
    assert there(tmp_path) == {"x": "first"}
