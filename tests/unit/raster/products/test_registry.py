"""The registry: every product is complete, and its sensor model is one that can be."""

from __future__ import annotations

import re

import pytest

from terrafine.raster.products import BLOCK_MEAN, PRODUCTS
from terrafine.raster.vertical import DATUMS


def test_keys_are_unique_and_the_products_that_people_have_are_there():
    keys = [p.key for p in PRODUCTS]
    assert len(set(keys)) == len(keys)
    assert {"srtm1", "srtm3", "nasadem", "glo30", "glo90", "aw3d30", "aster", "alos12", "fabdem"} <= set(keys)
    assert {"lidar", "block_mean"} <= set(keys)


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.key)
def test_a_product_is_complete(product):
    assert re.fullmatch(r"[a-z0-9_]+", product.key)
    assert product.url.startswith("https://")
    assert product.datum in DATUMS or not product.pattern
    assert re.match(r"fitted on |derived from |literature: |definition: ", product.origin)
    assert (product.uncertainty is None) == product.origin.startswith(("literature", "definition"))
    sensor = product.sensor
    assert sensor.psf_cells <= 3 and sensor.correlation_cells <= 2 and sensor.noise_m(0.5) < 20
    assert not sensor.exact or sensor.noise_m(0.2) < 1.0


def test_a_block_mean_is_exact_and_has_no_noise():
    sensor = BLOCK_MEAN.sensor
    assert sensor.exact and str(sensor) == "exact block means"
    assert sensor.psf_cells == sensor.noise_flat_m == sensor.noise_slope_m == sensor.rounding_m == 0


def test_finer_products_of_one_family_have_no_less_noise():
    by_key = {p.key: p.sensor for p in PRODUCTS}
    for fine, coarse in (("srtm1", "srtm3"), ("glo30", "glo90")):
        assert by_key[fine].noise_m(0.1) >= by_key[coarse].noise_m(0.1)
        assert by_key[fine].psf_cells >= by_key[coarse].psf_cells
