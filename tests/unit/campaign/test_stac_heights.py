"""Campaigns of `dem` from a STAC API on loopback: a real DEM in two items, its window fetched tile by tile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window
from tests.support.campaigns import opened, write_region
from tests.support.paths import DATA
from tests.support.scenes import make_item, preset, write_asset
from tests.support.stac_server import Server, serve
from tests.support.weights import write_weights

import terrafine
from terrafine.campaign.execute import run_units
from terrafine.campaign.inputs import gather
from terrafine.errors import IncompleteError, SourceError, UsageError
from terrafine.raster.area import grid_area
from terrafine.workflows.options import TargetGrid

pytest.importorskip("stac_fastapi.api")

TERRAIN = DATA / "dem" / "test" / "srtm3_n49e011.tif"
CUT = (470, 470, 220, 200)  # column, row, width and height of the part that is offered, in two items
TOWN = (11.470, 49.510, 11.500, 49.522)
"""West, south, east and north: 2.2 × 1.3 km across the border of the items at 11.4833."""
COLLECTIONS = """
[collections.srtm3]
id = "srtm-gl3"
kind = "dem"
product = "srtm3"
datum = "EGM96"
surface = "DSM"
licence = "public domain"
cell_m = 90.0
assets = { elevation = "data" }

[collections.yearly]
id = "srtm-gl3"
kind = "dem"
dated = true
product = "srtm3"
datum = "EGM96"
licence = "public domain"
cell_m = 90.0
assets = { elevation = "data" }

[collections.radar]
id = "s1-grid"
kind = "sentinel-1-grd"
licence = "free"
cell_m = 22.5
db = true
assets = { vv = "vv" }

[collections.rtc]
id = "sentinel-1-rtc"
kind = "sentinel-1-rtc"
licence = "CC BY 4.0"
assets = { vv = "vv" }
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not TERRAIN.is_file():
        pytest.skip("the SRTM tile is not there: set TERRAFINE_DATA")
    with serve(tmp_path_factory.mktemp("stac")) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.clear()
    return running


def add(server: Server, name: str, collection: str, asset: str, values: np.ndarray, where: Any, **more: Any) -> None:
    """An item of one asset."""
    folder = server.place(name)
    write_asset(folder / f"{asset}.tif", values, where, nodata=-32768 if asset == "data" else None)
    assets = {asset: {"href": f"{server.url}/files/{folder.name}/{asset}.tif"}}
    when = more.pop("when", "2000-02-16T00:00:00Z")
    server.add(make_item(name, collection, when, values.shape, where, assets, {"eo:cloud_cover": None, **more}))


def offer(server: Server, *, lift: int = 0, when: str = "2000-02-16T00:00:00Z") -> None:
    """The western and the eastern half of the terrain."""
    col, row, width, height = CUT
    with rasterio.open(TERRAIN) as file:
        for name, left in (("west", 0), ("east", width // 2)):
            window = Window(col + left, row, width // 2, height)
            where = {"crs": file.crs, "transform": file.window_transform(window)}
            values = file.read(1, window=window)
            values = np.where(values == -32768, values, values + lift).astype(np.int16)
            add(server, f"{name}{when[:4]}", "srtm-gl3", "data", values, where, when=when)


def settings(server: Server, folder: Path, *, model: str = "bicubic", more: str = "", options: str = "") -> Path:
    """A campaign of one epoch over four tiles or so."""
    service = preset(server, folder, collection=COLLECTIONS)
    write_region(folder / "town.geojson", TOWN)
    source = more if "collection" in more else f'collection = "srtm3"\n{more}'
    text = f"""name = "hills"
region = "town.geojson"
[model]
verb = "dem"
name = "{model}"
[model.options]
scale = 4
{options}[grid]
resolution_m = 90.0
tile_m = 1440.0
halo_m = 2160.0
[source]
kind = "stac"
service = "{service.name}"
{source}[run]
device = "cpu"
threads = 1
retries = 0
[[epochs]]
name = "a"
dates = "2015"
"""
    path = folder / "hills.toml"
    path.write_text(text)
    return path


def test_each_tile_is_what_fetch_and_dem_make_of_its_window(server: Server, tmp_path: Path) -> None:
    offer(server)
    path = settings(server, tmp_path)
    plan, folder = opened(path)
    assert server.requests("/") == 0 and len(plan.tiles) >= 4
    assert terrafine.run_campaign(path).complete
    for unit in list(plan.units())[:3]:
        record = folder.state(plan, unit).record
        assert {item["id"] for item in record["inputs"]["items"]} <= {"west2000", "east2000"}
        assert (record["inputs"]["product"], record["inputs"]["licence"]) == ("srtm3", "public domain")
        box = grid_area(plan.lattice.with_halo(unit.tile).pad(16))
        window = terrafine.fetch("srtm3", tmp_path / "window.tif", aoi=box, service=tmp_path / "local.toml")[0]
        with rasterio.open(window.path) as file, rasterio.open(TERRAIN) as whole:
            part = rasterio.windows.from_bounds(*file.bounds, whole.transform).round_offsets().round_lengths()
            stored = whole.read(1, window=part)
            np.testing.assert_array_equal(file.read(1), np.where(stored == -32768, -9999.0, stored))
        target = TargetGrid((22.5, 22.5), f"EPSG:{unit.tile.epsg}", snapped=True)
        alone = terrafine.sharpen_dem(window.path, tmp_path / "alone.tif", scale=4, model="bicubic", target=target)
        with rasterio.open(folder.tile(plan, unit)) as tile, rasterio.open(alone) as meant:
            assert (tile.shape, tile.crs, tile.res) == ((64, 64), meant.crs, (22.5, 22.5))
            part = rasterio.windows.from_bounds(*tile.bounds, meant.transform).round_offsets().round_lengths()
            np.testing.assert_array_equal(tile.read(1), meant.read(1, window=part))
            tags, plain = tile.tags(ns="TERRAFINE"), meant.tags(ns="TERRAFINE")
            assert tags["PRODUCT"].startswith("srtm3") and tags["PRODUCT"] == plain["PRODUCT"]
            assert tags["VERTICAL_DATUM"] == plain["VERTICAL_DATUM"] == "EGM96"
            assert set(tags["SCENES"].split(", ")) <= {"west2000", "east2000"}
        window.path.unlink()
        alone.unlink()


def test_tiles_join_without_a_seam(server: Server, tmp_path: Path) -> None:
    offer(server)
    path = settings(server, tmp_path)
    terrafine.run_campaign(path)
    made = terrafine.publish_campaign(path)
    with rasterio.open(made.mosaics[0]) as file:
        heights = file.read(1, masked=True)
    assert not heights.mask.any()
    steps = np.abs(np.diff(heights.data, axis=1))
    border = steps[:, 63::64].mean()
    assert border < 1.5 * steps.mean()


def test_a_tile_off_the_dem_is_a_hole_and_the_others_are_made(server: Server, tmp_path: Path) -> None:
    offer(server)
    path = settings(server, tmp_path)
    write_region(tmp_path / "town.geojson", (TOWN[0], TOWN[1], TOWN[2] + 0.3, TOWN[3]))
    plan, _ = opened(path)
    west, east = plan.tiles[0].name, plan.tiles[-1].name
    with pytest.raises(IncompleteError, match=f"{east}: empty.*no scene"):
        terrafine.run_campaign(path, tiles=[west, east])


def test_epochs_of_a_dated_dem_take_their_own_items(server: Server, tmp_path: Path) -> None:
    offer(server)
    offer(server, lift=7, when="2010-05-01T00:00:00Z")
    path = settings(server, tmp_path, more='collection = "yearly"\n')
    text = path.read_text().replace('dates = "2015"', 'dates = "2000"')
    path.write_text(text + '[[epochs]]\nname = "b"\ndates = "2010-01/2010-06"\n')
    plan, folder = opened(path)
    units = [unit for unit in plan.units() if unit.tile == plan.tiles[0]]
    assert run_units(plan, folder, units).done == 2
    before, after = (rasterio.open(folder.tile(plan, unit)).read(1) for unit in units)
    np.testing.assert_allclose(after - before, 7.0, atol=0.02)


@pytest.mark.parametrize(
    ("more", "options", "epochs", "message"),
    [
        ("", "", '[[epochs]]\nname = "b"\ndates = "2019"\n', "same heights"),
        ('collection = "sentinel-2"\n', "", "", "expected a collection of heights"),
        ('radar = "rtc"\n', 'orbit = "descending"\n', "", "RTC"),
        ('radar = "radar"\n', "", "", "orbit"),
        ('radar = "sentinel-2"\n', 'orbit = "descending"\n', "", "expected backscatter"),
        ('vertical_datum = "EGM2008"\n', "", "", "vertical_datum is not used"),
        ('offset = "none"\n', "", "", "offset is not used"),
        ('composite = "geomedian"\n', "", "", "one surface"),
        ('product = "mars"\n', "", "", "mars"),
    ],
)
def test_a_dem_that_cannot_serve_is_refused_before_a_request(
    server: Server, tmp_path: Path, more: str, options: str, epochs: str, message: str
) -> None:
    path = settings(server, tmp_path, more=more, options=options)
    path.write_text(path.read_text() + epochs)
    with pytest.raises(UsageError, match=message):
        terrafine.run_campaign(path)
    assert server.requests("/") == 0 and not path.with_suffix("").exists()


def test_radar_of_the_epoch_is_fetched_as_a_guide(server: Server, tmp_path: Path) -> None:
    from terrafine.physics.backscatter import simulate_db
    from terrafine.physics.radar import look_azimuth

    offer(server)
    col, row, width, height = CUT
    with rasterio.open(TERRAIN) as file:
        window = Window(col, row, width, height)
        heights = file.read(1, window=window).astype(np.float64)
        where = {"crs": file.crs, "transform": file.window_transform(window)}
    azimuth = look_azimuth("descending", 49.5)
    db = simulate_db(torch.from_numpy(heights), 75.0, 38.5, azimuth).numpy().astype(np.float32)
    for day, shift in ((1, -0.2), (2, 0.2)):
        more: dict[str, Any] = {"sat:orbit_state": "descending", "when": f"2015-06-0{day}T05:00:00Z"}
        add(server, f"s1-{day}", "s1-grid", "vv", db + np.float32(shift), where, **more)
    late: dict[str, Any] = {"sat:orbit_state": "descending", "when": "2016-06-01T05:00:00Z"}
    add(server, "s1-late", "s1-grid", "vv", db, where, **late)
    network = {
        "relief": {"channels": 8, "blocks": [1, 0], "deep_channels": 0, "deep_blocks": 0},
        "guides": ["vv", "vh", "optical"],
        "width": 8,
        "body": [8, 1],
    }
    write_weights(tmp_path / "small.safetensors", "pimsr", network, 4, spread=0.05)
    more_source, options = 'radar = "radar"\n', 'orbit = "descending"\nincidence = 38.5\n'
    path = settings(server, tmp_path, model="small.safetensors", more=more_source, options=options)
    plan, folder = opened(path)
    unit = next(plan.units())
    assert run_units(plan, folder, [unit]).failed == []
    record = json.loads(folder.tile(plan, unit, ".json").read_text())
    assert {"s1-1", "s1-2"} <= {item["id"] for item in record["inputs"]["items"]}
    assert "s1-late" not in {item["id"] for item in record["inputs"]["items"]}
    with rasterio.open(folder.tile(plan, unit)) as file:
        tags = file.tags(ns="TERRAFINE")
    assert (tags["RADAR_ORBIT"], tags["GUIDE_FILES"]) == ("descending", "vv=1")


@pytest.mark.parametrize(
    ("orbit", "kept", "message"),
    [("descending", False, "nothing could be read of 1 scenes"), ("", True, "none of 1 items states sat:orbit_state")],
)
def test_radar_that_cannot_be_used_fails_the_tile(
    server: Server, tmp_path: Path, orbit: str, kept: bool, message: str
) -> None:
    """Only that there is no pass makes a tile without a guide."""
    offer(server)
    col, row, width, height = CUT
    with rasterio.open(TERRAIN) as file:
        where = {"crs": file.crs, "transform": file.window_transform(Window(col, row, width, height))}
    state = {"sat:orbit_state": orbit} if orbit else {}
    db = np.full((height, width), -9.0, np.float32)
    add(server, "s1-1", "s1-grid", "vv", db, where, when="2015-06-01T05:00:00Z", **state)
    if not kept:
        (server.folder / server.places["s1-1"] / "vv.tif").unlink()
    path = settings(server, tmp_path, more='radar = "radar"\n', options='orbit = "descending"\n')
    plan, folder = opened(path)
    unit = next(plan.units())
    with pytest.raises(SourceError, match=message):
        gather(plan, unit, tmp_path, folder.scenes)


def test_no_pass_of_the_orbit_makes_a_tile_without_a_guide(server: Server, tmp_path: Path) -> None:
    offer(server)
    col, row, width, height = CUT
    with rasterio.open(TERRAIN) as file:
        where = {"crs": file.crs, "transform": file.window_transform(Window(col, row, width, height))}
    db = np.full((height, width), -9.0, np.float32)
    more: dict[str, Any] = {"when": "2015-06-01T05:00:00Z", "sat:orbit_state": "ascending"}
    add(server, "s1-1", "s1-grid", "vv", db, where, **more)
    path = settings(server, tmp_path, more='radar = "radar"\n', options='orbit = "descending"\n')
    plan, folder = opened(path)
    made = gather(plan, next(plan.units()), tmp_path, folder.scenes)
    assert made.guides == {} and any("without a radar guide: " in note for note in made.notes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('datum = "EGM96"', 'datum = "EGM2008"'),
        ('product = "srtm3"', 'product = "glo30"'),
        ("db = true", "db = false"),
        ("http://127.0.0.1", "http://localhost"),
    ],
)
def test_another_content_of_the_service_file_is_another_key(
    server: Server, tmp_path: Path, before: str, after: str
) -> None:
    path = settings(server, tmp_path, more='radar = "radar"\n', options='orbit = "descending"\n')
    key = next(opened(path)[0].units()).key
    assert next(opened(path)[0].units()).key == key
    service = tmp_path / "local.toml"
    assert before in service.read_text()
    service.write_text(service.read_text().replace(before, after))
    assert next(opened(path)[0].units()).key != key
