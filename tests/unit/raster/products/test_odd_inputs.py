"""Products under odd names, on grids and in steps that are not theirs, and rasters of which no product follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from tests.support.rasters import write_raster
from tests.support.sensors import fractal

from terrafine.raster.products import resolve_product
from terrafine.raster.products.names import named, origin_note
from terrafine.raster.products.registry import identify_product
from terrafine.raster.read.source import open_source

ARCSECOND = 1 / 3600


@pytest.fixture(scope="module")
def ground() -> np.ndarray:
    return 900 + fractal(200, beta=4.6, relief=300.0)


def written(path: Path, values: np.ndarray, *, latitude: float = 46.0, across: float = 1.0, **settings: object) -> Path:
    """A raster on a geographic grid of 1", or of `across` arc seconds along a parallel."""
    transform = Affine(across * ARCSECOND, 0, 11, 0, -ARCSECOND, latitude)
    return write_raster(path, values, crs="EPSG:4326", transform=transform, unit="m", **settings)


@pytest.mark.parametrize(
    ("name", "pitch", "key"),
    [
        ("NASA_DEM_n45.tif", 30.9, "nasadem"),
        ("nasadem_be_n37w119.tif", 30.9, "nasadem"),
        ("output_COP30.tif", 30.9, "glo30"),
        ("COP_DEM_GLO_30.tif", 30.9, "glo30"),
        ("copernicus_dem_30m.tif", 30.9, "glo30"),
        ("Copernicus DEM 30m.tif", 30.9, "glo30"),
        ("COP-DEM_GLO-30-DGED__2021_1.tif", 30.9, "glo30"),
        ("Copernicus_DSM_30_N45_00_E006_00_DEM.tif", 92.6, "glo90"),
        ("GLO_90.tif", 92.6, "glo90"),
        ("output_AW3D30_E.tif", 30.9, "aw3d30"),
        ("alos-aw3d-30.tif", 30.9, "aw3d30"),
        ("N045E006_AVE_DSM.tif", 30.9, "aw3d30"),
        ("aster-dem.tif", 30.9, "aster"),
        ("ASTER_GDEM_v3.tif", 30.9, "aster"),
        ("SRTM_v3.tif", 30.9, "srtm1"),
        ("Copernicus GLO-30.tif", 30.9, "glo30"),
        ("copernicus_glo90.tif", 92.6, "glo90"),
        ("TDM1_DEM__30_N45E006_DEM.tif", 92.6, "tandemx90"),
        ("n30e000_elv.tif", 92.6, "merit"),
        ("srtm_30m.tif", 30.9, "srtm1"),
        ("output_SRTMGL1_E.tif", 30.9, "srtm1"),
    ],
)
def test_odd_spellings_are_recognised(name: str, pitch: float, key: str) -> None:
    found = named(name, pitch)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize(
    "name",
    [
        "SRTM15Plus.tif",
        "srtm15p_v2.tif",
        "SRTM30_PLUS.tif",
        "microscop30.tif",
        "glo300.tif",
        "hydrosheds_elv.tif",
        "TDM1_DEM__04_N45E006_DEM.tif",
        "SRTM15+V2.tif",
        "SRTM15_V2.5.5.tif",
        "raster_dem.tif",
        "Master DEM.tif",
        "disaster_gdem.tif",
        "aster_demand.tif",
        "demerit_dem.tif",
        "Copernicus_30m_ndvi.tif",
        "copernicus_dem_30cm.tif",
    ],
)
def test_names_of_other_things_are_not(name: str) -> None:
    assert named(name, 30.9) is None
    assert identify_product(name) is None


@pytest.mark.parametrize(
    ("name", "datum"),
    [
        ("output_SRTMGL1.tif", "EGM96"),
        ("output_SRTMGL1_E.tif", "WGS84 ellipsoid"),
        ("AW3D30_E.tif", "WGS84 ellipsoid"),
        ("AW3D30_europe.tif", "EGM96"),
        ("SRTM_GL1_Ellip.tif", "WGS84 ellipsoid"),
        ("SRTM_GL1_Ellip_srtm.tif", "WGS84 ellipsoid"),
        ("output_SRTMGL1E.tif", "WGS84 ellipsoid"),
        ("AW3D30_ellipsoid.tif", "WGS84 ellipsoid"),
        ("SRTM_GL1_ellipse_island.tif", "EGM96"),
    ],
)
def test_heights_above_the_ellipsoid_are_known_by_their_name(
    name: str, datum: str, ground: np.ndarray, tmp_path: Path
) -> None:
    with open_source(written(tmp_path / name, ground.round())) as source:
        assert source.vertical is not None
        assert source.vertical.name == datum


def test_glo30_far_north_has_its_own_cells_and_its_blur_in_metres(ground: np.ndarray, tmp_path: Path) -> None:
    found = {}
    for latitude, across in ((10.0, 1.0), (65.0, 2.0), (79.9, 3.0)):
        name = f"Copernicus_DSM_COG_10_N{int(latitude)}_00_E011_00_DEM.tif"
        path = written(tmp_path / name, ground.astype(np.float32), latitude=latitude, across=across)
        with open_source(path) as source:
            resolved = resolve_product(source)
            size = source.pixel_size_m(slice(100, 101))[:, 0]
        assert resolved.product.key == "glo30"
        assert not resolved.note
        found[latitude] = resolved.product.sensor.psf_cells * float(np.sqrt(size.prod()))
    np.testing.assert_allclose(list(found.values()), found[10.0], rtol=0.02)


def test_voids_do_not_hide_the_product(ground: np.ndarray, tmp_path: Path) -> None:
    values = ground.round()
    values[20:60, 30:90] = np.nan
    with open_source(written(tmp_path / "ALPSMLC30_N046E011_DSM.tif", values)) as source:
        found = resolve_product(source)
    assert found.product.key == "aw3d30"
    assert not found.note


def test_srtm_in_feet_is_read_in_metres_and_noted(ground: np.ndarray, tmp_path: Path) -> None:
    path = written(tmp_path / "N45E011.SRTMGL1.tif", (ground / 0.3048).round())
    with open_source(path, elevation_unit="ft") as source:
        values, _ = source.read("elevation", slice(0, 200), slice(0, 200))
        found = resolve_product(source)
    assert abs(float(values.mean()) - float(ground.mean())) < 1.0
    assert found.product.key == "srtm1"
    assert "not in whole metres" in found.note
    assert "filtered or converted" in found.note


def test_a_product_on_a_projected_grid_was_resampled_and_says_so(ground: np.ndarray, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "Copernicus_DSM_COG_10_N46_00_E011_00_DEM.tif", ground, cell=30.0, unit="m")
    with open_source(path) as source:
        found, stated = resolve_product(source), resolve_product(source, "glo30")
    assert (found.product.key, found.how) == ("glo30", "from the file name")
    assert "its grid is projected" in found.note
    assert "it was resampled" in found.note
    assert not stated.note, "the user has the last word"
    assert stated.product.sensor == found.product.sensor


def test_whole_metres_in_a_float_file_are_rounded_heights(ground: np.ndarray, tmp_path: Path) -> None:
    with open_source(written(tmp_path / "dem.tif", ground.round().astype(np.float32))) as source:
        found = resolve_product(source)
    assert found.product.key == "srtm1"
    assert found.product.sensor.rounding_m == 1.0
    assert "NASADEM, AW3D30 and ASTER" in found.note
    with open_source(written(tmp_path / "N45E011.SRTMGL1.tif", ground.round().astype(np.float32))) as source:
        assert not resolve_product(source).note


def test_an_output_of_terrafine_is_named_as_one(ground: np.ndarray, tmp_path: Path) -> None:
    tags = {"MODEL": "ridgeline2 2.2", "SYSTEM": "ridgeline2", "SOURCE_SHA256": "0", "PRODUCT": "srtm1"}
    with open_source(written(tmp_path / "srtm1_fine.tif", ground, tags=tags)) as source:
        found = resolve_product(source)
    assert found.product.key == "unknown"
    assert "an output of Terrafine (ridgeline2 2.2)" in found.note
    assert "larger scale" in found.note


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["N49E011.hgt", "NASADEM_HGT_n49e012.hgt"], 'files are of NASADEM 1", SRTM 1", and no one'),
        (["N49E011.hgt", "dem.tif"], 'files are of SRTM 1" and files of no known product such as dem.tif'),
        (["N49E011.hgt", "N49E012.hgt"], ""),
        (["a.tif", "b.tif"], ""),
        ([], ""),
    ],
)
def test_a_mosaic_of_several_products_names_them(names: list[str], words: str) -> None:
    found = origin_note(names, {}, 30.9)
    assert (words in found) if words else not found


def test_a_mosaic_of_two_products_is_resolved_with_that_note(ground: np.ndarray, tmp_path: Path) -> None:
    half = ground[:, :100].round()
    paths = [
        write_raster(
            tmp_path / name,
            half,
            crs="EPSG:4326",
            transform=Affine(ARCSECOND, 0, 11 + i * 100 * ARCSECOND, 0, -ARCSECOND, 46),
            unit="m",
            tags={"VERTICAL_DATUM": "EGM96"},
        )
        for i, name in enumerate(("N45E011.SRTMGL1.tif", "NASADEM_HGT_n45e011.tif"))
    ]
    with open_source(paths) as source:
        found = resolve_product(source)
    assert found.product.key == "unknown"
    assert "no one sensor model describes them all" in found.note
