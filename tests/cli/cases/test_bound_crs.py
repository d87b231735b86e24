"""A CRS that carries its own datum shift keeps it: outputs lie where their inputs lie, and cells keep their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
from rasterio.warp import transform
from tests.support.cases import assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster

import terrafine as library

BESSEL = "+ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7 +units=m +no_defs"
CASES: dict[str, tuple[str, float, tuple[float, float]]] = {
    "gauss-kruger": (f"+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 {BESSEL}", 30.0, (3_500_000, 5_500_000)),
    "austria": (
        "+proj=lcc +lat_1=49 +lat_2=46 +lat_0=47.5 +lon_0=13.3333 +x_0=400000 +y_0=400000 +ellps=bessel "
        "+towgs84=577.326,90.129,463.919,5.137,1.474,5.297,2.4232 +units=m +no_defs",
        30.0,
        (400_000, 400_000),
    ),
    "pulkovo": (
        "+proj=tmerc +lat_0=0 +lon_0=39 +k=1 +x_0=7500000 +ellps=krass +towgs84=23.92,-141.27,-80.9,0,0.35,0.82,-0.12 "
        "+units=m +no_defs",
        30.0,
        (7_500_000, 6_000_000),
    ),
    "britain": (
        "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy "
        "+towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489 +units=m +no_defs",
        50.0,
        (400_000, 300_000),
    ),
    "mercator": (f"+proj=merc +lon_0=0 +k=1 +x_0=0 +y_0=0 {BESSEL}", 30.0, (1_000_000, 6_000_000)),
    "degrees": (
        "+proj=longlat +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7 +no_defs",
        1 / 3600,
        (9.0, 50.0),
    ),
    "three": ("+proj=utm +zone=33 +ellps=intl +towgs84=-87,-98,-121 +units=m +no_defs", 30.0, (500_000, 5_000_000)),
}


def dem(path: Path, name: str, **more: Any) -> Path:
    crs, cell, origin = CASES[name]
    return write_raster(path, ground().astype(np.float32), crs=crs, cell=cell, origin=origin, **more)


def middle(path: Path) -> np.ndarray:
    """The middle of a raster in WGS 84, degrees."""
    with rasterio.open(path) as file:
        x, y = file.transform * (file.width / 2, file.height / 2)
        return np.ravel(transform(file.crs, "EPSG:4326", [x], [y]))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", ["plain", "option", "product", "tag"])
def test_the_output_lies_where_the_input_lies(name: str, how: str, tmp_path: Path) -> None:
    stem = "N47E013_SRTM.tif" if how == "product" else "a.tif"
    tags = {"VERTICAL_DATUM": "EGM2008"} if how == "tag" else {}
    source, out = dem(tmp_path / stem, name, tags=tags), tmp_path / "o.tif"
    result = sharpen(source, out, *(("--vertical-datum", "EGM96") if how == "option" else ()))
    if result.exit_code and how != "plain":
        assert_refused(result, output=out)
        return
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(middle(out), middle(source), atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_another_output_crs_puts_it_there_too(name: str, tmp_path: Path) -> None:
    source, out = dem(tmp_path / "a.tif", name), tmp_path / "o.tif"
    result = sharpen(source, out, "--t-srs", "EPSG:3857")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(middle(out), middle(source), atol=2e-3)


@pytest.mark.parametrize("datum", [False, True])
def test_mercator_cells_have_their_size_on_the_ground(datum: bool, tmp_path: Path) -> None:
    from terrafine.raster.read.source import open_source

    crs, cell, origin = CASES["mercator"]
    where = {"cell": cell, "origin": origin}
    bound = write_raster(tmp_path / "b.tif", ground().astype(np.float32), crs=crs, **where)
    free = write_raster(
        tmp_path / "f.tif", ground().astype(np.float32), crs=crs.replace(BESSEL, "+ellps=bessel"), **where
    )
    more = {"vertical_datum": "EGM2008"} if datum else {}
    sizes = [open_source(p, **more).pixel_size_m(slice(0, 4)) for p in (bound, free)]
    np.testing.assert_allclose(*sizes, rtol=1e-3)
    assert sizes[0].max() < 25


def test_arrays_and_evaluations_keep_it(tmp_path: Path) -> None:
    source = dem(tmp_path / "a.tif", "gauss-kruger")
    array = rioxarray.open_rasterio(source, masked=True).squeeze()
    fine = library.sharpen_dem(array, model="nearest", scale=2)
    for crs in (array.rio.crs, fine.rio.crs):
        found = np.ravel(transform(crs, "EPSG:4326", [3_500_000], [5_500_000]))
        expected = np.ravel(transform(CASES["gauss-kruger"][0], "EPSG:4326", [3_500_000], [5_500_000]))
        np.testing.assert_allclose(found, expected, atol=1e-7)
    wgs = tmp_path / "wgs.tif"
    assert sharpen(source, wgs, "--t-srs", "EPSG:25832").exit_code == 0
    result = terrafine("evaluate", wgs, source, "--no-hydrology", "--no-coregistration")
    assert result.exit_code == 0, result.output


def test_radar_and_mosaics_keep_it(tmp_path: Path) -> None:
    source, out = dem(tmp_path / "a.tif", "austria"), tmp_path / "o.tif"
    result = terrafine("radar", source, "--out", out, "--orbit", "ascending", "--quiet")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(middle(out), middle(source), atol=1e-7)
    crs, cell, (x, y) = CASES["austria"]
    east = write_raster(tmp_path / "e.tif", ground().astype(np.float32), crs=crs, cell=cell, origin=(x + 48 * cell, y))
    both = tmp_path / "both.tif"
    assert sharpen(source, east, both).exit_code == 0
    with rasterio.open(both) as file, rasterio.open(source) as first:
        a, b = (np.ravel(transform(f.crs, "EPSG:4326", [x], [y])) for f in (file, first))
    np.testing.assert_allclose(a, b, atol=1e-7)
