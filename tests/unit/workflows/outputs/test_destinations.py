"""What may be written: never an input, the archive of one, or anything but a plain file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from terrafine.errors import OutputError
from terrafine.workflows.outputs.destinations import check_destinations, follow


def test_a_pipe_or_device_is_refused_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="device or a pipe"):
        check_destinations([], pipe, None)
    with pytest.raises(OutputError, match="device or a pipe"):
        check_destinations([], tmp_path / "fine.tif", pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("form", ["/vsizip/{}/dem.tif", "/vsizip//{}/deep/dem.tif", "/vsizip/{{{}}}/dem.tif"])
def test_the_archive_of_an_input_is_refused(tmp_path: Path, form: str) -> None:
    archive = tmp_path / "dem.zip"
    archive.write_bytes(b"archive")
    with pytest.raises(OutputError, match="input itself"):
        check_destinations([form.format(archive)], archive, None)


def test_a_new_or_plain_file_beside_the_input_is_allowed(tmp_path: Path) -> None:
    archive, old = tmp_path / "dem.zip", tmp_path / "fine.tif"
    archive.write_bytes(b"archive")
    old.write_bytes(b"earlier")
    check_destinations([f"/vsizip/{archive}/dem.tif"], old, tmp_path / "new.png")
    assert old.read_bytes() == b"earlier"


def test_link_that_leads_back_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").symlink_to("b.tif")
    (tmp_path / "b.tif").symlink_to("a.tif")
    with pytest.raises(OutputError, match="leads back to itself"):
        follow(tmp_path / "a.tif")
