"""A home, temporary or output folder that cannot be used: the run is whole, or ends with our error and no part."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.cli import terrafine
from tests.support.rasters import write_dem
from tests.support.verbs import NEAREST

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts and users of Linux")

NOBODY = 65_534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, with a DEM in it; a run has imported all that a run needs."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    write_dem(folder / "dem.tif").chmod(0o644)
    (folder / "out").mkdir()
    with a_user():
        assert (folder / "dem.tif").read_bytes()
    assert terrafine("dem", folder / "dem.tif", folder / "calm.tif", *NEAREST).exit_code == 0
    yield folder
    (folder / "out").chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def a_user() -> Iterator[None]:
    """Files are opened as a user without rights over others: an administrator takes another's name."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small disk in memory at the folder; the test is left out where none may be mounted."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def in_a_process(place: Path, out: Path, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """`terrafine dem` with other environment variables; None takes one away."""
    env = {name: value for name, value in (os.environ | variables).items() if value is not None}
    words = [sys.executable, "-m", "terrafine.cli", "dem", str(place / "dem.tif"), str(out), *map(str, NEAREST)]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=300, cwd=place)


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_may_not_be_written_is_refused(place: Path, mode: int) -> None:
    (place / "out").chmod(mode)
    with a_user():
        result = terrafine("dem", place / "dem.tif", place / "out" / "o.tif", *NEAREST)
    (place / "out").chmod(0o755)
    assert result.exit_code == 12 and "unexpected" not in result.output, result.output
    assert str(place / "out") in result.output and not list((place / "out").iterdir())


def test_an_output_in_a_folder_that_may_not_be_written_stays_as_it_is(place: Path) -> None:
    old = shutil.copy(place / "calm.tif", place / "out" / "o.tif")
    before = old.read_bytes()
    (place / "out").chmod(0o555)
    with a_user():
        result = terrafine("dem", place / "dem.tif", old, *NEAREST, "--overwrite")
    assert result.exit_code == 12 and "unexpected" not in result.output, result.output
    assert old.read_bytes() == before and [path.name for path in old.parent.iterdir()] == ["o.tif"]


def test_an_input_that_may_not_be_read_is_refused(place: Path) -> None:
    (place / "dem.tif").chmod(0)
    with a_user():
        result = terrafine("dem", place / "dem.tif", place / "out" / "o.tif", *NEAREST)
    assert result.exit_code in (3, 12) and "unexpected" not in result.output, result.output
    assert str(place / "dem.tif") in result.output and not list((place / "out").iterdir())


def test_a_disk_of_64_kilobytes_is_full(place: Path) -> None:
    out = place / "out" / "o.tif"
    with mounted(place / "out", "size=64k,mode=0777"):
        (place / "out" / "filler").write_bytes(bytes(56 * 1024))
        result = terrafine("dem", place / "dem.tif", out, *NEAREST)
        assert result.exit_code == 11 and "free space or write elsewhere" in result.output, result.output
        assert {path.name for path in (place / "out").iterdir()} == {"filler"}


def test_a_disk_that_may_only_be_read_is_refused(place: Path) -> None:
    with mounted(place / "out", "ro"):
        result = terrafine("dem", place / "dem.tif", place / "out" / "o.tif", *NEAREST)
        assert result.exit_code == 12 and "unexpected" not in result.output, result.output
        assert not list((place / "out").iterdir())


@pytest.mark.slow
def test_no_home_and_no_temporary_folder_are_needed(place: Path) -> None:
    out = place / "out" / "o.tif"
    done = in_a_process(place, out, HOME=None, TMPDIR=str(place / "nowhere"), XDG_CACHE_HOME=None)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == (place / "calm.tif").read_bytes()
    assert sorted(path.name for path in place.iterdir()) == ["calm.tif", "dem.tif", "out"]


@pytest.mark.long
@pytest.mark.parametrize("options", ["size=4k,mode=1777", "ro", "noexec,size=1m,mode=1777"])
def test_a_temporary_folder_that_is_full_read_only_or_without_programs_is_not_needed(place: Path, options: str) -> None:
    out, small = place / "out" / "o.tif", place / "small"
    small.mkdir()
    with mounted(small, options):
        if options.startswith("size=4k"):
            (small / "filler").write_bytes(bytes(4096))
        done = in_a_process(place, out, TMPDIR=str(small), HOME=str(small))
        left = {path.name for path in small.iterdir()} - {"filler", ".cache", ".config"}
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == (place / "calm.tif").read_bytes() and not left
