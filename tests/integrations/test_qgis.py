"""The plugin in a real QGIS, without a screen: every algorithm on real input, through `qgis_process`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from integrations.qgis.terrafine_qgis.verbs import VERBS
from tests.support.paths import DATA, ROOT
from tests.support.qgis import Qgis, qgis_process

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(qgis_process() is None, reason="qgis_process is not installed (apt install qgis)"),
]
COARSE, FINE = ROOT / "demo" / "data" / "sample_120m.tif", ROOT / "demo" / "data" / "sample_30m.tif"


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis(tmp_path_factory.mktemp("qgis") / "home")


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 × 48 cells of the sample, under a name with a space."""
    path = tmp_path_factory.mktemp("in") / "coarse corner.tif"
    with rasterio.open(COARSE) as full:
        window = rasterio.windows.Window(0, 0, 48, 48)
        profile = {**full.profile, "width": 48, "height": 48, "tiled": False}
        profile.pop("blockxsize", None)
        profile.pop("blockysize", None)
        with rasterio.open(path, "w", **profile) as out:
            out.write(full.read(window=window))
    return path


def test_every_algorithm_is_listed(qgis: Qgis) -> None:
    listed = qgis("list").stdout
    for name in [v.name for v in VERBS] + ["createenvironment", "checkinstallation"]:
        assert f"terrafine:{name}\t" in listed


def test_a_dem_becomes_finer_as_on_the_command_line(qgis: Qgis, corner: Path, tmp_path: Path) -> None:
    out = tmp_path / "fine.tif"
    done = qgis.run("dem", INPUT=corner, SCALE=2, UNCERTAINTY=1, OUTPUT=out)
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(corner) as coarse, rasterio.open(out) as fine:
        assert fine.count == 2
        assert fine.shape == (96, 96)
        means = fine.read(1).reshape(48, 2, 48, 2).mean((1, 3))
        assert np.abs(means - coarse.read(1)).max() < 20


def test_an_input_that_is_refused_gives_the_message_of_the_program(qgis: Qgis, tmp_path: Path) -> None:
    bad = tmp_path / "no_crs.tif"
    shape = {"width": 32, "height": 32, "count": 1, "dtype": "float32", "transform": rasterio.Affine.scale(30, -30)}
    with rasterio.open(bad, "w", driver="GTiff", **shape) as out:
        out.write(np.ones((1, 32, 32), np.float32))
    done = qgis.run("dem", INPUT=bad, OUTPUT=tmp_path / "fine.tif")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "no_crs.tif" in said
    assert "exit code" in said
    assert not (tmp_path / "fine.tif").exists()


def test_an_output_that_is_no_geotiff_is_refused(qgis: Qgis, corner: Path, tmp_path: Path) -> None:
    done = qgis.run("dem", INPUT=corner, OUTPUT=tmp_path / "fine.img")
    assert done.returncode != 0
    assert "GeoTIFF" in done.stdout + done.stderr


def test_radar_and_evaluate_write_their_results(qgis: Qgis, corner: Path, tmp_path: Path) -> None:
    done = qgis.run("radar", INPUT=corner, ORBIT="descending", OUTPUT=tmp_path / "radar.tif")
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(tmp_path / "radar.tif") as radar:
        assert radar.count == 4
    done = qgis.run(
        "evaluate", INPUT=[COARSE, FINE], REFERENCE=FINE, NO_HYDROLOGY=1, OUTPUT=tmp_path / "a new" / "report"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "a new" / "report" / "results.json").read_text(encoding="utf-8"))
    assert results
    assert "index.html" in done.stdout


@pytest.mark.skipif(not (DATA / "image_height").is_dir(), reason=f"no shared data under {DATA}")
def test_relief_of_an_image(qgis: Qgis, tmp_path: Path) -> None:
    image = DATA / "image_height" / "ecklund_landsat8.tif"
    done = qgis.run("height", INPUT=image, SENSOR="landsat-l1", OUTPUT=tmp_path / "dem.tif")
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(tmp_path / "dem.tif") as dem, rasterio.open(image) as seen:
        assert dem.shape == seen.shape


@pytest.mark.skipif(not (DATA / "s2_truth").is_dir(), reason=f"no shared data under {DATA}")
@pytest.mark.parametrize(("verb", "bands"), [("map", 1), ("image", 3)])
def test_a_city_is_mapped_and_its_image_made_finer(qgis: Qgis, tmp_path: Path, verb: str, bands: int) -> None:
    city = tmp_path / "city.tif"
    with rasterio.open(DATA / "s2_truth" / "montpellier_s2_l1c_2.tif") as full:
        window = rasterio.windows.Window(200, 200, 48, 48)
        profile = {
            **full.profile,
            "width": 48,
            "height": 48,
            "transform": full.window_transform(window),
            "tiled": False,
        }
        profile.pop("blockxsize", None)
        profile.pop("blockysize", None)
        with rasterio.open(city, "w", **profile) as out:
            out.write(full.read(window=window))
            out.descriptions = full.descriptions
    done = qgis.run(verb, INPUT=city, SENSOR="sentinel2", OUTPUT=tmp_path / "out.tif")
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(tmp_path / "out.tif") as made:
        assert (made.count, made.shape) == (bands, (480, 480))


@pytest.mark.skipif(not (DATA / "s2_truth").is_dir(), reason=f"no shared data under {DATA}")
def test_data_is_fetched_from_a_catalogue(qgis: Qgis, tmp_path: Path) -> None:
    """From a STAC API on loopback over real Sentinel-2, named by a service file."""
    pytest.importorskip("stac_fastapi.api")
    from tests.support.scenes import PISA, add_scene, preset, real_numbers
    from tests.support.stac_server import serve

    with serve(tmp_path / "stac") as server:
        numbers, georeference = real_numbers("pisa", 1, PISA)
        properties = {"s2:processing_baseline": "02.04"}
        add_scene(server, "early", numbers, georeference, "2023-05-01T10:10:00Z", properties=properties)
        done = qgis.run(
            "fetch",
            COLLECTION="sentinel-2",
            AREA="10.381,10.396,43.7222,43.731 [EPSG:4326]",
            DATES="2023-04/2023-10",
            SERVICE=preset(server, tmp_path),
            OUTPUT=tmp_path / "composite.tif",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(tmp_path / "composite.tif") as made:
        assert made.descriptions[:4] == ("red", "green", "blue", "nir")
        assert made.read(1, masked=True).count() > 10_000


def test_the_installation_is_checked(qgis: Qgis) -> None:
    done = qgis.run("checkinstallation")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(qgis.home / "bin" / "terrafine") in done.stdout


def test_without_a_program_the_next_step_is_named(qgis: Qgis, corner: Path, tmp_path: Path) -> None:
    done = qgis.run("dem", path=os.devnull, INPUT=corner, OUTPUT=tmp_path / "fine.tif")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "create environment" in said
