from __future__ import annotations

import shutil
from collections import namedtuple

import numpy as np
import pytest
import rasterio
from PIL import Image
from tests.support.fakes import noisy_heights
from tests.support.rasters import read_band, write_raster

import terrafine
from terrafine.errors import (
    BandError,
    DiskError,
    EmptyError,
    GridError,
    JobError,
    NoModelError,
    OutputError,
    ResourceError,
    SourceError,
    UsageError,
)
from terrafine.raster.write import cog_writer
from terrafine.workflows.outputs.preview import shaded_relief

VOID = -32768.0


def smooth(shape=(50, 40), void=True):
    y, x = np.mgrid[: shape[0], : shape[1]]
    values = (600 + 100 * np.sin(y / 5) * np.cos(x / 6)).astype(np.float32)
    if void:
        values[10:14, 20:29] = np.nan
    return values


def write_tif(path, values, *, pixel=30.0, **more):
    origin = (500_000, 5_200_000) if pixel > 1 else (12.0, 47.0)
    return write_raster(path, values, cell=pixel, origin=origin, **({"nodata": VOID, "dtype": "float32"} | more))


@pytest.fixture
def coarse(tmp_path):
    return write_tif(tmp_path / "coarse.tif", smooth())


def test_a_file_becomes_a_finer_file_on_the_same_extent(tmp_path, coarse):
    out = terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=3)
    with rasterio.open(out) as fine, rasterio.open(coarse) as before:
        assert (fine.height, fine.width) == (150, 120)
        np.testing.assert_allclose(fine.bounds, before.bounds)
        assert fine.crs == before.crs
        assert fine.nodata == VOID
        assert fine.descriptions == ("elevation",)
        tags = fine.tags(ns="TERRAFINE")
    assert tags["MODEL"] == "bicubic 1"
    assert tags["SCALE"] == "3"
    assert tags["CONSISTENCY"] == "hard"
    assert float(tags["CONSISTENCY_RESIDUAL_M"]) < 0.01
    assert tags["SOURCE"] == "coarse.tif"
    assert tags["VERSION"] == terrafine.__version__
    assert sorted(p.name for p in tmp_path.iterdir()) == ["coarse.tif", "fine.tif"]


def test_the_observation_is_kept_and_missing_stays_missing(tmp_path, coarse):
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic")
    means = read_band(tmp_path / "fine.tif").astype(float).reshape(50, 4, 40, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(means, smooth(), atol=0.01)
    unkept = terrafine.sharpen_dem(coarse, tmp_path / "none.tif", model="bicubic", consistency="none")
    means = read_band(unkept).astype(float).reshape(50, 4, 40, 4).mean(axis=(1, 3))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(means, smooth(), atol=0.01)


def test_file_and_array_give_the_same_heights(tmp_path, coarse):
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=2)
    array = terrafine.sharpen_dem(smooth(), model="bicubic", scale=2, pixel_size_m=30.0)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(read_band(tmp_path / "fine.tif"), array)


def test_the_tile_does_not_matter(tmp_path):
    values = noisy_heights((70, 60), 2, 0.03)
    one = terrafine.sharpen_dem(values, model="bicubic", pixel_size_m=(30.0, 20.0), tile=64)
    two = terrafine.sharpen_dem(values, model="bicubic", pixel_size_m=(30.0, 20.0), tile=16)
    np.testing.assert_allclose(one, two, atol=2e-4)


@pytest.mark.parametrize("south_up", [False, True])
def test_a_data_array_keeps_its_georeference_and_attributes(tmp_path, coarse, south_up):
    rioxarray = pytest.importorskip("rioxarray")
    with rioxarray.open_rasterio(coarse, masked=True) as opened:
        before = opened.squeeze("band", drop=True).rename({"y": "lat", "x": "lon"}).rename("height").load()
    before.attrs["long_name"] = "hills"
    given = before.isel(lat=slice(None, None, -1)) if south_up else before
    after = terrafine.sharpen_dem(given, model="bicubic", scale=2)
    assert after.dims == ("lat", "lon")
    assert after.name == "height"
    assert after.attrs["long_name"] == "hills"
    spatial = after.rio.set_spatial_dims("lon", "lat")
    assert spatial.rio.crs == before.rio.crs
    assert after.rio.encoded_nodata == VOID
    north_up = after.isel(lat=slice(None, None, -1)) if south_up else after
    assert float(north_up["lat"][0]) > float(north_up["lat"][-1])
    bounds = (a.rio.set_spatial_dims("lon", "lat").rio.bounds() for a in (north_up, before))
    np.testing.assert_allclose(*bounds)
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=2)
    np.testing.assert_array_equal(north_up.values, read_band(tmp_path / "fine.tif"))


def test_another_grid_is_reached_by_a_warp(tmp_path):
    coarse = write_tif(tmp_path / "coarse.tif", smooth((80, 80)), crs="EPSG:4326", pixel=1 / 3600)
    out = terrafine.sharpen_dem(
        coarse, tmp_path / "utm.tif", model="bicubic", target_crs="EPSG:32633", target_resolution=(10.0, 10.0)
    )
    with rasterio.open(out) as fine:
        assert fine.crs.to_epsg() == 32633
        assert fine.res == (10.0, 10.0)
        assert fine.tags(ns="TERRAFINE")["SCALE"] == "4"  # 31 m in y: ×3 is 10.3 m, not as fine as asked
    values = read_band(out)
    assert 490 < np.nanmin(values) < np.nanmax(values) < 710
    assert not list(tmp_path.glob("*.job"))


@pytest.mark.parametrize(
    ("asked", "scale"), [(15.0, "2"), (12.0, "3"), (10.0, "3"), (7.5, "4"), (5.0, "4"), (25.0, "2")]
)
def test_the_scale_is_the_smallest_that_is_fine_enough(tmp_path, coarse, asked, scale):
    out = terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", target_resolution=(asked, asked))
    with rasterio.open(out) as fine:
        assert fine.tags(ns="TERRAFINE")["SCALE"] == scale
        assert fine.res == (asked, asked)


def test_what_cannot_be_written_is_refused_at_once(tmp_path, coarse):
    before = coarse.read_bytes()
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "link.tif").symlink_to(coarse)
    for out, message in [
        (coarse, "is the input itself"),
        (tmp_path / "link.tif", "is the input itself"),
        (tmp_path / "folder.tif", "is a folder"),
        (tmp_path / "missing" / "fine.tif", "does not exist"),
    ]:
        with pytest.raises(OutputError, match=message):
            terrafine.sharpen_dem(coarse, out, model="bicubic")
    with pytest.raises(OutputError, match="both output and preview"):
        terrafine.sharpen_dem(coarse, tmp_path / "a.tif", model="bicubic", preview=tmp_path / "a.tif")
    assert coarse.read_bytes() == before


def test_a_part_of_a_vrt_is_never_overwritten(tmp_path, coarse):
    vrt = tmp_path / "all.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="40" rasterYSize="50"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000,30,0,5200000,0,-30</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><NoDataValue>-32768</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">coarse.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(OutputError, match="is the input itself"):
        terrafine.sharpen_dem(vrt, coarse, model="bicubic")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"scale": 7}, NoModelError),
        ({"model": "atlantis"}, NoModelError),
        ({"uncertainty": True}, NoModelError),
        ({"consistency": "firm"}, UsageError),
        ({"memory": 1000}, ResourceError),
        ({"target_crs": "EPSG:0"}, GridError),
    ],
)
def test_a_refused_run_leaves_nothing_behind(tmp_path, coarse, options, error):
    with pytest.raises(error):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", **{"model": "bicubic", **options})
    assert not (tmp_path / "fine.tif").exists()


def test_inputs_that_cannot_serve_leave_nothing_behind(tmp_path):
    empty = write_tif(tmp_path / "empty.tif", np.full((20, 20), np.nan, np.float32))
    for path, error in [(empty, EmptyError), (tmp_path / "none.tif", SourceError)]:
        with pytest.raises(error):
            terrafine.sharpen_dem(path, tmp_path / "fine.tif", model="bicubic")
    assert [p.name for p in tmp_path.iterdir()] == ["empty.tif"]


def test_arguments_that_cannot_be_meant_are_refused(coarse, tmp_path):
    values = smooth()
    for source, options, message in [
        (coarse, {}, "needs a destination"),
        (values, {}, "need pixel_size_m"),
        (values, {"pixel_size_m": -1.0}, "metres above 0"),
        (values[0], {"pixel_size_m": 30.0}, r"heights as \(y, x\)"),
        (values, {"pixel_size_m": 30.0, "preview": "a.png"}, "for a DEM in a file"),
        (3.0, {}, "cannot be a float"),
    ]:
        with pytest.raises(UsageError, match=message):
            terrafine.sharpen_dem(source, model="bicubic", **options)
    with pytest.raises(EmptyError):
        terrafine.sharpen_dem(values * np.nan, model="bicubic", pixel_size_m=30.0)


def test_a_cut_run_goes_on_and_a_changed_one_is_refused(tmp_path, coarse, monkeypatch):
    real = cog_writer.write_cog

    def full(*args, **kwargs):
        raise DiskError("full")

    monkeypatch.setattr(cog_writer, "write_cog", full)
    with pytest.raises(DiskError):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=2)
    monkeypatch.setattr(cog_writer, "write_cog", real)
    with pytest.raises(JobError) as error:
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=2, consistency="none")
    assert '  consistency: was "hard", now "none"' in str(error.value)
    reports = []
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=2, report=reports.append)
    assert (reports[0].shards_run, reports[0].shards_resumed) == (0, reports[0].plan.shards)
    terrafine.sharpen_dem(coarse, tmp_path / "undisturbed.tif", model="bicubic", scale=2)
    assert (tmp_path / "fine.tif").read_bytes() == (tmp_path / "undisturbed.tif").read_bytes()


def test_a_changed_input_is_refused_unless_told_to_restart(tmp_path, coarse, monkeypatch):
    real = cog_writer.write_cog
    monkeypatch.setattr(cog_writer, "write_cog", lambda *a, **k: (_ for _ in ()).throw(DiskError("full")))
    with pytest.raises(DiskError):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic")
    monkeypatch.setattr(cog_writer, "write_cog", real)
    write_tif(coarse, smooth() + 1)
    with pytest.raises(JobError, match="its content is another"):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic")
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", restart=True)
    assert np.nanmax(read_band(tmp_path / "fine.tif")) > 700


def test_the_preview_is_a_picture_of_the_result(tmp_path, coarse):
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", preview=tmp_path / "fine.png")
    picture = np.asarray(Image.open(tmp_path / "fine.png"))
    assert picture.shape == (200, 160)
    assert (picture[44:52, 84:112] == 255).all(), "voids are white"
    assert picture[100:].std() > 5


def test_light_comes_from_the_north_west():
    y, x = np.mgrid[:9, :9].astype(float)
    size = np.full((2, 9), 30.0)
    facing, away = shaded_relief(10 * (x + y), size), shaded_relief(-10 * (x + y), size)
    flat = shaded_relief(0 * x, size)
    assert facing[4, 4] > flat[4, 4] > away[4, 4]
    assert flat[4, 4] == int(250 * np.sqrt(0.5))


def test_an_output_that_is_a_link_replaces_what_it_leads_to_and_stays_a_link(tmp_path, coarse):
    (tmp_path / "disk").mkdir()
    for name in ("fine.tif", "fine.png"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    out = terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", preview=tmp_path / "fine.png")
    assert out == tmp_path / "fine.tif"
    for name in ("fine.tif", "fine.png"):
        assert (tmp_path / name).is_symlink()
        assert not (tmp_path / "disk" / name).is_symlink()
    assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["fine.png", "fine.tif"]
    assert read_band(out).shape == (200, 160)


def test_masked_cells_of_a_numpy_array_are_missing(tmp_path):
    values = smooth(void=False)
    hole = np.zeros(values.shape, bool)
    hole[20:24, 10:13] = True
    masked = np.ma.MaskedArray(np.where(hole, 8000.0, values), hole)
    plain = np.where(hole, np.nan, values)
    given, expected = (terrafine.sharpen_dem(a, model="bicubic", pixel_size_m=30.0) for a in (masked, plain))
    assert np.isnan(expected).sum() == 16 * hole.sum()
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("wrong", [-32768.0, np.inf])
def test_numpy_heights_out_of_range_are_refused(wrong):
    values = smooth()
    values[3, 4] = wrong
    with pytest.raises(BandError, match="NaN at nodata"):
        terrafine.sharpen_dem(values, model="bicubic", pixel_size_m=30.0)


def test_a_cell_size_that_the_model_gives_anyway_is_not_resampled(tmp_path, coarse):
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", scale=4)
    done = []
    for i, more in enumerate([{}, {"target_crs": "EPSG:32633"}]):
        out = tmp_path / f"{i}.tif"
        terrafine.sharpen_dem(coarse, out, model="bicubic", target_resolution=(7.5, 7.5), report=done.append, **more)
        np.testing.assert_array_equal(read_band(out), read_band(tmp_path / "fine.tif"))
    assert [r.warped_to for r in done] == [None, None]


def test_the_report_knows_the_shape_that_was_warped_to(tmp_path, coarse):
    done = []
    out = terrafine.sharpen_dem(
        coarse, tmp_path / "fine.tif", model="bicubic", target_resolution=(20.0, 10.0), report=done.append
    )
    assert done[0].warped_to == read_band(out).shape != done[0].plan.output_shape


@pytest.mark.parametrize(
    ("crs", "size"), [("EPSG:4326", 10.0), ("EPSG:32633", 0.0001), ("EPSG:32633", 25_000.0)], ids=str
)
def test_cells_of_a_size_that_cannot_be_meant_are_refused(tmp_path, coarse, crs, size):
    with pytest.raises(UsageError, match="unit of target_resolution= is that of the output's CRS"):
        terrafine.sharpen_dem(
            coarse, tmp_path / "fine.tif", model="bicubic", target_crs=crs, target_resolution=(size, size)
        )
    assert [p.name for p in tmp_path.iterdir()] == ["coarse.tif"]


def test_a_warp_that_the_disk_cannot_hold_is_refused(tmp_path, coarse, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 5_000_000))
    with pytest.raises(DiskError, match="needs"):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", model="bicubic", target_resolution=(1.0, 1.0))
    assert [p.name for p in tmp_path.iterdir()] == ["coarse.tif"]
