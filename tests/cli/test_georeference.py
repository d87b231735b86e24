"""Units, datums and datum shifts, wherever a DEM enters: right, or refused with advice that can be followed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform
from tests.support.cli import Run
from tests.support.crs import GAUSS
from tests.support.rasters import heights, write_raster

from terrafine import sharpen_dem
from terrafine.errors import GridError

FEET = {"crs": "EPSG:2263", "origin": (980_000, 200_000), "cell": 30.0}
NEAREST = ("--scale", 2, "--model", "nearest", "--quiet")


def feet(path: Path, cell: float = 30.0, shape: tuple[int, int] = (40, 50), **more: object) -> Path:
    return write_raster(path, heights(shape), **{**FEET, "cell": cell, **more})  # type: ignore[arg-type]


def test_dem_and_a_mosaic_in_feet_are_refused_until_the_unit_is_stated(run: Run, tmp_path: Path) -> None:
    one = feet(tmp_path / "a.tif")
    two = feet(tmp_path / "b.tif", origin=(980_000 + 50 * 30, 200_000))
    for inputs in ((one,), (one, two)):
        refused = run("dem", *inputs, tmp_path / "o.tif", *NEAREST)
        assert refused.exit_code == 5 and "--elevation-unit UNIT" in refused.output
        assert not (tmp_path / "o.tif").exists() and not (tmp_path / "o.tif.job").exists()
        done = run("dem", *inputs, tmp_path / "o.tif", *NEAREST, "--elevation-unit", "ft")
        assert done.exit_code == 0, done.output
        with rasterio.open(tmp_path / "o.tif") as file:
            assert file.units == ("m",)
            assert np.isclose(file.read(1)[:80, :100].mean(), heights().mean() * 0.3048, atol=0.01)
        (tmp_path / "o.tif").unlink()


@pytest.mark.parametrize("unit", ["ft", "us-ft", "m", "cm"])
def test_a_stated_band_unit_needs_no_option(run: Run, tmp_path: Path, unit: str) -> None:
    done = run("dem", feet(tmp_path / "a.tif", unit=unit), tmp_path / "o.tif", *NEAREST)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("which", ["candidate", "reference", "coarse"])
def test_evaluate_refuses_heights_of_unstated_unit_wherever_they_stand(run: Run, tmp_path: Path, which: str) -> None:
    fine, coarse = (40, 60), (20, 30)
    files = {
        name: feet(tmp_path / f"{name}.tif", cell, shape, unit="" if name == which else "ft")
        for name, cell, shape in (("candidate", 30.0, fine), ("reference", 30.0, fine), ("coarse", 60.0, coarse))
    }
    options = ("--coarse", files["coarse"], "--no-hydrology", "--no-coregistration", "--quiet", "--out", tmp_path / "r")
    refused = run("evaluate", files["candidate"], files["reference"], *options)
    assert refused.exit_code == 5, refused.output
    assert f"{which}.tif: nothing states the unit of its heights" in refused.output
    assert "elevation_unit" not in refused.output
    with rasterio.open(files[which], "r+") as file:  # as the advice has it, gdal_edit -units
        file.units = ("ft",)
    assert run("evaluate", files["candidate"], files["reference"], *options).exit_code == 0


def test_radar_refuses_heights_of_unstated_unit(run: Run, tmp_path: Path) -> None:
    command = ("radar", feet(tmp_path / "a.tif"), "--out", tmp_path / "o.tif", "--orbit", "ascending")
    refused = run(*command)
    assert refused.exit_code == 5 and "--elevation-unit UNIT" in refused.output
    assert run(*command, "--elevation-unit", "ft").exit_code == 0


def test_a_dataarray_in_feet_is_refused(tmp_path: Path) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    array = rioxarray.open_rasterio(feet(tmp_path / "a.tif"), masked=True).squeeze("band", drop=True)
    with pytest.raises(GridError, match="unit"):
        sharpen_dem(array, scale=2, model="nearest")


def test_training_refuses_terrain_of_unstated_unit(tmp_path: Path) -> None:
    from terrafine.training.dem.terrain import load_terrains

    feet(tmp_path / "a.tif")
    with pytest.raises(GridError, match="nothing states the unit"):
        load_terrains(tmp_path, {"a.tif": 1.0})


def test_info_describes_heights_of_unstated_unit(run: Run, tmp_path: Path) -> None:
    done = run("info", feet(tmp_path / "a.tif"))
    assert done.exit_code == 0 and "unit: not stated" in done.output


SOLID = ["EPSG:32632", "EPSG:3857", "EPSG:25832", GAUSS]


@pytest.mark.parametrize("crs", SOLID)
def test_ellipsoidal_heights_do_not_mix_with_others(run: Run, tmp_path: Path, crs: str) -> None:
    from pyproj import CRS

    flat = CRS.from_user_input(crs)
    solid = CRS.from_proj4(GAUSS + " +vunits=m") if crs == GAUSS else flat.to_3d()
    origin = (3_500_000, 5_500_000) if crs == GAUSS else (500_000, 5_100_000)
    ellipsoid = write_raster(tmp_path / "a.tif", heights(), crs=solid.to_wkt(), origin=origin)
    east = (origin[0] + 50 * 30, origin[1])
    geoid = write_raster(
        tmp_path / "b.tif", heights(), crs=flat.to_wkt(), origin=east, tags={"VERTICAL_DATUM": "EGM96"}
    )
    info = run("info", ellipsoid)
    assert "ellipsoid" in next(line for line in info.output.splitlines() if line.startswith("vertical"))
    mosaic = run("dem", ellipsoid, geoid, tmp_path / "o.tif", *NEAREST)
    assert mosaic.exit_code == 6 and not (tmp_path / "o.tif").exists(), mosaic.output
    same = write_raster(
        tmp_path / "c.tif", heights(), crs=flat.to_wkt(), origin=origin, tags={"VERTICAL_DATUM": "EGM96"}
    )
    judged = run("evaluate", ellipsoid, same, "--no-hydrology", "--no-coregistration", "--quiet")
    assert judged.exit_code == 6, judged.output
    done = run("dem", ellipsoid, tmp_path / "o.tif", *NEAREST)
    assert done.exit_code == 0, done.output
    again = run("info", tmp_path / "o.tif")  # the output says so too
    assert "ellipsoid" in next(line for line in again.output.splitlines() if line.startswith("vertical"))


@pytest.mark.parametrize("datum", [(), ("--vertical-datum", "DHHN92"), ("--vertical-datum", "EGM2008")])
def test_a_datum_shift_is_kept_beside_a_vertical_datum(run: Run, tmp_path: Path, datum: tuple[str, ...]) -> None:
    path = write_raster(tmp_path / "SRTM_a.tif", heights(), crs=GAUSS, origin=(3_500_000, 5_500_000))
    done = run("dem", path, tmp_path / "o.tif", *NEAREST, *datum)
    assert done.exit_code == 0, done.output
    with rasterio.open(path) as a, rasterio.open(tmp_path / "o.tif") as b:
        there = [np.ravel(transform(f.crs, "EPSG:25832", [3_500_300], [5_499_700])) for f in (a, b)]
    assert np.hypot(*(there[0] - there[1])) < 0.001
    info = run("info", tmp_path / "o.tif").output
    assert (datum[1] if datum else "EGM96") in info
    target = ("--t-srs", "EPSG:25832", "--tr", 15, 15)
    moved = run("dem", path, tmp_path / "w.tif", *NEAREST[2:], *datum, *target)
    assert moved.exit_code == 0, moved.output
    with rasterio.open(tmp_path / "w.tif") as file:
        inside = file.bounds.left < there[0][0] < file.bounds.right and file.bounds.bottom < there[0][1]
        assert inside and there[0][1] < file.bounds.top


def test_a_crs_that_a_geotiff_cannot_keep_is_refused_before_the_run(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", heights(), crs=GAUSS, origin=(3_500_000, 5_500_000))
    grids = GAUSS.replace("+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7", "+nadgrids=BETA2007.gsb")
    (tmp_path / "a.vrt").write_text(
        f"<VRTDataset rasterXSize='50' rasterYSize='40'><SRS>{grids}</SRS>"
        "<GeoTransform>3500000,30,0,5500000,0,-30</GeoTransform><VRTRasterBand dataType='Float32' band='1'>"
        "<SimpleSource><SourceFilename relativeToVRT='1'>a.tif</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    refused = run("dem", tmp_path / "a.vrt", tmp_path / "o.tif", *NEAREST)
    assert refused.exit_code == 5 and "cannot be stored in a GeoTIFF" in refused.output, refused.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "a.vrt"]
