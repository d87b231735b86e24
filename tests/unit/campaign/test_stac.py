"""Campaigns from a real STAC API on loopback, over real Sentinel-2 that is laid across the border of two UTM zones."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject
from tests.support.campaigns import dies_once, opened, pixels_of, write_region
from tests.support.cli import terrafine as run_cli
from tests.support.clusters import Cluster
from tests.support.scenes import PISA, TRUTH, add_scene, preset, real_numbers
from tests.support.stac_server import Server, serve

import terrafine
from terrafine.campaign.execute import run_units
from terrafine.campaign.folder import DONE, EMPTY, FAILED
from terrafine.errors import DiskError, GridError, IncompleteError, SourceError, UsageError

pytest.importorskip("stac_fastapi.api")

TOWN = (11.9945, 45.0075, 12.0055, 45.0118)
"""West, south, east and north: 0.87 × 0.48 km across 12° E."""
NORTHWEST = (11.9855, 45.0205)  # corner of the scenes
EPOCHS = {"2019": "2019-04/2019-10", "2023": "2023-04/2023-10"}
CLOUDS = {"2019": (slice(20, 90), slice(50, 120)), "2023": (slice(80, 140), slice(60, 160))}
OLD, MODERN = {"s2:processing_baseline": "02.04"}, {"s2:processing_baseline": "05.09"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not TRUTH.is_dir():
        pytest.skip("the Sentinel-2 scenes are not there: set TERRAFINE_DATA")
    with serve(tmp_path_factory.mktemp("stac")) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.clear()
    return running


def placed(epsg: int) -> dict[str, Any]:
    """Where the crop lies, in a UTM zone."""
    east, north = Transformer.from_crs(4326, epsg, always_xy=True).transform(*NORTHWEST)
    transform = Affine(10, 0, round(east, -1), 0, -10, round(north, -1))
    return {"crs": CRS.from_epsg(epsg), "transform": transform}


def crops() -> list[np.ndarray]:
    """Pisa at two dates."""
    return [real_numbers("pisa", date, PISA)[0] for date in (1, 2)]


def warped(numbers: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """The same ground as a scene of the eastern zone."""
    west, east = placed(32632), placed(32633)
    out = np.zeros((4, 175, 215), np.uint16)
    given = {"src_transform": west["transform"], "src_crs": west["crs"], "src_nodata": 0, "dst_nodata": 0}
    reproject(
        numbers, out, dst_transform=east["transform"], dst_crs=east["crs"], resampling=Resampling.nearest, **given
    )
    return out, east


def offer(server: Server, *, flagged: bool = False) -> None:
    """Two scenes for each epoch: of the western zone, and of the eastern one with a cloud, perhaps flagged wrongly."""
    for (epoch, cloud), numbers in zip(CLOUDS.items(), crops(), strict=True):
        add_scene(server, f"west-{epoch}", numbers, placed(32632), f"{epoch}-06-01T10:10:00Z", properties=OLD)
        there, place = warped(numbers)
        wrong: dict[str, Any] = {"earthsearch:boa_offset_applied": False} if flagged else {}
        add_scene(
            server,
            f"east-{epoch}",
            there,
            place,
            f"{epoch}-07-01T10:10:00Z",
            properties=(MODERN if flagged else OLD) | wrong,
            declared=-0.1 if flagged else None,
            cloud=cloud,
        )


def settings(server: Server, folder: Path, *, more: str = "", model: str = "citymap", **source: str) -> Path:
    """A map campaign of two epochs."""
    folder.mkdir(exist_ok=True)
    service = preset(server, folder, source.pop("service", ""))
    write_region(folder / "town.geojson", TOWN)
    text = f'name = "town"\nregion = "town.geojson"\n[model]\nverb = "map"\nname = "{model}"\n'
    text += "[grid]\ntile_m = 640.0\nhalo_m = 240.0\n"
    text += f'[source]\nkind = "stac"\nservice = "{service.name}"\n{more}[run]\ndevice = "cpu"\nthreads = 1\n'
    for name, dates in EPOCHS.items():
        text += f'[[epochs]]\nname = "{name}"\ndates = "{source.get(f"dates_{name}", dates)}"\n'
    path = folder / "town.toml"
    path.write_text(text)
    return path


def test_a_tile_is_fetched_mapped_and_published_with_its_items(server: Server, tmp_path: Path) -> None:
    offer(server)
    path = settings(server, tmp_path)
    plan, folder = opened(path)
    assert {t.name[:3] for t in plan.tiles} == {"32N", "33N"}
    assert server.requests("/") == 0
    unit = next(u for u in plan.units() if u.tile.epsg == 32633)
    ended = run_units(plan, folder, [unit])
    assert (ended.done, ended.failed) == (1, [])
    record = folder.state(plan, unit).record
    assert [item["id"] for item in record["inputs"]["items"]] == ["west-2019", "east-2019"]
    assert all(len(item["pixels_sha256"]) == 64 for item in record["inputs"]["items"])
    assert record["inputs"]["licence"] == "Copernicus Sentinel data, free and open"
    assert not any(str(tmp_path) in note for note in record["notes"])
    with rasterio.open(folder.tile(plan, unit)) as file:
        assert (file.crs.to_epsg(), file.res, file.shape) == (32633, (1.0, 1.0), (640, 640))
        assert file.tags(ns="TERRAFINE")["SCENES"] == "west-2019, east-2019"
    made = terrafine.publish_campaign(path, partial=True)
    item = json.loads(next((made.collection.parent / "items").rglob("*.json")).read_text())
    assert "west-2019, east-2019" in item["properties"]["processing:lineage"]


@pytest.mark.long
def test_a_disturbed_run_gives_the_product_of_an_undisturbed_one(server: Server, tmp_path: Path) -> None:
    """Items that cannot be read, a wrong flag, expired signatures, a slow server and a killed worker change nothing."""
    offer(server)
    calm = settings(server, tmp_path / "calm")
    assert terrafine.run_campaign(calm).complete
    server.clear()
    offer(server, flagged=True)
    numbers = crops()[0]
    for number, name in enumerate(("missing", "corrupt")):
        add_scene(server, name, numbers, placed(32632), f"2019-08-0{number + 1}T10:10:00Z", properties=OLD)
        path = server.folder / server.places[name] / "red.tif"
        if name == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:3000])
    for name in ("west-2019/red.tif", "east-2023/scl.tif"):
        server.fault(name, wait_s=0.5, times=4)
    server.fault("west-2023/nir.tif", status=500, times=2)
    server.fault("search", status=503, times=1)
    server.sign(life_s=3600.0)
    signed = f'signing = "sas"\ntoken_url = "{server.url}/token/{{collection}}"'
    rough = settings(server, tmp_path / "rough", service=signed)
    plan, folder = opened(rough)
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", workers=2)
    stop = threading.Event()

    def expire() -> None:
        for _ in range(3):
            if not stop.wait(10.0):
                server.expire()

    expiring = threading.Thread(target=expire)
    try:
        cluster.wait(2)
        expiring.start()
        ended = run_units(plan, folder, list(plan.units()), dask=cluster.address, work=dies_once, retries=3)
    finally:
        stop.set()
        cluster.close()
    expiring.join()
    assert ended.failed == []
    assert (folder.path / "work" / "scars").exists()  # a worker was killed
    # The digest of the composite differs, because its lineage names the wrong flag, and so do the offset's own tags.
    unlike = ("SOURCE_SHA256", "OFFSET_SUBTRACTED", "OFFSET_CONTRADICTED")
    made, meant = pixels_of(folder.path, unlike), pixels_of(calm.with_suffix(""), unlike)
    assert len(meant) == len(plan)
    assert made == meant
    overruled = {
        file.tags(ns="TERRAFINE").get("OFFSET_CONTRADICTED")
        for path in (folder.path / "tiles" / "2019").rglob("*.tif")
        if (file := rasterio.open(path))
    }
    assert overruled == {"east-2019"}
    assert [note.partition(":")[0] for note in terrafine.campaign_status(rough).notes] == ["east-2019", "east-2023"]
    records = [json.loads(p.read_text()) for p in (folder.path / "tiles" / "2019").rglob("*.json")]
    noted = " ".join(note for record in records for note in record["notes"])
    assert "missing: left out" in noted and "corrupt: left out" in noted


@pytest.mark.long
def test_tiles_without_a_clear_view_are_holes_and_a_later_scene_fills_them(server: Server, tmp_path: Path) -> None:
    offer(server)
    server.clear()
    numbers = crops()
    everywhere = (slice(0, 200), slice(0, 200))
    add_scene(server, "west-2019", numbers[0], placed(32632), "2019-06-01T10:10:00Z", properties=OLD)
    add_scene(server, "cloudy", numbers[1], placed(32632), "2023-06-01T10:10:00Z", properties=OLD, cloud=everywhere)
    path = settings(server, tmp_path)
    with pytest.raises(IncompleteError, match="empty"):
        terrafine.run_campaign(path)
    status = terrafine.campaign_status(path)
    assert status.counts["2019"] == {DONE: status.tiles} and status.counts["2023"] == {EMPTY: status.tiles}
    assert all(hole.reason for hole in status.holes)
    shown = run_cli("campaign", "status", path)
    assert shown.exit_code == 19 and "all cloud" in shown.output
    add_scene(server, "clear", numbers[1], placed(32632), "2023-08-01T10:10:00Z", properties=OLD)
    assert terrafine.retry_campaign(path).complete


@pytest.mark.long
def test_an_epoch_without_items_and_a_service_that_fails_are_listed(server: Server, tmp_path: Path) -> None:
    offer(server)
    path = settings(server, tmp_path, dates_2019="2018-01/2018-02")
    name = opened(path)[0].tiles[0].name
    with pytest.raises(IncompleteError, match=r"empty, .*no scene"):
        terrafine.run_campaign(path, epochs=["2019"], tiles=[name])
    server.fault("search", status=503)
    path.write_text(path.read_text().replace("threads = 1", "threads = 1\nretries = 0"))
    with pytest.raises(IncompleteError, match="failed"):
        terrafine.run_campaign(path, epochs=["2023"], tiles=[name])
    assert terrafine.campaign_status(path).total(FAILED) == 1


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ('{"type": "FeatureCollection", "features": []}', SourceError, "town.geojson"),
        ("not json", SourceError, "town.geojson"),
        ('{"type": "Point", "coordinates": [12, 45]}', (SourceError, GridError), "town.geojson"),
        (
            '{"type": "Polygon", "coordinates": [[[500000, 5000000], [501000, 5000000], [501000, 5001000],'
            " [500000, 5000000]]]}",
            (SourceError, GridError),
            "town.geojson",
        ),
        (
            '{"type": "Polygon", "coordinates": [[[12, 85], [12.1, 85], [12.1, 85.1], [12, 85]]]}',
            GridError,
            "84",
        ),
    ],
    ids=["no polygons", "no GeoJSON", "a point", "metres", "the pole"],
)
def test_a_region_that_is_none_is_refused_before_a_request(
    server: Server, tmp_path: Path, shape: str, error: Any, message: str
) -> None:
    path = settings(server, tmp_path)
    (tmp_path / "town.geojson").write_text(shape)
    with pytest.raises(error, match=message):
        terrafine.run_campaign(path)
    assert server.requests("/") == 0 and not path.with_suffix("").exists()


def test_a_region_may_be_a_bare_polygon(server: Server, tmp_path: Path) -> None:
    path = settings(server, tmp_path)
    west, south, east, north = TOWN
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    made = terrafine.plan_campaign(path)
    for shape in (polygon, {"type": "Feature", "properties": None, "geometry": polygon}):
        (tmp_path / "town.geojson").write_text(json.dumps(shape))
        assert terrafine.plan_campaign(path).tiles == made.tiles


def test_a_region_across_the_antimeridian_has_tiles_on_both_sides(server: Server, tmp_path: Path) -> None:
    path = settings(server, tmp_path)
    write_region(tmp_path / "town.geojson", (179.99, -16.51, 180.01, -16.5))
    made = terrafine.plan_campaign(path)
    assert set(made.tiles) == {"01S", "60S"} and made.area_km2 < 3


def test_an_area_too_large_for_the_disk_is_refused_before_a_request(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings(server, tmp_path)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match="tiles need about"):
        terrafine.run_campaign(path)
    assert server.requests("/") == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('collection = "modis"\n', "no collection"),
        ('composite = "first"\n', "geomedian"),
        ("max_cloud = 120.0\n", "max_cloud"),
    ],
)
def test_a_source_that_cannot_be_is_refused_before_a_request(
    server: Server, tmp_path: Path, more: str, message: str
) -> None:
    path = settings(server, tmp_path, more=more)
    with pytest.raises(UsageError, match=message):
        terrafine.run_campaign(path)
    path = settings(server, tmp_path)
    path.write_text(path.read_text() + 'files = ["a.tif"]\n')
    with pytest.raises(UsageError, match="beside"):
        terrafine.run_campaign(path)
    assert server.requests("/") == 0


@pytest.mark.long
def test_a_scene_of_a_wrongly_stated_zone_is_left_out(server: Server, tmp_path: Path) -> None:
    offer(server)
    item = add_scene(server, "wrong", crops()[0], placed(32632), "2019-08-01T10:10:00Z", properties=OLD)
    item["properties"]["proj:epsg"] = 32631
    server.add(item)
    path = settings(server, tmp_path)
    plan, folder = opened(path)
    unit = next(plan.units())
    assert run_units(plan, folder, [unit]).done == 1
    record = folder.state(plan, unit).record
    assert any(note.startswith("wrong: left out") for note in record["notes"])
