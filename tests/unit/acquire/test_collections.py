"""Collections besides Sentinel-2: Landsat, radar by orbit, and a DEM on its own grid with datum and product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from tests.support.rasters import read_bands, write_dem
from tests.support.scenes import PISA, add_scene, make_item, preset, real_numbers, write_asset
from tests.support.stac_server import Server

import terrafine
from terrafine.errors import BandError, UsageError
from terrafine.raster.read.guides import open_guides
from terrafine.raster.read.source import open_source

AOI = (10.381, 43.7222, 10.396, 43.731)
SOON: dict[str, Any] = {"timeout_s": 120.0, "attempts": 3, "backoff_s": 0.0}
MORE = """
[collections.copernicus-dem]
id = "cop-dem-glo-30"
kind = "dem"
product = "glo30"
datum = "EGM2008"
surface = "DSM"
licence = "Copernicus DEM"
cell_m = 30.0
assets = { elevation = "data" }

[collections.sentinel-1]
id = "sentinel-1-rtc"
kind = "sentinel-1-rtc"
licence = "CC BY 4.0"
assets = { vv = "vv" }

[collections.landsat]
id = "landsat-c2-l2"
kind = "landsat-l2"
licence = "public domain"
mask = "scl"
assets = { red = "red", green = "green", blue = "blue", nir = "nir" }
platforms = ["landsat-8", "landsat-9"]
"""


def add_one(server: Server, name: str, collection: str, when: str, values: np.ndarray, where: Any, **more: Any) -> None:
    """An item of one asset."""
    asset = {"dem": "data"}.get(name[:3], "vv")
    folder = server.place(name)
    write_asset(folder / f"{asset}.tif", values, where, nodata=more.pop("nodata", None))
    assets = {asset: {"href": f"{server.url}/files/{folder.name}/{asset}.tif"}}
    server.add(make_item(name, collection, when, values.shape, where, assets, {"eo:cloud_cover": None, **more}))


def test_a_dem_keeps_its_cells_datum_and_product_over_two_tiles(server: Server, tmp_path: Path) -> None:
    second = 1 / 3600
    rng = np.random.default_rng(0)
    heights = rng.uniform(0, 60, (60, 90)).astype(np.float32)
    for i, part in enumerate((heights[:, :45], heights[:, 45:])):
        corner = Affine(second, 0, 10.3798611 + i * 45 * second, 0, -second, 43.7351389)
        where = {"crs": CRS.from_epsg(4326), "transform": corner}
        add_one(server, f"dem{i}", "cop-dem-glo-30", "2021-04-22T00:00:00Z", part, where)
    service = preset(server, tmp_path, collection=MORE)
    done = terrafine.fetch("copernicus-dem", tmp_path / "dem.tif", aoi=AOI, service=service, **SOON)[0]
    with open_source(done.path) as dem:
        assert dem.vertical is not None
        assert (dem.vertical.name, dem.surface) == ("EGM2008", "DSM")
        assert dem.geobox.affine.a == pytest.approx(second)
        left = round((dem.geobox.affine.c - 10.3798611) / second)
        top = round((43.7351389 - dem.geobox.affine.f) / second)
        rows, cols = dem.shape
        values, valid = dem.read("elevation", slice(0, rows), slice(0, cols))
    assert valid.all()
    np.testing.assert_array_equal(values, heights[top : top + rows, left : left + cols])
    assert read_bands(done.path)[1]["PRODUCT"] == "glo30"


def test_radar_is_a_mean_of_power_for_each_orbit_and_no_slope_guide(server: Server, tmp_path: Path) -> None:
    where = real_numbers("pisa", 1, PISA)[1]
    for i, (orbit, power) in enumerate((("ascending", 0.1), ("ascending", 0.3), ("descending", 0.05))):
        values = np.full((160, 200), power, np.float32)
        more = {"sat:orbit_state": orbit, "platform": "sentinel-1a"}
        add_one(server, f"s1-{i}", "sentinel-1-rtc", f"2023-05-0{i + 1}T05:00:00Z", values, where, **more)
    service = preset(server, tmp_path, collection=MORE)
    made = terrafine.fetch("sentinel-1", tmp_path / "s1", aoi=AOI, dates="2023", service=service, **SOON)
    assert [d.path.name.split("_")[-1] for d in made] == ["ascending.tif", "descending.tif"]
    for done, expected, count in zip(made, (0.2, 0.05), (2, 1), strict=True):
        bands = read_bands(done.path)[0]
        np.testing.assert_allclose(bands["vv"], 10 * np.log10(expected), atol=1e-4)
        assert (bands["clear_count"] == count).all()
    with pytest.raises(UsageError, match="one for each orbit"):
        terrafine.fetch("sentinel-1", tmp_path / "s1.tif", aoi=AOI, dates="2023", service=service, **SOON)
    with open_source(write_dem(tmp_path / "dem.tif")) as dem, pytest.raises(BandError, match="terrain-corrected"):
        open_guides(dem, 2, {"vv": [made[0].path]}, azimuth=90.0, incidence=39.0)


def test_landsat_is_scaled_and_masked_by_its_bits(server: Server, tmp_path: Path) -> None:
    numbers, where = real_numbers("pisa", 1, PISA)
    stored = ((numbers * 1e-4 + 0.2) / 2.75e-5).round().astype(np.uint16)
    for name, platform in (("old", "landsat-7"), ("new", "landsat-9")):
        item = add_scene(server, name, stored, where, "2023-05-01T10:10:00Z", collection="landsat-c2-l2")
        item["properties"] = {**item["properties"], "platform": platform}
        bits = np.full((160, 200), 1 << 6, np.uint16)  # clear
        bits[60:80, 30:60] = 1 << 3  # cloud
        write_asset(server.folder / server.places[name] / "scl.tif", bits, where, nodata=1)
        server.add(item)
    service = preset(server, tmp_path, collection=MORE)
    done = terrafine.fetch("landsat", tmp_path / "l.tif", aoi=AOI, dates="2023", service=service, cell_m=10.0, **SOON)[
        0
    ]
    bands = read_bands(done.path)[0]
    assert done.scenes == 1
    assert np.isnan(bands["red"]).sum() == 20 * 30
    np.testing.assert_allclose(bands["nir"][30:], numbers[3, 88:159, 28:152] * 1e-4, atol=3e-5)


def test_an_item_that_states_a_shifted_grid_does_not_blur_its_heights(server: Server, tmp_path: Path) -> None:
    """Half a cell is what an archive is off that states the middle of the first cell; the file itself is right."""
    second = 1 / 3600
    heights = np.random.default_rng(1).uniform(0, 60, (60, 90)).astype(np.float32)
    where = {"crs": CRS.from_epsg(4326), "transform": Affine(second, 0, 10.3798611, 0, -second, 43.7351389)}
    off = [second, 0, 10.3798611 + second / 2, 0, -second, 43.7351389 - second / 2]
    when = "2021-04-22T00:00:00Z"
    add_one(server, "dem", "cop-dem-glo-30", when, heights, where, **{"proj:transform": off})
    service = preset(server, tmp_path, collection=MORE)
    done = terrafine.fetch("copernicus-dem", tmp_path / "dem.tif", aoi=AOI, service=service, **SOON)[0]
    with open_source(done.path) as dem:
        affine, shape = dem.geobox.affine, dem.shape
        values, valid = dem.read("elevation", slice(0, shape[0]), slice(0, shape[1]))
    left, top = round((affine.c - 10.3798611) / second), round((43.7351389 - affine.f) / second)
    assert affine.c == pytest.approx(10.3798611 + left * second) and valid.all()
    np.testing.assert_array_equal(values, heights[top : top + shape[0], left : left + shape[1]])


def test_of_two_processings_of_one_acquisition_the_newer_counts_once(server: Server, tmp_path: Path) -> None:
    numbers, where = real_numbers("pisa", 1, PISA)
    when = "2020-06-01T10:10:00Z"
    more: dict[str, Any] = {"grid:code": "MGRS-32TPP"}
    add_scene(
        server,
        "b-old",
        (numbers * 0.9).astype(np.uint16),
        where,
        when,
        properties={**more, "s2:processing_baseline": "02.14"},
    )
    add_scene(
        server, "a-new", numbers, where, when, offset=1000, properties={**more, "s2:processing_baseline": "05.00"}
    )
    service = preset(server, tmp_path)
    done = terrafine.fetch("sentinel-2", tmp_path / "s2.tif", aoi=AOI, dates="2020", service=service, **SOON)[0]
    bands, tags = read_bands(done.path)
    assert (done.scenes, tags["ITEM_IDS"], bands["clear_count"].max()) == (1, "a-new", 1)
    assert any("newer processing" in note and "b-old" in note for note in done.notes)
    np.testing.assert_allclose(bands["nir"], numbers[3, 58:159, 28:152] * 1e-4, atol=1e-6)
