"""The noise of one raster of a known product: measured where it shows, the product's own where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.sensors import fractal, observed

from terrafine.raster.products import find_product, resolve_product
from terrafine.raster.read.array import ArraySource

CELL = 92.66
SRTM = find_product("srtm3")


def source(values, valid=None):
    kept = np.asarray(values, np.float32)
    if valid is not None:
        kept = np.where(valid, kept, np.float32(np.nan))
    return ArraySource({"elevation": kept}, np.full((2, kept.shape[0]), CELL))


@pytest.fixture(scope="module")
def ground():
    return fractal(1200, beta=4.6, relief=250.0)


def noisy(ground, times):
    """SRTM 3" with that many times the part of its noise that a spectrum shows, in whole metres."""
    seen = {"psf": 0.35, "flat": 0.45 * times * 1.29, "slope": 0.45 * times * 4.8, "correlation": 0.27, "rounding": 1.0}
    return observed(ground, 3, cell=CELL, **seen)


def test_the_level_follows_the_noise_of_the_raster(ground):
    found = [resolve_product(source(noisy(ground, times)), "srtm3") for times in (1.0, 2.0, 4.0)]
    flat = [f.product.sensor.noise_flat_m / SRTM.sensor.noise_flat_m for f in found]
    assert flat[0] < flat[1] < flat[2] and 0.6 < flat[0] < 1.6 and 2.0 < flat[2] <= 4.0
    slope = [f.product.sensor.noise_slope_m / SRTM.sensor.noise_slope_m for f in found]
    assert slope == pytest.approx(flat, rel=0.01)
    assert all("from the spectrum of this raster" in f.level and f.level in f.line and not f.note for f in found)
    again = resolve_product(source(noisy(ground, 2.0)), "srtm3")
    assert again == found[1] and again.product.identity() != found[0].product.identity()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((400, 400), 12.0), "windows"),
        (noisy(fractal(180, beta=4.6, relief=50.0), 1.0), "fewer than 6 windows"),
        (np.add.outer(np.arange(400) * 3.7, np.arange(400) * 1.3), "stands out"),
        (np.round(np.add.outer(np.arange(400) * 3.7, np.arange(400) * 1.3)), "stands out"),
        (observed(fractal(1600, beta=4.6, relief=300.0), 4, cell=CELL), "stands out"),
    ],
    ids=["flat", "tiny", "plane", "plane in whole metres", "block means without noise"],
)
def test_where_no_noise_shows_the_product_s_own_is_taken(values, words):
    found = resolve_product(source(values), "srtm3")
    assert found.product.sensor == SRTM.on_cells((CELL, CELL)).sensor
    assert found.level.startswith("the product's (") and words in found.level and not found.note


def test_voids_are_left_out(ground):
    values = noisy(ground, 3.0)
    valid = np.ones(values.shape, bool)
    valid[70:90, 100:300] = False
    whole, holed = (resolve_product(source(values, v), "srtm3").product.sensor.noise_flat_m for v in (None, valid))
    assert holed == pytest.approx(whole, rel=0.25)
    valid[::50] = False
    assert "fewer than 6 windows" in resolve_product(source(values, valid), "srtm3").level


def test_what_the_user_describes_is_taken_as_it_is(ground, tmp_path):
    from terrafine.raster.products import product_text

    values = source(noisy(ground, 4.0))
    path = tmp_path / "mine.toml"
    path.write_text(product_text(SRTM), encoding="utf-8")
    for asked in (path, find_product(path)):
        found = resolve_product(values, asked)
        assert found.product.sensor == SRTM.on_cells((CELL, CELL)).sensor and not found.level


def test_products_whose_noise_was_never_compared_keep_it(ground):
    found = resolve_product(source(noisy(ground, 4.0)), "glo90")
    assert found.product.sensor == find_product("glo90").on_cells((CELL, CELL)).sensor
    assert "not compared" in found.level


def test_one_level_for_results_of_several_rasters(ground):
    found = resolve_product(source(noisy(ground, 4.0)), "srtm3", own_level=False)
    assert found.product.sensor == SRTM.on_cells((CELL, CELL)).sensor and not found.level
