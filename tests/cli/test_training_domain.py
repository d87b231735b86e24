"""Maps and heights state where their weights were trained; an image unlike their training is noted."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from tests.support.cli import Run

SIDE = 32


def image(path: Path, low: float, high: float, *, grey: bool = False, cell: float = 10.0) -> Path:
    rng = np.random.default_rng(5)
    bands = rng.uniform(low, high, (3, SIDE, SIDE))
    bands = bands if not grey else np.repeat(bands[:1], 3, axis=0)
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint16", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", **profile, transform=from_origin(500_000, 5_200_000, cell, cell)) as file:
        file.write(np.round(bands * 10_000).astype(np.uint16))
        for i, name in enumerate(("red", "green", "blue"), start=1):
            file.set_band_description(i, name)
    return path


def test_the_map_its_summary_and_its_preview_state_the_training(tmp_path: Path, run: Run) -> None:
    out, preview = tmp_path / "map.tif", tmp_path / "map.png"
    scene = image(tmp_path / "city.tif", 0.02, 0.3)
    result = run("map", scene, out, "--preview", preview, "--model", "jointseg")
    assert result.exit_code == 0, result.output
    assert "trained on: aerial photographs of Dubai" in result.stdout
    assert "unproven" not in result.stderr
    with rasterio.open(out) as file:
        assert file.tags(ns="TERRAFINE")["TRAINED_ON"].startswith("aerial photographs of Dubai")
    with Image.open(preview) as picture:
        assert picture.text["Description"].startswith("trained on: aerial photographs of Dubai")  # type: ignore[attr-defined]
        assert picture.height > 10 * SIDE


@pytest.mark.parametrize(("low", "high", "which"), [(0.38, 0.6, "above"), (0.001, 0.018, "below")])
def test_an_image_unlike_the_training_is_noted(low: float, high: float, which: str, tmp_path: Path, run: Run) -> None:
    sensor = ("--sensor", "sentinel2")
    result = run("map", image(tmp_path / "odd.tif", low, high), tmp_path / "map.tif", *sensor)
    if result.exit_code == 4:  # too dark to be read as that sensor at all
        assert which == "below"
        return
    assert result.exit_code == 0, result.output
    assert f"of the image is {which} a reflectance of" in result.stderr
    assert "red: " in result.stderr
    assert "take the result as unproven here" in result.stderr


def test_a_bright_desert_is_read_where_its_sensor_is_stated(tmp_path: Path, run: Run) -> None:
    desert = image(tmp_path / "desert.tif", 0.46, 0.62, grey=True)
    refused = run("map", desert, tmp_path / "a.tif")
    assert refused.exit_code in (3, 4), refused.output
    stated = run("map", desert, tmp_path / "b.tif", "--sensor", "sentinel2")
    assert stated.exit_code == 0, stated.output
    assert "it was read as stated" in stated.stderr
    limited = run("map", desert, tmp_path / "c.tif", "--sensor", "sentinel2", "--max-bright", 0.1)
    assert limited.exit_code == 3, limited.output
    assert "raise --max-bright SHARE" in limited.stderr


def test_numbers_that_no_surface_reflects_are_refused_whatever_is_stated(tmp_path: Path, run: Run) -> None:
    wrong = image(tmp_path / "wrong.tif", 4.0, 6.0)
    result = run("map", wrong, tmp_path / "a.tif", "--sensor", "sentinel2")
    assert result.exit_code == 4
    assert "does not read as sentinel2" in result.stderr


@pytest.mark.parametrize("share", ["-1", "1.5", "nan"])
def test_a_limit_of_cloud_that_is_no_share_is_refused(share: str, tmp_path: Path, run: Run) -> None:
    result = run("map", image(tmp_path / "city.tif", 0.02, 0.3), tmp_path / "map.tif", "--max-bright", share)
    assert result.exit_code == 2, result.output
    assert f"--max-bright {share}" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["city.tif"]


def scene(path: Path, low: float, high: float) -> Path:
    return image(path, low, high, cell=30.0)


def test_heights_their_summary_and_their_preview_state_the_training(tmp_path: Path, run: Run) -> None:
    out, preview = tmp_path / "relief.tif", tmp_path / "relief.png"
    result = run("height", scene(tmp_path / "land.tif", 0.04, 0.13), out, "--preview", preview, "--sensor", "sentinel2")
    assert result.exit_code == 0, result.output
    assert "trained on: five Landsat 8 scenes of the western United States" in result.stdout
    assert "unproven" not in result.stderr
    with rasterio.open(out) as file:
        assert file.tags(ns="TERRAFINE")["TRAINED_ON"].startswith("five Landsat 8 scenes")
    with Image.open(preview) as picture:
        assert picture.text["Description"].startswith("trained on: five Landsat 8 scenes")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("low", "high", "which"), [(0.3, 0.45, "above"), (0.005, 0.035, "below")])
def test_an_image_unlike_those_that_heights_were_trained_on_is_noted(
    low: float, high: float, which: str, tmp_path: Path, run: Run
) -> None:
    odd = scene(tmp_path / "odd.tif", low, high)
    result = run("height", odd, tmp_path / "relief.tif", "--sensor", "sentinel2", "--max-bright", 1)
    assert result.exit_code == 0, result.output
    assert f"of the image is {which} a reflectance of" in result.stderr
    assert "take the result as unproven here" in result.stderr
