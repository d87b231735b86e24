"""Training data for heights: what is written is what is trained on, and the recipe is read by the trainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import read_bands, write_dem, write_raster

import terrafine
from terrafine.datasets.terrain.pairs import build_pairs
from terrafine.errors import DataError, UsageError
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.height.data import load_scenes
from terrafine.training.height.recipe import ImageRecipe
from terrafine.training.recipe import read_recipe

ORIGIN = (500_000, 5_200_000)


def image(path: Path, side: int = 128) -> Path:
    values = np.random.default_rng(0).uniform(0.02, 0.4, (3, side, side)).astype(np.float32)
    return write_raster(path, values, names=("red", "green", "blue"), origin=ORIGIN, nodata=-9999.0, cell=30.0)


def test_images_and_heights_are_written_beside_each_other_and_the_recipe_is_read(tmp_path: Path) -> None:
    dem = write_dem(tmp_path / "dem.tif", np.random.default_rng(1).uniform(0, 900, (140, 140)).astype(np.float32))
    done = terrafine.build_height_dataset(image(tmp_path / "i.tif"), dem, tmp_path / "made")
    assert (done.pairs, done.cells, done.held_out) == (1, 128 * 128, 32 * 128)
    written = read_bands(done.folder / "heights_000.tif")[0]["elevation"]
    np.testing.assert_array_equal(written, read_bands(dem)[0][None][:128, :128])  # on one grid, copied
    recipe = read_recipe(done.recipe, ImageRecipe)
    scene = load_scenes(done.folder, recipe.data.pairs, recipe.data.sensor)[0]
    np.testing.assert_allclose(scene.image, np.stack(list(read_bands(tmp_path / "i.tif")[0].values())))
    assert recipe.data.held_out == {"image_000": (0.75, 1.0)}
    assert recipe.patches.size == 32  # a patch fits into the rows that are held out, and into those that are not


def test_what_cannot_be_a_pair_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    dem = write_dem(tmp_path / "dem.tif")
    far = write_dem(tmp_path / "part.tif", np.ones((140, 20), np.float32))
    picture = image(tmp_path / "i.tif")
    out = tmp_path / "made"
    with pytest.raises(UsageError, match="one DEM for all"):
        terrafine.build_height_dataset([picture] * 3, [dem, dem], out)
    with pytest.raises(DataError, match="30 % or more"):
        terrafine.build_height_dataset(picture, far, out)
    with pytest.raises(DataError, match="at least 96"):
        terrafine.build_height_dataset(image(tmp_path / "s.tif", 64), dem, out)
    with pytest.raises(DataError, match="of 100 rows 25 are held out, 64 are the gap, and 11 are trained on"):
        terrafine.build_height_dataset(image(tmp_path / "low.tif", 100), dem, out)
    with pytest.raises(UsageError, match="hold_out"):
        terrafine.build_height_dataset(picture, dem, out, hold_out=0.9)
    assert not out.exists()
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        terrafine.build_height_dataset(picture, dem, out)


def test_a_product_is_measured_and_becomes_a_recipe(tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    from terrafine.raster.products import find_product

    rng = np.random.default_rng(2)
    fine = gaussian_filter(rng.normal(size=(480, 480)), 6) * 900 + 500
    coarse = fine.reshape(160, 3, 160, 3).mean(axis=(1, 3)) + rng.normal(0, 0.8, (160, 160))
    lidar = write_dem(tmp_path / "lidar.tif", fine.astype(np.float32), cell=10.0)
    srtm = write_dem(tmp_path / "srtm.tif", coarse.astype(np.float32), cell=30.0)
    done = terrafine.build_pair_dataset(srtm, lidar, tmp_path / "made")
    assert find_product(done.product).sensor.noise_flat_m == pytest.approx(0.8, abs=0.3)
    recipe = read_recipe(done.recipe, DemRecipe)
    assert recipe.products is not None
    low, high = recipe.products.noise_share
    assert low < 0.8 / 30 < high * 1.5
    assert recipe.start == "ridgeline2"
    assert recipe.patches.size == 14  # 120 rows are held out
    small = write_dem(tmp_path / "small.tif", fine[:300].astype(np.float32), cell=10.0)
    with pytest.raises(DataError, match="of 300 rows 75 are held out, 64 are the gap, and 161 are trained on"):
        build_pairs(find_product(done.product), 30.0, [small], tmp_path / "none")
    assert not (tmp_path / "none").exists()
