"""One small tile of each verb to its end, and the time of its model stated before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from pyproj import Transformer
from tests.support.campaigns import opened, write_campaign, write_region
from tests.support.cli import terrafine as run_cli
from tests.support.paths import DATA
from tests.support.rasters import write_raster
from tests.support.weights import write_weights

import terrafine
from terrafine.campaign.timing import seconds_of_unit
from terrafine.physics.backscatter import simulate_db
from terrafine.physics.radar import look_azimuth

SIDE, K, CELL = 60, 4, 120.0
NETWORK = {
    "relief": {"channels": 8, "blocks": [1, 0], "deep_channels": 0, "deep_blocks": 0},
    "guides": ["vv", "vh", "optical"],
    "width": 8,
    "body": [8, 1],
}


def written(folder: Path, verb: str, model: str, image: Path, *, grid: str, more: str = "", epoch: str = "") -> Path:
    """A campaign of one tile in the middle of a file."""
    with rasterio.open(image) as file:
        middle = ((file.bounds.left + file.bounds.right) / 2, (file.bounds.bottom + file.bounds.top) / 2)
        east, north = Transformer.from_crs(file.crs, 4326, always_xy=True).transform(*middle)
    write_region(folder / "town.geojson", (east, north, east + 1e-4, north + 1e-4))
    text = f'name = "one"\nregion = "town.geojson"\n[model]\nverb = "{verb}"\nname = "{model}"\n{more}'
    text += f'[grid]\n{grid}\n[run]\ndevice = "cpu"\nthreads = 1\nretries = 0\n'
    text += f'[[epochs]]\nname = "a"\ndates = "2015"\nfiles = ["{image}"]\n{epoch}'
    path = folder / "one.toml"
    path.write_text(text)
    return path


def made(path: Path) -> tuple[np.ndarray, Any, dict[str, str]]:
    assert terrafine.run_campaign(path).complete
    file = next((path.with_suffix("") / "tiles").rglob("*.tif"))
    with rasterio.open(file) as found:
        return found.read(masked=True), found.profile, found.tags(ns="TERRAFINE")


@pytest.mark.long
def test_a_tile_of_sharpened_images(tmp_path: Path) -> None:
    image = DATA / "s2_truth" / "montpellier_s2_l1c_1.tif"
    if not image.is_file():
        pytest.skip("the Sentinel-2 scenes are not there: set TERRAFINE_DATA")
    path = written(
        tmp_path,
        "image",
        "jointseg",
        image,
        grid="tile_m = 320.0\nhalo_m = 160.0",
        more='[model.options]\nscale = 10\n[source]\nsensor = "sentinel2"\n',
    )
    expected = seconds_of_unit(opened(path)[0])
    assert expected is not None and expected > 0
    values, profile, tags = made(path)
    assert values.shape == (3, 320, 320) and profile["transform"].a == 1.0
    assert tags["EPOCH"] == "a" and not values.mask.any()
    with rasterio.open(image) as file:
        box = rasterio.transform.array_bounds(320, 320, profile["transform"])
        source = file.read([1, 2, 3], window=rasterio.windows.from_bounds(*box, file.transform).round_offsets())
    coarse = values.data.reshape(3, 32, 10, 32, 10).mean(axis=(2, 4))
    assert np.corrcoef(coarse.ravel(), source[:, :32, :32].ravel())[0, 1] > 0.9


@pytest.mark.long
def test_a_tile_of_relief_from_an_image(tmp_path: Path) -> None:
    image = DATA / "image_height" / "beavercreek_landsat8.tif"
    if not image.is_file():
        pytest.skip("the Landsat scenes are not there: set TERRAFINE_DATA")
    path = written(tmp_path, "height", "relief", image, grid="tile_m = 960.0")
    values, profile, tags = made(path)
    assert values.shape == (1, 32, 32) and profile["transform"].a == 30.0
    assert values.std() > 0 and tags["EPOCH"] == "a"


@pytest.mark.long
def test_a_tile_of_a_dem_with_a_radar_guide(tmp_path: Path) -> None:
    y, x = np.mgrid[: SIDE * K, : SIDE * K] * (CELL / K)
    z = 900 + 120 * np.sin(x / 700) * np.cos(y / 900) + 60 * np.sin((x + 2 * y) / 500)
    where: dict[str, Any] = {"origin": (500_000, 5_000_000), "nodata": np.nan}
    coarse = z.reshape(SIDE, K, SIDE, K).mean(axis=(1, 3)).astype(np.float32)
    write_raster(tmp_path / "coarse.tif", coarse, names=("elevation",), cell=CELL, **where)
    db = simulate_db(torch.from_numpy(z), CELL / K, 38.5, look_azimuth("descending", 45.1)).numpy()
    write_raster(tmp_path / "vv.tif", db.astype(np.float32), names=("vv",), cell=CELL / K, **where)
    write_weights(tmp_path / "small.safetensors", "pimsr", NETWORK, K, spread=0.05)
    grid = "resolution_m = 120.0\ntile_m = 1920.0\nhalo_m = 2880.0"
    more = '[model.options]\nscale = 4\norbit = "descending"\n[source]\nproduct = "block_mean"\n'
    found = []
    for name, epoch in (("plain", ""), ("guided", f'guides = {{ vv = ["{tmp_path}/vv.tif"] }}\n')):
        (tmp_path / name).mkdir()
        options = more if epoch else more.replace('orbit = "descending"\n', "")
        path = written(
            tmp_path / name,
            "dem",
            str(tmp_path / "small.safetensors"),
            tmp_path / "coarse.tif",
            grid=grid,
            more=options,
            epoch=epoch,
        )
        found.append(made(path))
    (plain, _, _), (guided, profile, tags) = found
    assert guided.shape == (1, 64, 64) and profile["transform"].a == 30.0
    assert np.abs(guided - plain).max() > 0.01
    assert tags["RADAR_ORBIT"] == "descending" and tags["GUIDE_FILES"] == "vv=1"
    # The DEM lies beside the lattice of the tiles by a part of a cell, in the same CRS with the same cells.
    origin = profile["transform"]
    assert origin.c % 1920 == 0 and (origin.c - where["origin"][0]) % 30 != 0
    x, y = np.meshgrid(origin.c + 30 * (np.arange(64) + 0.5), origin.f - 30 * (np.arange(64) + 0.5))
    x, y = x - where["origin"][0] - 15, where["origin"][1] - y - 15
    meant = 900 + 120 * np.sin(x / 700) * np.cos(y / 900) + 60 * np.sin((x + 2 * y) / 500)
    beside = 900 + 120 * np.sin((x + 15) / 700) * np.cos(y / 900) + 60 * np.sin((x + 15 + 2 * y) / 500)
    assert np.abs(plain[0] - meant).mean() < np.abs(plain[0] - beside).mean()
    assert np.abs(plain[0] - meant).mean() < 2.0


def test_the_time_of_the_model_is_stated_before_a_campaign_runs(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    planned = run_cli("campaign", "plan", path)
    assert planned.exit_code == 0 and "for a unit on this machine" in planned.output
    first, second = ("--tile", opened(path)[0].tiles[0].name), ("--tile", opened(path)[0].tiles[1].name)
    ran = run_cli("campaign", "run", path, *first, "--epoch", "old")
    assert "hills: the model takes about" in ran.output and "for 1 tiles here" in ran.output
    assert "for a tile" not in run_cli("campaign", "run", path, *second, "--epoch", "old", "--quiet").output
    path.write_text(path.read_text().replace('name = "bicubic"\n', "").replace("halo_m = 300.0", "halo_m = 1200.0"))
    assert terrafine.plan_campaign(path, time_model=True).seconds_per_unit is None  # chosen for each DEM
