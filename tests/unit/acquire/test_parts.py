"""A region that is fetched part by part: what is decided about a scene is the same in every part, order and run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from tests.support.rasters import read_bands
from tests.support.scenes import PISA, add_scene, preset, real_numbers
from tests.support.stac_server import Server

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.fetch import Fetched, fetch_raster
from terrafine.acquire.look import Look
from terrafine.acquire.offset import Decision
from terrafine.acquire.options import FetchOptions
from terrafine.acquire.remote import AssetError
from terrafine.acquire.scene_records import SceneRecords, forget_problems
from terrafine.acquire.service import find_service
from terrafine.errors import EmptyError
from terrafine.workflows.fetch import fetch_requests

BANDS = ("red", "green", "blue", "nir")
OLD, MODERN = {"s2:processing_baseline": "02.04"}, {"s2:processing_baseline": "05.09"}
WRONG = MODERN | {"earthsearch:boa_offset_applied": False}
LEFT, RIGHT, WHOLE = (slice(0, 96), slice(0, 80)), (slice(0, 96), slice(80, 160)), (slice(0, 96), slice(0, 160))


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    return [real_numbers("pisa", date, PISA)[0] for date in (1, 2)]


def grid(part: tuple[slice, slice]) -> Any:
    georeference = real_numbers("pisa", 1, PISA)[1]
    return GeoBox((160, 200), georeference["transform"], georeference["crs"].to_epsg())[part]


def fetched(server: Server, out: Path, part: tuple[slice, slice], records: Path | None, **more: Any) -> Fetched:
    """One part of the ground; `alone` fetches it as a user would."""
    alone, composite = more.pop("alone", False), more.pop("composite", "median")
    options = FetchOptions(timeout_s=120.0, attempts=3, backoff_s=0.0, **more)
    service = preset(server, out.parent)
    request = fetch_requests(
        "sentinel-2", grid=grid(part), dates="2023", service=service, composite=composite, options=options
    )[0]
    return fetch_raster(request if alone else dataclasses.replace(request, part=True, records=records), out)


def add(server: Server, name: str, numbers: np.ndarray, when: str, **more: Any) -> None:
    add_scene(server, name, numbers, real_numbers("pisa", 1, PISA)[1], f"2023-{when}T10:10:00Z", **more)


def offsets_of(made: Fetched) -> dict[str, Any]:
    items = json.loads(made.lineage.read_text())["items"]
    return {item["id"]: (item["offset"]["subtract"], item["offset"]["by"], item["offset"]["warning"]) for item in items}


def half_bright(numbers: np.ndarray) -> np.ndarray:
    """The city, with bright ground alone in its eastern half."""
    return np.where(np.arange(numbers.shape[2]) < 80, numbers, numbers + 2000).astype(np.uint16)


def test_a_wrong_flag_is_overruled_alike_over_dark_and_over_bright_ground(
    server: Server, crops: list[np.ndarray], tmp_path: Path
) -> None:
    add(server, "early", half_bright(crops[0]), "05-01", properties=OLD)
    add(server, "flagged", half_bright(crops[1]), "06-01", properties=WRONG, declared=-0.1)
    made = [
        fetched(server, tmp_path / "right.tif", RIGHT, tmp_path / "scenes"),
        fetched(server, tmp_path / "left.tif", LEFT, tmp_path / "scenes"),
        fetched(server, tmp_path / "other.tif", RIGHT, tmp_path / "elsewhere"),
        fetched(server, tmp_path / "alone.tif", RIGHT, None, alone=True),
    ]
    assert offsets_of(made[0])["flagged"][:2] == (0.0, "values")
    for other in made:
        assert offsets_of(other) == offsets_of(made[0])
        assert any("flagged: 0 is subtracted, by values" in note for note in other.notes)
        assert other.offset_tags["OFFSET_CONTRADICTED"] == "flagged"
    expected = (half_bright(crops[0]) + half_bright(crops[1]).astype(np.float32))[0][RIGHT] / 2e4
    np.testing.assert_allclose(read_bands(made[0].path)[0]["red"], expected, atol=1e-4)


@pytest.mark.parametrize("composite", ["median", "geomedian", "best-clear"])
def test_parts_join_to_what_the_whole_is(
    server: Server, crops: list[np.ndarray], tmp_path: Path, composite: str
) -> None:
    """Clouds are uneven, so each part alone would rank, or leave out, scenes in its own way."""
    west = (slice(0, 160), slice(0, 85))
    add(server, "hardly", crops[0], "04-01", properties=OLD, cloud=(slice(0, 160), slice(4, 200)))
    add(server, "east", crops[0], "05-01", properties=OLD, cloud=west)
    add(server, "offset", crops[1], "06-01", properties=MODERN, offset=1000, cloud=(slice(20, 60), slice(60, 150)))
    records = tmp_path / "scenes"
    parts = [
        read_bands(fetched(server, tmp_path / f"{n}.tif", part, records, composite=composite, min_clear=0.1).path)[0]
        for n, part in enumerate((WHOLE, RIGHT, LEFT))
    ]
    for band, whole in parts[0].items():
        np.testing.assert_array_equal(np.hstack([parts[2][band], parts[1][band]]), whole)
    assert set(np.unique(parts[0]["clear_count"])) == {0.0, 1.0, 2.0}


def test_a_part_under_cloud_is_empty_though_its_scene_is_used_elsewhere(
    server: Server, crops: list[np.ndarray], tmp_path: Path
) -> None:
    add(server, "half", crops[0], "05-01", properties=OLD, cloud=(slice(0, 160), slice(78, 200)))
    fetched(server, tmp_path / "left.tif", LEFT, tmp_path / "scenes")
    with pytest.raises(EmptyError, match="all cloud"):
        fetched(server, tmp_path / "right.tif", RIGHT, tmp_path / "scenes")


def test_a_desert_scene_is_decided_from_other_dates_that_the_part_does_not_fetch(
    server: Server, crops: list[np.ndarray], tmp_path: Path
) -> None:
    bright = (crops[0] + 2000).astype(np.uint16)
    for month in ("02", "03", "09"):
        add(server, f"plain-{month}", bright, f"{month}-01", properties=OLD)
    add(server, "flagged", bright, "05-01", properties=WRONG, declared=-0.1)
    service = preset(server, tmp_path)
    few = FetchOptions(max_scenes=4)
    for n, dates in enumerate(("2023-05", "2023")):
        request = fetch_requests("sentinel-2", grid=grid(LEFT), dates=dates, service=service, options=few)[0]
        made = fetch_raster(
            dataclasses.replace(request, part=True, records=tmp_path / f"scenes{n}"), tmp_path / "m.tif"
        )
        assert offsets_of(made)["flagged"][:2] == (0.0, "values"), made.lineage.read_text()


def test_metadata_that_contradict_each_other_leave_a_desert_scene_out(
    server: Server, crops: list[np.ndarray], tmp_path: Path
) -> None:
    bright = (crops[0] + 2000).astype(np.uint16)
    add(server, "odd", bright, "05-01", properties=OLD, declared=-0.1)
    with pytest.raises(EmptyError, match=r"offset is not identifiable.*offset="):
        fetched(server, tmp_path / "part.tif", LEFT, tmp_path / "scenes")
    made = fetched(server, tmp_path / "stated.tif", LEFT, tmp_path / "scenes", offset="none")
    assert offsets_of(made)["odd"][:2] == (0.0, "stated")


def scene(**properties: Any) -> Scene:
    return Scene(
        {"id": "x", "bbox": [0, 0, 1, 1], "properties": {"datetime": "2023-06-01", **properties}, "assets": {}}
    )


def records(folder: Path | None) -> SceneRecords:
    service = find_service("earth-search")
    return SceneRecords(service.url, service.collections["sentinel-2"], folder)


def test_what_was_found_first_stays_for_all_who_come_later(tmp_path: Path) -> None:
    first, second, alone = records(tmp_path / "s"), records(tmp_path / "s"), records(None)
    for kept in (first, alone):
        assert kept.look(scene(), lambda: Look(0.5, 10)) == Look(0.5, 10)
        assert kept.look(scene(), lambda: Look(0.9, 20)) == Look(0.5, 10)
    assert second.look(scene(), lambda: Look(0.9, 20)) == Look(0.5, 10)
    assert second.look(scene(changed=True), lambda: Look(0.9, 20)) == Look(0.9, 20)
    kept = Decision(0.0, "values", "seen", checked=True)
    assert first.decision(scene(), lambda: kept) == kept
    assert second.decision(scene(), lambda: Decision(1000.0, "date", "late")) == kept


def test_a_scene_that_could_not_be_looked_at_is_tried_again_in_the_next_run(tmp_path: Path) -> None:
    def fails() -> Look:
        raise AssetError("x: is damaged")

    with pytest.raises(AssetError, match="damaged"):
        records(tmp_path / "s").look(scene(), fails)
    with pytest.raises(AssetError, match="damaged"):
        records(tmp_path / "s").look(scene(), lambda: Look(0.5))
    forget_problems(tmp_path / "s")
    assert records(tmp_path / "s").look(scene(), lambda: Look(0.5)) == Look(0.5)
    forget_problems(tmp_path / "absent")


def test_a_record_that_is_none_is_made_again(tmp_path: Path) -> None:
    records(tmp_path / "s").look(scene(), lambda: Look(0.5))
    path = next((tmp_path / "s").glob("*.json"))
    good = json.loads(path.read_text())
    for text in ("", "[]", "{", '{"item": 3}', *(json.dumps(good | {"look": v}) for v in (3, {}, {"clear": "much"}))):
        path.write_text(text)
        assert records(tmp_path / "s").look(scene(), lambda: Look(0.7)) == Look(0.7)
