"""Which product a raster is: the user states it, else tags, else file names; other cells are not the product's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from tests.support.rasters import heights, write_raster
from tests.support.sensors import fractal, observed

from terrafine.raster.products import BLOCK_MEAN, PRODUCTS, resolve_product
from terrafine.raster.products.resolve import recognise
from terrafine.raster.read.array import ArraySource
from terrafine.raster.read.source import open_source


@pytest.mark.parametrize(
    ("names", "pitch", "key"),
    [
        (["N49E011.hgt"], 92.6, "srtm3"),
        (["N49E011.hgt"], 30.9, "srtm1"),
        (["N49E011.hgt", "N49E012.hgt"], 30.9, "srtm1"),
        (["n46_e011_1arc_v3.tif"], 30.9, "srtm1"),
        (["N46E011.SRTMGL3.hgt.zip"], 92.6, "srtm3"),
        (["srtm_38_03.tif"], 92.6, "srtm3"),
        (["srtm3_n55w003.tif"], 92.6, "srtm3"),
        (["NASADEM_HGT_n46e011.hgt"], 30.9, "nasadem"),
        (["Copernicus_DSM_COG_10_N46_00_E011_00_DEM.tif"], 30.9, "glo30"),
        (["Copernicus_DSM_COG_30_N46_00_E011_00_DEM.tif"], 92.6, "glo90"),
        (["AP_27541_FBS_F0890_RT1.dem.tif"], 12.5, "alos12"),
        (["ALPSMLC30_N046E011_DSM.tif"], 30.9, "aw3d30"),
    ],
)
def test_file_names_and_posting_give_the_product(names, pitch, key):
    found = recognise(names, {}, pitch)
    assert found is not None and found.product.key == key
    assert found.how == ("from the file names" if len(names) > 1 else "from the file name")


@pytest.mark.parametrize("names", [["dem.tif"], ["N49E011.hgt", "dem.tif"], ["N49E011.hgt", "NASADEM_HGT_n49e012.hgt"]])
def test_other_names_and_mosaics_of_several_products_give_none(names):
    assert recognise(names, {}, 30.9) is None


def test_tags_come_before_names():
    found = recognise(["N49E011.hgt"], {"TERRAFINE_PRODUCT": "block_mean"}, 30.9)
    assert found is not None and (found.product.key, found.how) == ("block_mean", "from the tag TERRAFINE_PRODUCT")
    found = recognise(["a.tif"], {"TIFFTAG_IMAGEDESCRIPTION": "NASADEM_HGT_n46e011"}, 30.9)
    assert found is not None and found.product.key == "nasadem"


def test_an_output_of_terrafine_is_not_the_product_that_it_was_made_from():
    tags = {"MODEL": "bicubic 1", "SYSTEM": "interpolation", "SOURCE_SHA256": "0", "PRODUCT": "srtm1"}
    assert recognise(["srtm1_fine.tif"], tags, 30.9) is None


def raster(tmp_path, name, arcsec):
    transform = Affine(arcsec / 3600, 0, 11, 0, -arcsec / 3600, 46)
    return open_source(write_raster(tmp_path / name, heights(), crs="EPSG:4326", transform=transform))


def test_a_raster_is_recognised_and_overridden(tmp_path):
    with raster(tmp_path, "N45E011.SRTMGL1.tif", 1) as source:
        assert resolve_product(source).product.key == "srtm1" and not resolve_product(source).note
        stated = resolve_product(source, "block_mean")
    assert (stated.product.key, stated.how) == ("block_mean", "stated")
    assert stated.line == "product block mean (stated): exact block means"


def test_other_cells_than_the_product_s_are_noted(tmp_path):
    with raster(tmp_path, "NASADEM_HGT_n45e011.tif", 4) as source:
        by_name, stated = resolve_product(source), resolve_product(source, "nasadem")
    assert by_name.product.key == "unknown" and "was resampled" in by_name.note
    assert stated.product.key == "nasadem" and "cells of 124 m are not those of NASADEM" in stated.note


def test_blur_and_correlation_keep_their_metres_on_other_cells():
    srtm = next(p for p in PRODUCTS if p.key == "srtm1")
    own = srtm.on_cells((srtm.posting_m, srtm.posting_m))
    assert own == srtm
    north = srtm.on_cells((30.87, 30.87 / 4)).sensor  # columns four times closer: cells of half the side
    assert north.psf_cells == pytest.approx(2 * srtm.sensor.psf_cells, rel=0.01)
    assert north.correlation_cells == pytest.approx(2 * srtm.sensor.correlation_cells, rel=0.01)
    assert (north.noise_flat_m, north.noise_slope_m) == (srtm.sensor.noise_flat_m, srtm.sensor.noise_slope_m)
    coarser, finer = srtm.on_cells((92.6, 92.6)).sensor, srtm.on_cells((10.0, 10.0)).sensor
    assert coarser.psf_cells == pytest.approx(srtm.sensor.psf_cells / 3, rel=0.01)
    assert coarser.noise_flat_m < 0.8 * srtm.sensor.noise_flat_m
    assert finer.psf_cells * 10 > srtm.sensor.psf_cells * 30.87


def test_a_product_in_metres_is_compared_by_the_area_of_its_cells():
    measured = next(p for p in PRODUCTS if p.key == "alos12")
    assert measured.stretched((25.0, 6.25)) == pytest.approx(1.0)
    srtm = next(p for p in PRODUCTS if p.key == "srtm1")
    assert srtm.stretched((30.87, 15.0)) == pytest.approx(1.0)
    assert next(p for p in PRODUCTS if p.key == "lidar").on_cells((3.0, 3.0)).sensor.exact


def test_an_array_is_unknown_and_can_be_stated():
    source = ArraySource({"elevation": heights()}, np.full((2, 40), 30.0))
    found = resolve_product(source)
    assert (found.product.key, found.product.sensor.exact) == ("unknown", False)
    assert resolve_product(source, BLOCK_MEAN).product is BLOCK_MEAN


@pytest.mark.parametrize(("arcsec", "key"), [(1, "srtm1"), (3, "srtm3")])
def test_whole_metres_on_a_grid_of_arc_seconds_are_srtm(tmp_path, arcsec, key):
    transform = Affine(arcsec / 3600, 0, 11, 0, -arcsec / 3600, 46)
    values = np.round(fractal(200, beta=4.6, relief=200.0)).astype(np.int16)
    path = write_raster(tmp_path / "dem.tif", values, crs="EPSG:4326", transform=transform)
    with open_source(path, elevation_unit="m") as source:
        found = resolve_product(source)
    assert (found.product.key, found.how) == (key, "from its grid and whole metres")
    assert ("NASADEM, AW3D30 and ASTER" in found.note) == (key == "srtm1")


def test_whole_metres_on_other_grids_take_the_sensor_of_srtm_and_say_so(tmp_path):
    values = np.round(fractal(400, beta=4.6, relief=600.0)).astype(np.int16)
    with open_source(write_raster(tmp_path / "dem.tif", values, cell=30.0)) as source:
        found = resolve_product(source)
    assert found.product.key == "unknown" and "whole metres as SRTM 1" in found.how
    assert found.product.sensor.psf_cells > 0.8 and "not identifiable" in found.note
    assert replace(found, how="not recognised").known  # a fact, not what the words say


def test_simulated_block_means_without_tags_are_exact_by_their_spectrum(tmp_path):
    values = observed(fractal(1600, beta=4.6, relief=300.0), 4, cell=30.0).astype(np.float32)
    with open_source(write_raster(tmp_path / "dem.tif", values, cell=30.0)) as source:
        found = resolve_product(source)
    assert found.product.sensor.exact and not found.note
    assert found.line.endswith("its spectrum is that of block means): exact block means")
