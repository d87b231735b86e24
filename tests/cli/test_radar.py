"""`terrafine radar`: the bands, the tags, the tiles, the refusals."""

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.support.cli import Run
from tests.support.rasters import read_bands, write_dem
from tests.support.surfaces import hills

import terrafine.workflows.radar
from terrafine.physics.shadow import radar_masks


def steep(rows: int = 40, columns: int = 60) -> np.ndarray:
    """Hills so steep that some ground is laid over and some in shadow."""
    return (hills(rows, columns) * 3).astype(np.float32)


def tilted(path: Path, slope: float, **profile: object) -> Path:
    """A plane that faces east with that slope in degrees."""
    x = np.arange(32) * -30 * math.tan(math.radians(slope))
    return write_dem(path, np.broadcast_to(2000 + x, (24, 32)).astype(np.float32), **profile)


def write_incidence(path: Path, values: np.ndarray, **profile: object) -> Path:
    write_dem(path, values.astype(np.float32), **profile)
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, "incidence")
    return path


def test_the_output_is_four_bands_on_the_dem_s_grid(dem: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "radar.tif"
    result = run("radar", dem, "-o", out, "--orbit", "descending", "--incidence", 39)
    assert result.exit_code == 0, result.output
    assert "sensor at 99.9° from north, incidence 39°" in result.stdout
    with rasterio.open(out) as file, rasterio.open(dem) as source:
        assert file.descriptions == ("local_incidence", "layover", "shadow", "backscatter")
        assert file.units == ("degree", "1", "1", "dB")
        assert (file.transform, file.crs, file.shape) == (source.transform, source.crs, source.shape)
    bands, tags = read_bands(out)
    assert set(np.unique(bands["layover"])) <= {0, 1}
    assert np.isfinite(bands["backscatter"]).all()
    assert tags["ORBIT"] == "descending"
    assert tags["INCIDENCE_DEG"] == "39"
    assert float(tags["SENSOR_AZIMUTH_DEG"]) == pytest.approx(100, abs=0.5)
    assert float(tags["BACKSCATTER_EXPONENT"]) > 0
    assert tags["INCIDENCE_SOURCE"] == "stated"


def test_ground_that_faces_the_sensor_is_bright_and_its_local_incidence_small(tmp_path: Path, run: Run) -> None:
    plane = tilted(tmp_path / "plane.tif", 15)
    seen = {}
    for orbit in ("ascending", "descending"):
        assert run("radar", plane, "-o", tmp_path / f"{orbit}.tif", "--orbit", orbit, "--incidence", 40).exit_code == 0
        seen[orbit], _ = read_bands(tmp_path / f"{orbit}.tif")
    assert seen["descending"]["local_incidence"] == pytest.approx(25.4, abs=0.5)
    assert seen["ascending"]["local_incidence"] == pytest.approx(54.7, abs=0.5)
    assert seen["descending"]["backscatter"].mean() > seen["ascending"]["backscatter"].mean() + 3


@pytest.mark.parametrize(("slope", "laid_over"), [(35, False), (45, True)])
def test_layover_begins_at_the_incidence(slope: float, laid_over: bool, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "radar.tif"
    plane = tilted(tmp_path / "plane.tif", slope)
    assert run("radar", plane, "-o", out, "--orbit", "descending", "--incidence", 40).exit_code == 0
    assert (read_bands(out)[0]["layover"][3:-3, 3:-3] == laid_over).all()


def test_a_heading_turns_the_sensor(dem: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "radar.tif"
    run("radar", dem, "-o", out, "--orbit", "ascending", "--heading", 350, "--incidence", 39)
    _, tags = read_bands(out)
    assert float(tags["SENSOR_AZIMUTH_DEG"]) == 260
    assert tags["HEADING"] == "350"


def test_without_incidence_mid_swath_is_taken_with_a_warning_and_a_tag(dem: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "radar.tif"
    result = run("radar", dem, "-o", out, "--orbit", "ascending", "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "warning: no incidence was given: mid-swath, 38.5 degrees" in result.stderr
    assert read_bands(out)[1]["INCIDENCE_SOURCE"] == "mid-swath, not given"


def test_an_incidence_raster_says_the_same_as_its_number(dem: Path, tmp_path: Path, run: Run) -> None:
    angle = write_incidence(tmp_path / "angle.tif", np.full((24, 32), 41.0))
    for name, given in (("a", angle), ("b", 41)):
        result = run("radar", dem, "-o", tmp_path / f"{name}.tif", "--orbit", "ascending", "--incidence", given)
        assert result.exit_code == 0, result.output
    a, tags = read_bands(tmp_path / "a.tif")
    b, _ = read_bands(tmp_path / "b.tif")
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    assert tags["INCIDENCE_SOURCE"] == "angle.tif"


def test_cells_without_incidence_are_missing(dem: Path, tmp_path: Path, run: Run) -> None:
    values = np.full((24, 32), 41.0)
    values[:, 20:] = -32768
    angle = write_incidence(tmp_path / "angle.tif", values)
    assert run("radar", dem, "-o", tmp_path / "a.tif", "--orbit", "ascending", "--incidence", angle).exit_code == 0
    for values in read_bands(tmp_path / "a.tif")[0].values():
        assert np.isnan(values[:, 20:]).all()
        assert np.isfinite(values[:, :20]).all()


def test_a_void_and_the_cells_beside_it_are_missing(tmp_path: Path, run: Run) -> None:
    heights = hills()
    heights[10, 12] = -32768
    out = tmp_path / "radar.tif"
    dem = write_dem(tmp_path / "void.tif", heights)
    assert run("radar", dem, "-o", out, "--orbit", "ascending", "--incidence", 40).exit_code == 0
    missing = np.zeros((24, 32), bool)
    missing[9:12, 11:14] = True
    for values in read_bands(out)[0].values():
        np.testing.assert_array_equal(np.isnan(values), missing)


@pytest.mark.parametrize("tile", [(7, 11), (16, 40)])
def test_tiles_make_no_difference(tile, tmp_path: Path, run: Run, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    dem = write_dem(tmp_path / "steep.tif", steep())
    options = ("--orbit", "descending", "--incidence", 45)
    assert run("radar", dem, "-o", tmp_path / "whole.tif", *options).exit_code == 0
    monkeypatch.setattr(terrafine.workflows.radar, "_TILE", tile)
    assert run("radar", dem, "-o", tmp_path / "tiled.tif", *options).exit_code == 0
    whole, tiled = read_bands(tmp_path / "whole.tif")[0], read_bands(tmp_path / "tiled.tif")[0]
    for name in whole:
        np.testing.assert_array_equal(whole[name], tiled[name])
    assert whole["layover"].any()
    assert whole["shadow"].any()
    expected = radar_masks(steep().astype(float), np.full((2, 40), 30.0), 45.0, 99.9)
    assert (whole["layover"] == expected.layover).mean() > 0.99
    monkeypatch.setattr(terrafine.workflows.radar, "_halo", lambda *_: ((1, 1), 0.0))
    assert run("radar", dem, "-o", tmp_path / "short.tif", *options).exit_code == 0
    assert (read_bands(tmp_path / "short.tif")[0]["layover"] != whole["layover"]).any()


def test_reach_beyond_the_longest_halo_is_said(tmp_path: Path, run: Run, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(terrafine.workflows.radar, "_MOST_HALO", 5)
    dem = write_dem(tmp_path / "steep.tif", steep())
    result = run("radar", dem, "-o", tmp_path / "r.tif", "--orbit", "ascending", "--incidence", 40)
    assert "5 cells, and no farther" in result.stderr


def test_the_grid_s_north_need_not_be_the_true_one(tmp_path: Path, run: Run) -> None:
    # 5 degrees east of zone 33's central meridian at 60 N, true north lies 4.3 degrees west of the grid's.
    away = write_dem(tmp_path / "away.tif", transform=from_origin(778_000, 6_660_000, 30, 30))
    assert run("radar", away, "-o", tmp_path / "r.tif", "--orbit", "ascending", "--incidence", 40).exit_code == 0
    tags = read_bands(tmp_path / "r.tif")[1]
    turned = float(tags["SENSOR_AZIMUTH_GRID_DEG"]) - float(tags["SENSOR_AZIMUTH_DEG"])
    expected = -math.atan(math.tan(math.radians(5)) * math.sin(math.radians(60)))
    assert turned == pytest.approx(math.degrees(expected), abs=0.1)


def test_a_geographic_dem_is_seen_from_its_own_latitude(tmp_path: Path, run: Run) -> None:
    dem = write_dem(tmp_path / "d.tif", crs="EPSG:4326", transform=from_origin(11, -35, 1 / 3600, 1 / 3600))
    assert run("radar", dem, "-o", tmp_path / "r.tif", "--orbit", "ascending").exit_code == 0
    assert float(read_bands(tmp_path / "r.tif")[1]["SENSOR_AZIMUTH_DEG"]) == pytest.approx(253.8, abs=0.2)


REFUSED = [
    (("--orbit", "sideways"), 2, "is not one of"),
    ((), 2, "Missing option '--orbit'"),
    (("--orbit", "ascending", "--heading", 194), 2, "not of orbit 'ascending'"),
    (("--orbit", "ascending", "--heading", "nan"), 2, "--heading nan; expected a number"),
    (("--orbit", "ascending", "--incidence", 5), 2, "expected 10 to 60"),
    (("--orbit", "ascending", "--incidence", 0.67), 2, "expected 10 to 60"),
    (("--orbit", "ascending", "--incidence", "nowhere.tif"), 3, "nowhere.tif"),
    (("--orbit", "ascending", "--latitude", 123), 2, "-90 to 90"),
    (("--orbit", "ascending", "--latitude", 85), 2, "at most 81.8"),
    (("--orbit", "ascending", "--band", "elevation=3"), 4, "band"),
]


@pytest.mark.parametrize(("options", "code", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused(options, code, message, dem: Path, tmp_path: Path, run: Run) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "radar.tif"
    result = run("radar", dem, "-o", out, *options)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert not out.exists()


def test_incidence_out_of_range_in_a_file_is_4(dem: Path, tmp_path: Path, run: Run) -> None:
    for name, value in (("radians", 0.67), ("local", 75.0)):
        angle = write_incidence(tmp_path / f"{name}.tif", np.full((24, 32), value))
        result = run("radar", dem, "-o", tmp_path / "r.tif", "--orbit", "ascending", "--incidence", angle)
        assert result.exit_code == 4, result.output
        assert "expected 10 to 60" in result.output


def test_incidence_of_another_place_is_5_and_all_void_is_7(dem: Path, tmp_path: Path, run: Run) -> None:
    away = write_incidence(tmp_path / "away.tif", np.full((24, 32), 40.0), transform=from_origin(7e5, 6e6, 30, 30))
    void = write_incidence(tmp_path / "void.tif", np.full((24, 32), -32768.0))
    for angle, code in ((away, 5), (void, 7)):
        result = run("radar", dem, "-o", tmp_path / "r.tif", "--orbit", "ascending", "--incidence", angle)
        assert result.exit_code == code, result.output


def test_a_dem_without_crs_needs_a_size_and_a_place(tmp_path: Path, run: Run) -> None:
    bare, out = write_dem(tmp_path / "bare.tif", crs=None), tmp_path / "r.tif"
    assert run("radar", bare, "-o", out, "--orbit", "ascending").exit_code == 5
    result = run("radar", bare, "-o", out, "--orbit", "ascending", "--pixel-size", 30)
    assert (result.exit_code, "state --latitude, or --heading" in result.output) == (2, True)
    for place in (("--latitude", 45), ("--heading", 346)):
        result = run("radar", bare, "-o", out, "--orbit", "ascending", "--pixel-size", 30, *place)
        assert result.exit_code == 0, result.output


def test_a_dem_of_nothing_but_nodata_is_7(tmp_path: Path, run: Run) -> None:
    void = write_dem(tmp_path / "void.tif", np.full((24, 32), -32768, np.float32))
    assert run("radar", void, "-o", tmp_path / "r.tif", "--orbit", "ascending").exit_code == 7


def test_a_grid_whose_north_turns_is_5(tmp_path: Path, run: Run) -> None:
    corner = from_origin(-480_000, -1_600_000, 30_000, 30_000)
    polar = write_dem(tmp_path / "polar.tif", crs="EPSG:3413", transform=corner)
    result = run("radar", polar, "-o", tmp_path / "r.tif", "--orbit", "ascending")
    assert (result.exit_code, "north turns by" in result.output) == (5, True)


def test_the_input_is_never_overwritten(dem: Path, tmp_path: Path, run: Run) -> None:
    before = dem.read_bytes()
    assert run("radar", dem, "-o", dem, "--orbit", "ascending").exit_code == 12
    angle = write_incidence(tmp_path / "angle.tif", np.full((24, 32), 41.0))
    assert run("radar", dem, "-o", angle, "--orbit", "ascending", "--incidence", angle).exit_code == 12
    assert dem.read_bytes() == before
