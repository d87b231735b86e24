"""A campaign's units: each is done once, a failure is tried again and then listed, and nothing is lost."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.support.campaigns import opened, product_of, stub, write_campaign, write_region, write_terrain
from tests.support.cli import terrafine as run_cli

import terrafine
from terrafine.campaign import execute
from terrafine.campaign.execute import run_remotely, run_units
from terrafine.campaign.folder import DONE, EMPTY, FAILED, PENDING, STALE, Folder
from terrafine.campaign.plan import make_plan
from terrafine.campaign.settings import read_settings
from terrafine.campaign.status import states_of, status_of
from terrafine.errors import EmptyError, GridError, IncompleteError, JobError, NetworkError, SourceError, UsageError


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_campaign(tmp_path)


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "run_unit", stub)


def counts(settings: Path) -> dict[str, int]:
    status = terrafine.campaign_status(settings)
    return {s: n for s in (DONE, EMPTY, FAILED, PENDING, STALE) if (n := status.total(s))}


def test_units_are_tiles_times_epochs_with_keys_of_their_own(settings: Path) -> None:
    plan, _ = opened(settings)
    units = list(plan.units())
    assert len(units) == len(plan) == 2 * len(plan.tiles) == 16
    assert len({u.key for u in units}) == 16
    assert {t.name[:3] for t in plan.tiles} == {"32N", "33N"}


def test_a_key_depends_on_settings_inputs_and_epoch_of_its_own_alone(settings: Path) -> None:
    def keys() -> dict[tuple[int, str], str]:
        return {(u.epoch, u.tile.name): u.key for u in make_plan(read_settings(settings)).units()}

    before = keys()
    assert keys() == before
    write_terrain(settings.with_name("new.tif"), lift=3.0)
    changed = {k for k, v in keys().items() if before[k] != v}
    assert changed == {k for k in before if k[0] == 1}
    before = keys()
    settings.write_text(settings.read_text().replace("scale = 2", "scale = 3"))
    assert all(before[k] != v for k, v in keys().items())
    before = keys()
    settings.write_text(settings.read_text().replace("retries = 1", "retries = 5"))
    assert keys() == before


def test_finished_units_are_left_alone_and_damaged_ones_run_again(settings: Path, stubbed: None) -> None:
    assert counts(settings) == {PENDING: 16}
    status = terrafine.run_campaign(settings, epochs=["old"])
    assert counts(settings) == {DONE: 8, PENDING: 8}
    assert status.total(DONE) == 8 and not status.complete
    first = sorted((settings.with_suffix("") / "tiles").rglob("*.tif"))[0]
    before = first.stat().st_mtime_ns
    assert terrafine.run_campaign(settings).complete
    assert first.stat().st_mtime_ns == before
    first.write_bytes(first.read_bytes()[:-1])
    assert counts(settings) == {DONE: 15, STALE: 1}
    terrafine.run_campaign(settings)
    whole = first.read_bytes()
    first.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])  # same size, other content
    assert terrafine.run_campaign(settings).complete and first.read_bytes() != whole
    assert terrafine.run_campaign(settings, verify=True).complete and first.read_bytes() == whole


def test_a_failing_tile_is_tried_again_then_listed_and_the_others_are_done(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def work(plan: Any, folder: Path, unit: Any, threads: int | None) -> Any:
        if unit.tile.name == "32N-0720-4890" and unit.epoch == 1:
            tries.append(unit.tile.name)
            raise SourceError("scene.jp2: cut short")
        return stub(plan, folder, unit)

    monkeypatch.setattr(execute, "run_unit", work)
    with pytest.raises(IncompleteError, match=r"1 of 16 tiles.*\n.*32N-0720-4890: failed, SourceError: scene\.jp2"):
        terrafine.run_campaign(settings)
    assert len(tries) == 2  # retries = 1
    assert counts(settings) == {DONE: 15, FAILED: 1}
    with pytest.raises(IncompleteError):
        terrafine.retry_campaign(settings)
    monkeypatch.setattr(execute, "run_unit", stub)
    assert terrafine.retry_campaign(settings).complete
    assert counts(settings) == {DONE: 16}


def _refused(*_: Any) -> Any:
    """An error whose cause is one of GDAL's, as of a server that refuses: that one can be pickled, but not read."""
    from rasterio._err import CPLE_HttpResponseError

    try:
        raise CPLE_HttpResponseError(1, 11, "HTTP response code: 403")
    except CPLE_HttpResponseError as error:
        raise NetworkError("scene.tif: the server refused it") from error


def _breaks(*_: Any) -> Any:
    raise KeyError("band")


def test_an_error_of_a_worker_comes_without_what_caused_it(settings: Path) -> None:
    tblib = pytest.importorskip("tblib.pickling_support")
    plan, folder = opened(settings)
    unit = next(plan.units())
    with pytest.raises(NetworkError, match="refused") as found:
        _refused()
    tblib.install(found.value)
    with pytest.raises(AttributeError):
        pickle.loads(pickle.dumps(found.value))
    with pytest.raises(NetworkError, match="refused") as sent:
        run_remotely(_refused, plan, folder.path, unit)
    assert sent.value.__cause__ is None and sent.value.__context__ is None
    assert str(pickle.loads(pickle.dumps(sent.value))) == "scene.tif: the server refused it"
    with pytest.raises(RuntimeError, match="KeyError: 'band'"):
        run_remotely(_breaks, plan, folder.path, unit)


@pytest.mark.long
def test_a_campaign_on_a_cluster_lists_what_its_workers_raise(settings: Path) -> None:
    distributed = pytest.importorskip("distributed")
    plan, folder = opened(settings)
    units = list(plan.units())[:2]
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        failed = run_units(plan, folder, units, dask=client, work=_refused, retries=1)
        assert [message for _, message in failed.failed] == ["scene.tif: the server refused it"] * 2
        assert failed.retried == 2
        done = run_units(plan, folder, units, dask=client)
    alone = Folder(settings.with_name("alone"))
    alone.prepare()
    run_units(plan, alone, units)
    assert done.done == 2 and product_of(folder.path) == product_of(alone.path)


def test_a_run_in_which_nothing_succeeds_is_stopped(settings: Path) -> None:
    plan, folder = opened(settings)

    def work(*_: Any) -> Any:
        raise SourceError("x.tif: no such bucket")

    with pytest.raises(JobError, match=r"the first 12 tiles all failed for one reason.*no such bucket"):
        run_units(plan, folder, list(plan.units()), retries=0, work=work)


def test_a_tile_without_an_observation_is_a_hole_unless_that_is_allowed(settings: Path) -> None:
    terrain = settings.with_name("new.tif")
    write_terrain(terrain, box=(12.03, 45.005, 12.06, 45.018))  # does not reach the west of the region
    plan, _ = opened(settings)
    near = [u for u in plan.units() if u.epoch == 1 and not u.scenes]
    assert near
    name = near[0].tile.name
    with pytest.raises(IncompleteError, match=f"{name}: empty, no DEM of epoch new"):
        terrafine.run_campaign(settings, epochs=["new"], tiles=[name])
    assert counts(settings)[EMPTY] == 1
    settings.write_text(settings.read_text().replace("[source]", "[source]\nempty_allowed = true"))
    assert terrafine.run_campaign(settings, epochs=["new"], tiles=[name]).total(EMPTY) == 1


def test_one_process_runs_a_campaign_at_a_time(settings: Path, stubbed: None) -> None:
    _, folder = opened(settings)
    with folder.locked(), pytest.raises(JobError, match="in use by process"):
        terrafine.run_campaign(settings)


def test_a_folder_of_other_things_is_refused(settings: Path) -> None:
    settings.with_suffix("").mkdir()
    (settings.with_suffix("") / "thesis.docx").touch()
    with pytest.raises(JobError, match=r"thesis\.docx"):
        terrafine.run_campaign(settings)


@pytest.mark.parametrize(("box", "message"), [((5.0, 45.0, 5.1, 45.1), "none of 1 scenes"), ((0, 85, 1, 86), "84")])
def test_a_region_that_cannot_serve_is_refused_before_the_run(settings: Path, box: Any, message: str) -> None:
    write_region(settings.with_name("town.geojson"), box)
    with pytest.raises(GridError, match=message):
        terrafine.run_campaign(settings)
    assert not settings.with_suffix("").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('product = "srtm"', "closest is srtm3"),
        ('sensor = "landsat"', "sensor = 'landsat': expected one of landsat-l1"),
    ],
)
def test_names_of_products_and_sensors_are_checked_before_the_run(settings: Path, line: str, message: str) -> None:
    settings.write_text(settings.read_text().replace('product = "block_mean"', line))
    with pytest.raises(UsageError, match=message):
        terrafine.plan_campaign(settings)


@pytest.mark.parametrize("verb", ["map", "image", "height", "dem"])
def test_the_default_halo_is_as_wide_as_the_models_look(settings: Path, verb: str) -> None:
    text = settings.read_text().replace("halo_m = 300.0\n", "").replace('name = "bicubic"\n', "")
    text = text.replace("scale = 2\n", "").replace('product = "block_mean"\n', "")
    settings.write_text(text.replace('verb = "dem"', f'verb = "{verb}"'))
    assert terrafine.plan_campaign(settings).units > 0
    settings.write_text(settings.read_text().replace("tile_m", "halo_m = 30.0\ntile_m"))
    with pytest.raises(UsageError, match=r"looks \d+ cells around each, so expected at least halo_m"):
        terrafine.plan_campaign(settings)


def test_names_of_tiles_and_epochs_are_checked(settings: Path) -> None:
    with pytest.raises(UsageError, match="no epoch is called 1999; there are new, old"):
        terrafine.run_campaign(settings, epochs=["1999"])
    with pytest.raises(UsageError, match="no tile is called"):
        terrafine.run_campaign(settings, tiles=["32N-1-1"])


def test_a_tile_that_the_dem_covers_in_part_is_nodata_beyond_it(settings: Path) -> None:
    write_terrain(settings.with_name("old.tif"), box=(12.0095, 45.005, 12.015, 45.018))  # reaches 0.02° farther out
    name = "32N-0721-4890"
    terrafine.run_campaign(settings, tiles=[name], epochs=["old"])
    with rasterio.open(settings.with_suffix("") / "tiles" / "old" / "32N" / f"{name}.tif") as file:
        valid = file.read_masks(1) > 0
        assert file.shape == (68, 68)
    assert 0.2 < valid.mean() < 0.95 and not valid[:, 0].any() and valid[:, -1].all()
    beside = "32N-0720-4890"  # its halo reaches the DEM, its core does not
    with pytest.raises(IncompleteError, match=f"{beside}: empty, the sources of old hold no value in the core"):
        terrafine.run_campaign(settings, tiles=[beside], epochs=["old"])
    assert not (settings.with_suffix("") / "tiles" / "old" / "32N" / f"{beside}.tif").exists()


def test_the_tiles_of_a_dem_join_without_a_seam_and_equal_the_whole(settings: Path) -> None:
    names = ["32N-0720-4890", "32N-0721-4890"]
    terrafine.run_campaign(settings, tiles=names, epochs=["old"])
    files = [settings.with_suffix("") / "tiles" / "old" / "32N" / f"{n}.tif" for n in names]
    with rasterio.open(files[0]) as a, rasterio.open(files[1]) as b:
        assert (a.shape, a.res, a.bounds.right, a.crs.to_epsg()) == ((68, 68), (15.0, 15.0), b.bounds.left, 32632)
        left, right, tags = a.read(1), b.read(1), a.tags(ns="TERRAFINE")
        box = (a.bounds.left, a.bounds.bottom, b.bounds.right, a.bounds.top)
    whole = settings.with_name("whole.tif")
    terrafine.sharpen_dem(
        settings.with_name("old.tif"),
        whole,
        scale=2,
        model="bicubic",
        product="block_mean",
        target_resolution=(15.0, 15.0),
        target_crs="EPSG:32632",
    )
    with rasterio.open(whole) as file:
        meant = file.read(1, window=rasterio.windows.from_bounds(*box, file.transform).round_offsets())
    joined = np.hstack([left, right])
    assert np.abs(joined - meant[: joined.shape[0], : joined.shape[1]]).max() < 0.02
    assert (tags["TILE"], tags["EPOCH"], tags["SCENES"]) == (names[0], "old", "old.tif")


def test_tiles_that_were_read_as_different_products_are_noted(settings: Path) -> None:
    plan, folder = opened(settings)
    units = [u for u in plan.units() if plan.settings.epochs[u.epoch].name == "old"][:3]
    inputs = ({"product": "srtm1", "product_how": "stated"}, {"product": "unknown", "product_how": "sigma 1 m"})
    for unit, found in zip(units, (inputs[0], inputs[1], inputs[1]), strict=True):
        stub(plan, folder.path, unit)
        record = folder.state(plan, unit).record
        folder.finish(plan, unit, {"empty": False, "files": record["files"], "inputs": found})
    (note,) = status_of(plan, states_of(plan, folder)).notes
    assert "srtm1, stated in 1 tiles; unknown, sigma 1 m in 2 tiles" in note and "[source]" in note
    folder.forget(plan, units[0])
    assert status_of(plan, states_of(plan, folder)).notes == ()


def test_a_stopped_unit_leaves_nothing_that_counts(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, folder = opened(settings)
    unit = next(plan.units())

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("terrafine.campaign.unit._publish", stop)
    with pytest.raises(KeyboardInterrupt):
        run_units(plan, folder, [unit])
    assert folder.state(plan, unit).name == PENDING
    assert list((folder.path / "work").iterdir()) == []
    monkeypatch.undo()
    assert run_units(plan, folder, [unit]).done == 1
    assert folder.state(plan, unit).name == DONE
    assert product_of(folder.path)


def test_a_record_that_is_no_record_counts_as_none(settings: Path, stubbed: None) -> None:
    terrafine.run_campaign(settings, epochs=["old"])
    record = sorted((settings.with_suffix("") / "tiles").rglob("*.json"))[0]
    for text in ("", "[]", '{"format": 1, "key": 3}', json.dumps({"format": 99})):
        record.write_text(text)
        plan, folder = opened(settings)
        assert status_of(plan, states_of(plan, folder)).total(DONE) == 7


def test_the_command_line_prints_the_status_and_its_exit_code(settings: Path, stubbed: None) -> None:
    planned = run_cli("campaign", "plan", settings.with_suffix(""))
    assert planned.exit_code == 0 and "8 tiles (32N 4, 33N 4)" in planned.output
    done = run_cli("campaign", "run", settings)
    assert done.exit_code == 0 and "old: 8 done" in done.output
    plan, folder = opened(settings)
    unit = next(plan.units())
    folder.forget(plan, unit)
    folder.fail(plan, unit, EmptyError("nothing"), 3)
    found = run_cli("campaign", "status", settings)
    assert found.exit_code == 19 and "failed, EmptyError: nothing" in found.output
    as_json = run_cli("campaign", "status", settings, "--json")
    record = json.loads(as_json.stdout)
    assert as_json.exit_code == 19 and record["complete"] is False
    assert record["holes"] == [
        {"tile": unit.tile.name, "epoch": "old", "state": "failed", "reason": "EmptyError: nothing"}
    ]
    assert record["counts"]["old"] == {"failed": 1, "done": 7}
