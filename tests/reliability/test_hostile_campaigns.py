"""A stranger's campaign folder costs no user a file: links are refused, records of other types count as not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.support.campaigns import opened, stub, write_campaign
from tests.support.mutants import mutants

import terrafine
from terrafine.campaign import execute
from terrafine.campaign.folder import DONE, EMPTY, PENDING, STALE
from terrafine.campaign.product import _write_items
from terrafine.campaign.settings import read_settings
from terrafine.campaign.status import states_of, status_of
from terrafine.errors import JobError, OutputError, TerrafineError
from terrafine.schema.types import CONTROL

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_campaign(tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter.json").write_text('"dear"')
    return tmp_path / "own"


def letter_is_there(own: Path) -> bool:
    return {p.name: p.read_text() for p in own.iterdir()} == {"letter.json": '"dear"'}


@pytest.mark.parametrize("of", ["unit", "work"])
def test_a_link_called_as_a_work_folder_is_refused(of: str, settings: Path, own: Path) -> None:
    plan, folder = opened(settings)
    unit = next(plan.units())
    link = folder.work(plan, unit)
    if of == "work":
        link = link.parent
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(own, target_is_directory=True)
    with pytest.raises(OutputError, match="is a symbolic link"), folder.working(plan, unit):
        pass
    assert letter_is_there(own)


def test_a_folder_of_the_user_called_as_a_work_folder_is_refused(settings: Path, own: Path) -> None:
    plan, folder = opened(settings)
    unit = next(plan.units())
    folder.work(plan, unit).parent.mkdir()
    own.rename(folder.work(plan, unit))
    with pytest.raises(OutputError, match="holds files that are not of a run"), folder.working(plan, unit):
        pass
    assert letter_is_there(folder.work(plan, unit))


def test_what_a_killed_unit_left_is_removed(settings: Path) -> None:
    plan, folder = opened(settings)
    unit = next(plan.units())
    for name in ("lock", "surface.tif"):
        folder.work(plan, unit).mkdir(parents=True, exist_ok=True)
        (folder.work(plan, unit) / name).write_text("half")
    with folder.working(plan, unit) as work:
        assert [p.name for p in work.iterdir()] == ["lock"]
    assert not folder.work(plan, unit).exists()


def test_what_was_left_of_a_unit_killed_after_its_record_is_removed_by_the_next_run(
    settings: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "run_unit", stub)
    terrafine.run_campaign(settings)
    plan, folder = opened(settings)
    first, second = list(plan.units())[:2]
    for unit in (first, second):
        folder.work(plan, unit).mkdir(parents=True)
        (folder.work(plan, unit) / "lock").write_text("")
        (folder.work(plan, unit) / "surface.tif").write_text("half")
    (own / "lock").write_text("")
    mine = own.rename(folder.path / "work" / "mine")
    with folder.working(plan, second) as held:
        (held / "surface.tif").write_text("half")
        terrafine.run_campaign(settings)
        assert (held / "surface.tif").exists() and not folder.work(plan, first).exists()
    assert {p.name for p in mine.iterdir()} == {"letter.json", "lock"}


@pytest.mark.parametrize("kind", ["file", "link to a file", "pipe"])
def test_something_else_called_as_the_folder_is_refused(kind: str, settings: Path, own: Path) -> None:
    place = settings.with_suffix("")
    if kind == "file":
        place.write_text("mine")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(own / "letter.json")
    with pytest.raises(JobError, match="is not a folder"):
        terrafine.run_campaign(settings)
    assert letter_is_there(own)


@pytest.mark.parametrize("link", ["link", "second name", "pipe", "folder"])
def test_a_lock_is_no_link(link: str, settings: Path, own: Path) -> None:
    _, folder = opened(settings)
    if link == "link":
        (folder.path / "lock").symlink_to(own / "letter.json")
    elif link == "second name":
        (folder.path / "lock").hardlink_to(own / "letter.json")
    elif link == "pipe":
        os.mkfifo(folder.path / "lock")
    else:
        (folder.path / "lock").mkdir()
    with pytest.raises(TerrafineError, match="lock"), folder.locked():
        pass
    assert letter_is_there(own)


def test_items_of_others_stay_when_a_campaign_is_published(tmp_path: Path, own: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "items").symlink_to(own, target_is_directory=True)
    with pytest.raises(OutputError, match="is a link"):
        _write_items(tmp_path / "root", [])
    (tmp_path / "root" / "items").unlink()
    own.rename(tmp_path / "root" / "items")
    (tmp_path / "root" / "items" / "old.json").write_text('{"properties": {"terrafine:unit_key": "a"}}')
    _write_items(tmp_path / "root", [])
    assert letter_is_there(tmp_path / "root" / "items")


def test_a_changed_record_is_read_as_what_it_is_or_not_at_all(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "run_unit", stub)
    terrafine.run_campaign(settings)
    plan, folder = opened(settings)
    unit = next(plan.units())
    path = folder.tile(plan, unit, ".json")
    record = json.loads(path.read_text()) | {"clear": 0.5, "notes": [], "inputs": {"files": [{"name": "a"}]}}
    failed = {"format": 1, "key": unit.key, "error": "SourceError", "message": "\x1b[31m gone", "tries": 1}
    seen = set()
    for mutant in mutants(record, 120, seed=3):
        path.write_text(json.dumps(mutant.record))
        state = folder.state(plan, unit)
        seen.add(state.name)
        assert status_of(plan, [(unit, state)]).bytes >= 0, mutant.label
        if state.name == DONE:
            assert not folder.damaged(plan, unit, state.record) or mutant.record != record
    assert {DONE, PENDING, STALE} <= seen <= {DONE, PENDING, STALE, EMPTY}
    path.unlink()
    failure = folder._failure(plan, unit)
    failure.parent.mkdir(parents=True, exist_ok=True)
    for mutant in mutants(failed, 60, seed=4):
        failure.write_text(json.dumps(mutant.record))
        for hole in status_of(plan, [(unit, folder.state(plan, unit))]).holes:
            assert not CONTROL.search(hole.reason), mutant.label


def test_changed_settings_are_read_or_refused(settings: Path, tmp_path: Path) -> None:
    import tomllib

    from tests.support.hostile_files import as_toml, hostile, outcome

    record = tomllib.loads(settings.read_text())
    seen = set()
    for label, data in hostile(record, as_toml, 120, seed=5):
        (tmp_path / "changed.toml").write_bytes(data)
        seen.add(outcome(lambda: read_settings(tmp_path / "changed.toml")))
        assert seen <= {"read", "UsageError"}, label
    assert "UsageError" in seen


def test_a_campaign_is_planned_without_a_host_that_its_files_or_crs_name(settings: Path) -> None:
    text = settings.read_text()
    for old, new in (
        ('files = ["old.tif"]', 'files = ["/vsicurl/http://127.0.0.1:9/a.tif"]'),
        ('product = "block_mean"', 'product = "block_mean"\nassume_crs = "http://127.0.0.1:9/crs"'),
        ('region = "town.geojson"', 'region = "/vsicurl/http://127.0.0.1:9/a.geojson"'),
        ('region = "town.geojson"', 'region = "/dev/zero"'),
        ("tile_m = 1020.0", "tile_m = 500.0\n"),
    ):
        settings.write_text(text.replace(old, new))
        if "tile_m" in old:
            assert len(states_of(*opened(settings))) > 16
            continue
        with pytest.raises(TerrafineError):
            terrafine.plan_campaign(settings)
