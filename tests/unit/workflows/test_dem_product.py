"""The product of a DEM: stated in summary, tags and job; results of models that do not read it stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.rasters import read_band, read_bands, write_dem, write_raster
from tests.support.sensors import fractal, observed

import terrafine
from terrafine.errors import SourceError, UsageError
from terrafine.raster.products import PRODUCTS, product_text
from terrafine.workflows import dem


@pytest.fixture
def coarse(tmp_path):
    return write_dem(tmp_path / "NASADEM_HGT_n46e015.tif", cell=30.0)


def test_the_product_is_recognised_and_stated_in_summary_and_tags(coarse, tmp_path):
    reports = []
    out = terrafine.sharpen_dem(coarse, tmp_path / "a.tif", model="bicubic", scale=2, report=reports.append)
    tags = read_bands(out)[1]
    assert (tags["PRODUCT"], tags["PRODUCT_FOUND"]) == ("nasadem", "from the file name")
    assert "psf_cells=" in tags["PRODUCT_SENSOR"] and "exact=0" in tags["PRODUCT_SENSOR"]
    assert reports[0].findings[0].startswith('product NASADEM 1" (from the file name): point spread')


def test_a_stated_product_overrides_and_changes_no_height_of_bicubic(coarse, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(product_text(PRODUCTS[0]).replace(f'"{PRODUCTS[0].key}"', '"mine"'))
    a = terrafine.sharpen_dem(coarse, tmp_path / "a.tif", model="bicubic", scale=2)
    b = terrafine.sharpen_dem(coarse, tmp_path / "b.tif", model="bicubic", scale=2, product=file)
    assert read_bands(b)[1]["PRODUCT"] == "mine"
    np.testing.assert_array_equal(read_band(a), read_band(b))


def test_an_array_takes_a_product_too():
    values = np.add.outer(np.arange(8.0), np.arange(9.0))
    out = terrafine.sharpen_dem(values, pixel_size_m=30.0, model="bicubic", scale=2, product="srtm1")
    np.testing.assert_array_equal(out, terrafine.sharpen_dem(values, pixel_size_m=30.0, model="bicubic", scale=2))


def test_the_product_is_part_of_the_job(coarse, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "terrafine.workflows.outputs.provenance.request_of", lambda *a, **k: seen.append(k["product"]) or {}
    )
    for product in (None, "srtm1"):
        terrafine.sharpen_dem(coarse, tmp_path / f"{product}.tif", model="bicubic", scale=2, product=product)
    assert [p["key"] for p in seen] == ["nasadem", "srtm1"]
    assert seen[0]["sensor"] != seen[1]["sensor"]


def test_a_model_is_chosen_with_the_product_known(coarse, tmp_path, monkeypatch):
    seen = []
    find = dem.DemRequest.find
    monkeypatch.setattr(dem.DemRequest, "find", lambda self, *a: seen.append(self.product) or find(self, *a))
    terrafine.sharpen_dem(coarse, tmp_path / "a.tif", model="bicubic")
    assert seen[-1].key == "nasadem"


def test_a_product_that_is_not_there_is_refused_before_the_dem_is_read(tmp_path):
    with pytest.raises(UsageError, match="product 'srtm2' is not known"):
        terrafine.sharpen_dem(tmp_path / "absent.tif", tmp_path / "a.tif", product="srtm2")
    with pytest.raises(SourceError, match="no such product file"):
        terrafine.sharpen_dem(tmp_path / "absent.tif", tmp_path / "a.tif", product=tmp_path / "x.toml")


def test_the_measured_noise_is_in_the_tags_and_the_same_for_every_tile(tmp_path):
    ground = fractal(384, beta=4.6, relief=150.0)
    values = observed(ground, 2, cell=90.0, psf=0.3, flat=6.0, correlation=0.3, rounding=1.0)[:, :128]
    path = write_raster(tmp_path / "srtm3.tif", values.astype(np.float32), cell=90.0)
    made = [terrafine.sharpen_dem(path, tmp_path / f"{tile}.tif", scale=2, tile=tile) for tile in (64, 256)]
    tags = read_bands(made[0])[1]
    assert "of the product's, from the spectrum of this raster" in tags["PRODUCT_NOISE"]
    flat = float(tags["PRODUCT_SENSOR"].partition("noise_flat_m=")[2].split()[0])
    assert flat > 1.5 * next(p for p in PRODUCTS if p.key == "srtm3").sensor.noise_flat_m
    np.testing.assert_allclose(read_band(made[0]), read_band(made[1]), atol=1e-3)
