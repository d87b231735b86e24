"""The product of a DEM decides its model and what the result is held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.rasters import write_dem

import terrafine
from terrafine.errors import UsageError


def tags(path: Path) -> dict[str, str]:
    with rasterio.open(path) as src:
        return dict(src.tags(ns="TERRAFINE"))


def heights(path: Path) -> np.ndarray:
    with rasterio.open(path) as src:
        return np.asarray(src.read(1))


def test_a_product_with_noise_is_run_by_the_network_that_takes_it(tmp_path: Path) -> None:
    coarse = write_dem(tmp_path / "NASADEM_HGT_n46e015.tif", cell=30.0)
    made = tags(terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2))
    assert (made["SYSTEM"], made["CONSISTENCY"], made["PRODUCT"]) == ("ridgeline2", "product", "nasadem")


@pytest.mark.parametrize("product", ["block_mean", None])
def test_exact_and_unrecognised_products_keep_their_block_means(tmp_path: Path, product: str | None) -> None:
    coarse = write_dem(tmp_path / "a.tif", cell=30.0)
    made = terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2, product=product)
    assert (tags(made)["SYSTEM"], tags(made)["CONSISTENCY"]) == ("ridgeline", "hard")


def test_the_same_heights_differ_by_product_and_stay_hard_where_that_is_asked(tmp_path: Path) -> None:
    coarse = write_dem(tmp_path / "a.tif", cell=30.0)
    noisy, exact, hard = (
        terrafine.sharpen_dem(coarse, tmp_path / f"{n}.tif", scale=2, model="ridgeline2", product=p, consistency=c)
        for n, p, c in (("noisy", "srtm1", None), ("exact", "block_mean", None), ("hard", "srtm1", "hard"))
    )
    means = heights(coarse)
    y, x = means.shape
    departures = [
        np.abs(heights(f).reshape(y, 2, x, 2).mean(axis=(1, 3)) - means)[4:-4, 4:-4].max() for f in (noisy, exact, hard)
    ]
    assert departures[0] > 0.05
    assert max(departures[1:]) < 0.01


def test_consistency_with_the_product_is_refused_for_a_model_that_does_not_take_it(tmp_path: Path) -> None:
    coarse = write_dem(tmp_path / "a.tif", cell=30.0)
    with pytest.raises(UsageError, match="ridgeline2"):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", consistency="product", product="srtm1")
    assert not (tmp_path / "fine.tif").exists()


def test_tiles_of_a_geographic_dem_equal_the_whole(tmp_path: Path) -> None:
    coarse = write_dem(tmp_path / "a.tif", shape=(96, 96), crs="EPSG:4326", origin=(10.0, 47.0), cell=1 / 3600)
    whole, tiled = (
        terrafine.sharpen_dem(coarse, tmp_path / f"{t}.tif", scale=2, product="srtm1", tile=t) for t in (96, 32)
    )
    np.testing.assert_allclose(heights(whole), heights(tiled), atol=2e-3)


def test_water_stays_flat(tmp_path: Path) -> None:
    sea = np.full((64, 64), 13.0, np.float32)
    coarse = write_dem(tmp_path / "a.tif", sea, crs="EPSG:4326", origin=(10.0, 47.0), cell=3 / 3600)
    made = terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2, product="srtm3", uncertainty=True)
    with rasterio.open(made) as src:
        fine, sigma = src.read()
    assert np.abs(fine - 13.0).max() < 0.3
    assert sigma.max() < 5.0
