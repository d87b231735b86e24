"""Links and files under Terrafine's own names cost no user a byte: they are refused, and what they lead to stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import write_dem

import terrafine
from terrafine.atomic import staging_folder, written
from terrafine.errors import JobError, OutputError
from terrafine.inference.job import job_folder
from terrafine.private import FOLDER_LOCK, hold_folder, make_private_folder, sweep_dead
from terrafine.training.folder import _locked

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")

OPTIONS = {"model": "nearest", "scale": 2}
LETTERS = {"letter.txt": "dear", "level0.tif": "my level", "lock": "my lock", "plan.json": "my plan"}


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    return write_dem(tmp_path / "dem.tif", np.full((20, 20), 100.0, np.float32))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the user's, with files that are called as some of Terrafine's are."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in LETTERS.items():
        (folder / name).write_text(text)
    return folder


def untouched(folder: Path) -> bool:
    return {path.name: path.read_text() for path in folder.iterdir()} == LETTERS


@pytest.mark.parametrize("place", [job_folder, staging_folder])
def test_a_link_called_as_a_work_folder_is_refused(place, dem: Path, own: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    place(out).symlink_to(own, target_is_directory=True)
    with pytest.raises((JobError, OutputError), match="is a symbolic link"):
        terrafine.sharpen_dem(dem, out, **OPTIONS)
    assert untouched(own) and not out.exists()


@pytest.mark.parametrize("place", [job_folder, staging_folder])
def test_a_folder_of_the_user_called_as_a_work_folder_is_refused(place, dem: Path, own: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.tif"
    own.rename(place(out))
    with pytest.raises((JobError, OutputError), match=r"letter\.txt"):
        terrafine.sharpen_dem(dem, out, **OPTIONS)
    assert {p.name: p.read_text() for p in place(out).iterdir()} | {"lock": "my lock"} == LETTERS and not out.exists()


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("place", [job_folder, staging_folder])
def test_a_link_called_lock_does_not_overwrite_what_it_leads_to(
    place, link, dem: Path, own: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.tif"
    place(out).mkdir()
    link(own / "letter.txt", place(out) / "lock")
    with pytest.raises((JobError, OutputError), match="not a plain file"):
        terrafine.sharpen_dem(dem, out, **OPTIONS)
    assert untouched(own) and not out.exists()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_lock_of_training_is_no_link(link, own: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    link(own / "letter.txt", run / FOLDER_LOCK)
    with pytest.raises(OutputError, match="not a plain file"):
        _locked(run)
    assert untouched(own)


@pytest.mark.parametrize("name", ["shard-0000000.bin", "plan.json", "scratch-source-grid.tif"])
def test_a_link_in_a_job_folder_is_removed_without_what_it_leads_to(
    name: str, dem: Path, own: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.tif"
    job_folder(out).mkdir()
    (job_folder(out) / name).symlink_to(own / "letter.txt")
    terrafine.sharpen_dem(dem, out, restart=True, **OPTIONS)
    assert untouched(own) and out.exists()


def test_work_folders_are_private(dem: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        make_private_folder(tmp_path / "private")
    finally:
        os.umask(old)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700


def test_another_user_s_folder_is_refused(dem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "o.tif"
    job_folder(out).mkdir()
    monkeypatch.setattr("terrafine.private.os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(JobError, match="belongs to another user"):
        terrafine.sharpen_dem(dem, out, **OPTIONS)


def test_parts_of_dead_runs_are_swept_and_those_of_the_living_stay(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from terrafine.atomic import written\n"
        "with written(Path(sys.argv[1])) as part:\n    part.write_bytes(b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "o.png"], check=False, env=dict(os.environ))
    (left,) = tmp_path.iterdir()
    foreign = tmp_path / ".letter.part"
    foreign.write_text("dear")
    with written(tmp_path / "p.png") as part:
        part.write_bytes(b"half")
        sweep_dead(tmp_path)
        assert part.exists() and foreign.exists() and not left.exists()


def test_the_first_write_into_a_folder_and_its_lock_remove_what_killed_runs_left(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from terrafine.atomic import written\n"
        "with written(Path(sys.argv[1])) as part:\n    part.write_bytes(b'half'); os._exit(9)"
    )

    def killed(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-c", code, folder / "curve.png"], check=False, env=dict(os.environ))
        assert [path.suffix for path in folder.iterdir()] == [".part"]

    killed(tmp_path / "a")
    with written(tmp_path / "a" / "curve.png") as part:
        part.write_bytes(b"whole")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["curve.png"]
    killed(tmp_path / "b")
    lock = hold_folder(tmp_path / "b")
    assert lock is not None
    lock.close()
    assert [path.name for path in (tmp_path / "b").iterdir()] == [FOLDER_LOCK]


def test_a_scratch_file_that_is_a_link_is_removed_and_what_it_leads_to_stays(dem: Path, tmp_path: Path) -> None:
    from tests.support.fakes import spec

    from terrafine.inference.job import Job
    from terrafine.inference.planner import make_plan

    (tmp_path / "mine.tif").write_text("mine")
    plan = make_plan((40, 40), spec())
    Job.claim(tmp_path / "o.tif", {}, plan).release()
    scratch = job_folder(tmp_path / "o.tif") / "scratch-source-grid.tif"
    scratch.symlink_to(tmp_path / "mine.tif")
    Job.claim(tmp_path / "o.tif", {}, plan).release()
    assert not scratch.is_symlink() and (tmp_path / "mine.tif").read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_log_of_training_that_leads_elsewhere_is_refused(kind: str, tmp_path: Path) -> None:
    from terrafine.training.folder import RunFolder

    (tmp_path / "run").mkdir()
    (tmp_path / "diary.txt").write_text("dear diary\n")
    log = tmp_path / "run" / "log.jsonl"
    if kind == "link":
        log.symlink_to(tmp_path / "diary.txt")
    else:
        log.hardlink_to(tmp_path / "diary.txt")
    with pytest.raises(OutputError, match="is not a plain file"):
        RunFolder(tmp_path / "run").append(3, {"loss": 1.0})
    assert (tmp_path / "diary.txt").read_text() == "dear diary\n"
