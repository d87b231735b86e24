"""Opening files as named bands on one grid: what is accepted, what is converted, what is refused."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from tests.support.rasters import UTM, heights, read_all, write_raster

from terrafine.errors import BandError, EmptyError, GridError, SourceError, UsageError
from terrafine.raster.read.source import open_source


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    z = heights()
    with open_source(write_raster(tmp_path / "a.tif", z)) as source:
        values, valid = read_all(source)
    assert source.shape == z.shape and source.bands == {"elevation": 1} and source.nodata == -9999
    assert values.dtype == np.float32 and valid.all()
    np.testing.assert_array_equal(values, z)
    assert (values != z + np.float32(0.01)).all()


def test_cells_outside_the_raster_are_not_valid_and_hold_zero(tmp_path: Path) -> None:
    z = heights((6, 7))
    source = open_source(write_raster(tmp_path / "a.tif", z))
    values, valid = source.read("elevation", slice(-2, 9), slice(-3, 8))
    assert values.shape == valid.shape == (11, 11)
    np.testing.assert_array_equal(values[2:8, 3:10], z)
    assert valid.sum() == z.size and not values[~valid].any()
    far, none = source.read("elevation", slice(100, 104), slice(0, 3))
    assert far.shape == (4, 3) and not none.any() and not far.any()


def test_infinity_is_refused_unless_declared_missing(tmp_path: Path) -> None:
    z = heights((5, 6))
    z[2, 2], z[3, 3] = np.inf, -np.inf
    path = write_raster(tmp_path / "a.tif", z, nodata=None)
    with pytest.raises(BandError, match=r"a\.tif: band 1 .*2 infinite values.*nodata=inf"):
        read_all(open_source(path))
    for how in ({"nodata": np.inf}, {"check_range": False}):
        values, valid = read_all(open_source(path, **how))
        assert [tuple(c) for c in np.argwhere(~valid)] == [(2, 2), (3, 3)]
        assert np.isfinite(values).all()


def test_nodata_and_nan_are_missing_and_never_leak(tmp_path: Path) -> None:
    z = heights((5, 6))
    z[0, 0], z[1, 1] = -9999, np.nan
    values, valid = read_all(open_source(write_raster(tmp_path / "a.tif", z)))
    assert [tuple(c) for c in np.argwhere(~valid)] == [(0, 0), (1, 1)]
    assert np.isfinite(values).all() and not values[~valid].any()


def test_a_huge_nodata_is_recognised_although_rounded(tmp_path: Path) -> None:
    z = heights((5, 6))
    z[0, 0] = np.float32(-3.4028235e38)
    values, valid = read_all(open_source(write_raster(tmp_path / "a.tif", z, nodata=-3.402823e38)))
    assert not valid[0, 0] and valid.sum() == z.size - 1 and values[0, 0] == 0


def test_a_mask_band_hides_cells(tmp_path: Path) -> None:
    z = heights((8, 8))
    path = write_raster(tmp_path / "a.tif", z, nodata=None)
    mask = np.full(z.shape, 255, np.uint8)
    mask[2:4] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    _, valid = read_all(open_source(path))
    np.testing.assert_array_equal(valid, mask > 0)


def test_scale_and_offset_are_applied(tmp_path: Path) -> None:
    raw = np.arange(30, dtype=np.int16).reshape(5, 6)
    raw[0, 0] = -32768
    values, valid = read_all(open_source(write_raster(tmp_path / "a.tif", raw, nodata=-32768, scale=0.1, offset=100)))
    np.testing.assert_allclose(values[valid], raw[valid] * 0.1 + 100, rtol=1e-6)
    assert values[0, 0] == 0 and not valid[0, 0]


@pytest.mark.parametrize(
    ("unit", "metres"), [("ft", 0.3048), ("US survey foot", 1200 / 3937), ("metre", 1.0), ("cm", 0.01)]
)
def test_heights_in_other_units_are_converted(tmp_path: Path, unit: str, metres: float) -> None:
    z = heights((5, 6))
    values, _ = read_all(open_source(write_raster(tmp_path / "a.tif", z, unit=unit)))
    np.testing.assert_allclose(values, z * metres, rtol=1e-6)


def test_an_unknown_unit_is_refused_with_the_option(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights((5, 6)), unit="fathom")
    with pytest.raises(GridError, match=r"'fathom'.*elevation_unit="):
        open_source(path)
    values, _ = read_all(open_source(path, elevation_unit="m"))
    np.testing.assert_array_equal(values, heights((5, 6)))


def test_the_vertical_axis_tells_feet(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights((5, 6)), crs="EPSG:32617+6360")
    source = open_source(path)
    np.testing.assert_allclose(read_all(source)[0], heights((5, 6)) * 1200 / 3937, rtol=1e-6)
    assert source.vertical is not None and source.vertical.name == "NAVD88"
    with rasterio.open(path, "r+") as file:
        file.units = ["m"]
    with pytest.raises(GridError, match="vertical axis"):
        open_source(path)


def test_south_up_equals_flipped(tmp_path: Path) -> None:
    z = heights((9, 5))
    z[0, 1] = -9999
    north = open_source(write_raster(tmp_path / "n.tif", z))
    up = Affine(30, 0, 500_000, 0, 30, 5_000_000 - 30 * 9)
    south = open_source(write_raster(tmp_path / "s.tif", z[::-1].copy(), transform=up))
    assert south.geobox == north.geobox and south.describe()["south_up"]
    for a, b in zip(read_all(south), read_all(north), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(
        south.read("elevation", slice(2, 5), slice(-1, 3)),
        north.read("elevation", slice(2, 5), slice(-1, 3)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_a_rotated_grid_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), transform=Affine(30, 3, 0, 3, -30, 0))
    with pytest.raises(GridError, match=r"rotated.*gdalwarp"):
        open_source(path)


def test_a_grid_whose_x_runs_west_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="west"):
        open_source(write_raster(tmp_path / "a.tif", heights(), transform=Affine(-30, 0, 0, 0, -30, 0)))


def test_a_missing_crs_is_refused_unless_stated(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), crs=None)
    with pytest.raises(GridError, match=r"no CRS.*assume_crs="):
        open_source(path)
    assert open_source(path, assume_crs=UTM).pixel_size_m(slice(0, 1))[:, 0].tolist() == [30, 30]
    size = open_source(path, pixel_size_m=(2.0, 3.0)).pixel_size_m(slice(-1, 2))
    np.testing.assert_array_equal(size, [[2, 2, 2], [3, 3, 3]])
    with pytest.raises(UsageError, match="positive"):
        open_source(path, pixel_size_m=-1.0)


def test_a_file_without_geotransform_is_refused_unless_its_cells_are_sized(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), crs=None, transform=Affine.identity())
    with pytest.raises(GridError, match="no geotransform"):
        open_source(path, assume_crs=UTM)
    source = open_source(path, pixel_size_m=5.0)
    np.testing.assert_array_equal(read_all(source)[0], heights())


def test_a_crs_without_metres_is_refused(tmp_path: Path) -> None:
    local = 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'
    with pytest.raises(GridError, match="site grid"):
        open_source(write_raster(tmp_path / "a.tif", heights(), crs=local))
    with pytest.raises(GridError, match="cannot be read"):
        open_source(write_raster(tmp_path / "b.tif", heights(), crs=None), assume_crs="EPSG:999999")


def test_polar_rows_of_a_geographic_grid_are_refused(tmp_path: Path) -> None:
    def there(top: float) -> Affine:
        return Affine(0.01, 0, 10, 0, -0.01, top)

    with pytest.raises(GridError, match=r"latitude 86.*EPSG:3413"):
        open_source(write_raster(tmp_path / "a.tif", heights(), crs="EPSG:4326", transform=there(86)))
    with pytest.raises(GridError, match="EPSG:3031"):
        open_source(write_raster(tmp_path / "b.tif", heights(), crs="EPSG:4326", transform=there(-85.9)))
    assert open_source(write_raster(tmp_path / "c.tif", heights(), crs="EPSG:4326", transform=there(84))).shape == (
        40,
        50,
    )
    polar = write_raster(tmp_path / "d.tif", heights(), crs="EPSG:3413", transform=Affine(100, 0, 0, 0, -100, 0))
    assert open_source(polar).pixel_size_m(slice(0, 1))[0, 0] == 100


def test_a_raster_across_the_antimeridian_is_taken_as_it_lies(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), crs="EPSG:4326", transform=Affine(0.1, 0, 178, 0, -0.1, -16))
    source = open_source(path)
    assert source.geobox.boundingbox.right == pytest.approx(183)
    wide = write_raster(tmp_path / "b.tif", heights((5, 500)), crs="EPSG:4326", transform=Affine(1, 0, 0, 0, -1, 5))
    with pytest.raises(GridError, match="at most 360"):
        open_source(wide)


def test_values_out_of_range_are_refused_with_both_ranges(tmp_path: Path) -> None:
    z = heights((5, 6))
    z[2, 2] = 12_000
    path = write_raster(tmp_path / "a.tif", z)
    with pytest.raises(BandError, match=r"a\.tif: band 1 \(elevation\).*to 12000 m; expected -11100 to 9000"):
        read_all(open_source(path))
    assert read_all(open_source(path, check_range=False))[0][2, 2] == 12_000


def test_undeclared_nodata_is_told_apart(tmp_path: Path) -> None:
    z = heights((5, 6))
    z[0, 0] = -9999
    path = write_raster(tmp_path / "a.tif", z, nodata=None)
    with pytest.raises(BandError, match="exactly -9999"):
        read_all(open_source(path))
    values, valid = read_all(open_source(path, nodata=-9999))
    assert not valid[0, 0] and values[0, 0] == 0 and valid.sum() == z.size - 1


def test_bands_are_found_by_description_or_by_number(tmp_path: Path) -> None:
    stack = np.stack([heights(), np.full((40, 50), 3, np.float32)])
    named = write_raster(tmp_path / "n.tif", stack, names=("elevation", "elevation_sigma"))
    source = open_source(named, want=("elevation", "elevation_sigma"))
    assert source.bands == {"elevation": 1, "elevation_sigma": 2}
    assert (read_all(source, "elevation_sigma")[0] == 3).all()
    plain = write_raster(tmp_path / "p.tif", stack)
    with pytest.raises(BandError, match=r"bands=\{\"elevation\": N\}"):
        open_source(plain)
    assert open_source(plain, bands={"elevation": 2}).bands == {"elevation": 2}
    with pytest.raises(BandError, match="bands 1 to 2"):
        open_source(plain, bands={"elevation": 3})
    with pytest.raises(BandError, match="was not opened"):
        source.read("red", slice(0, 1), slice(0, 1))
    with pytest.raises(BandError, match="no band is called"):
        open_source(write_raster(tmp_path / "r.tif", heights(), names=("red",)))
    twice = write_raster(tmp_path / "t.tif", stack, names=("elevation", "elevation"))
    with pytest.raises(BandError, match="more than one"):
        open_source(twice)


@pytest.mark.parametrize(
    "said", ["slope", "Slope (degrees)", "Aspect", "shaded relief", "height error", "canopy height", "geoid undulation"]
)
def test_another_quantity_is_no_elevation_unless_the_caller_says_so(said: str, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), names=(said,))
    with pytest.raises(BandError, match=r"no band is called 'elevation'.*State which with bands="):
        open_source(path)
    assert open_source(path, bands={"elevation": 1}).bands == {"elevation": 1}


@pytest.mark.parametrize("said", ["Band 1", "dem", "Height above geoid", "altitude [m]", "SRTM", "surface_altitude"])
def test_a_single_band_of_any_other_description_is_elevation(said: str, tmp_path: Path) -> None:
    assert open_source(write_raster(tmp_path / "a.tif", heights(), names=(said,))).bands == {"elevation": 1}


def test_pictures_and_complex_numbers_are_no_elevation(tmp_path: Path) -> None:
    picture = write_raster(tmp_path / "p.tif", np.zeros((5, 5), np.uint8), nodata=None, photometric="palette")
    with rasterio.open(picture, "r+") as file:
        file.write_colormap(1, {0: (255, 0, 0, 255)})
    with pytest.raises(BandError, match="colour table"):
        open_source(picture)
    with pytest.raises(BandError, match="complex"):
        open_source(write_raster(tmp_path / "c.tif", np.zeros((5, 5), np.complex64), nodata=None))


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "absent.tif")
    (tmp_path / "empty.tif").touch()
    with pytest.raises(SourceError, match="0 bytes"):
        open_source(tmp_path / "empty.tif")
    (tmp_path / "text.tif").write_text("this is no raster\n" * 100)
    with pytest.raises(SourceError, match="not a raster"):
        open_source(tmp_path / "text.tif")
    with pytest.raises(SourceError):
        open_source(tmp_path)
    with pytest.raises(SourceError):
        open_source("/vsizip/" + str(tmp_path / "absent.zip") + "/a.tif")
    with pytest.raises(UsageError):
        open_source([])


def test_all_nodata_is_refused_on_request(tmp_path: Path) -> None:
    with pytest.raises(EmptyError, match="no valid cell"):
        open_source(write_raster(tmp_path / "a.tif", np.full((30, 30), -9999, np.float32))).require_valid()
    z = np.full((30, 30), -9999, np.float32)
    z[-1, -1] = 5
    open_source(write_raster(tmp_path / "b.tif", z)).require_valid()


def test_an_hgt_tile_is_read_by_its_name(tmp_path: Path) -> None:
    z = (heights((1201, 1201)) / 10).astype(">i2")
    z[5, 6] = -32768
    path = tmp_path / "N49E011.hgt"
    path.write_bytes(z.tobytes())
    source = open_source(path)
    values, valid = source.read("elevation", slice(0, 20), slice(0, 20))
    assert source.area_or_point == "Point" and source.vertical is not None and source.vertical.name == "EGM96"
    assert source.surface == "DSM" and not valid[5, 6] and valid.sum() == 399
    np.testing.assert_array_equal(values[valid], z[:20, :20][valid])
    # The first post stands on 50 N 11 E: the cell around it starts half a cell before.
    corner = source.geobox.affine
    assert corner.c == pytest.approx(11 - 0.5 / 1200) and corner.f == pytest.approx(50 + 0.5 / 1200)
    path.with_name("N49E012.hgt").write_bytes(z.tobytes()[:-5000])
    with pytest.raises(SourceError):
        open_source(path.with_name("N49E012.hgt"))


def test_pixel_is_point_shifts_by_half_a_cell_and_is_recorded(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "p.tif", heights(), tags={"AREA_OR_POINT": "Point"})
    source = open_source(path)
    assert source.area_or_point == "Point"
    assert (source.geobox.affine.c, source.geobox.affine.f) == (500_000, 5_000_000)
    assert open_source(write_raster(tmp_path / "a.tif", heights())).area_or_point == "Area"


def test_vrt_and_vsi_paths_are_opened(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights())
    vrt = tmp_path / "a.vrt"
    with rasterio.open(path) as file:
        vrt.write_text(
            f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>{UTM}</SRS>'
            "<GeoTransform>500000,30,0,5000000,0,-30</GeoTransform>"
            f'<VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue>'
            '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand>'
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    source = open_source(vrt)
    np.testing.assert_array_equal(read_all(source)[0], heights())
    assert any(f["path"].endswith("a.tif") for f in source.identity()["files"])
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.tif")
    zipped = open_source(f"/vsizip/{tmp_path}/a.zip/a.tif")
    np.testing.assert_array_equal(read_all(zipped)[0], heights())
    assert zipped.identity()["files"][0]["sha256"]
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 100)
    with pytest.raises(SourceError, match=r"a\.tif: truncated"):
        open_source(vrt)
    path.unlink()
    with pytest.raises(SourceError):
        read_all(open_source(vrt))


def test_a_source_survives_pickling_and_closing(tmp_path: Path) -> None:
    source = open_source(write_raster(tmp_path / "a.tif", heights()))
    before = read_all(source)
    copy = pickle.loads(pickle.dumps(source))
    source.close()
    for again in (read_all(copy), read_all(source)):
        np.testing.assert_array_equal(again[0], before[0])
    assert copy.identity() == source.identity() and copy.geobox == source.geobox


def test_identity_changes_with_content_not_with_place(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights())
    first = open_source(path).identity()
    assert first == open_source(path).identity()
    os.utime(path, (1, 1))
    touched = open_source(path).identity()
    assert touched["sha256"] == first["sha256"] and touched["files"] != first["files"]
    z = heights()
    z[3, 3] += 1
    assert open_source(write_raster(tmp_path / "a.tif", z)).identity()["sha256"] != first["sha256"]
    assert open_source(path, vertical_datum="EGM96").identity()["sha256"] != first["sha256"]


def test_describe_is_plain_json(tmp_path: Path) -> None:
    import json

    told = open_source(write_raster(tmp_path / "a.tif", heights())).describe()
    assert json.loads(json.dumps(told)) == told
    assert told["crs"] == UTM and told["pixel_size_m"] == {"y": 30.0, "x": 30.0}


def test_no_warning_reaches_the_caller(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights(), crs=None, transform=Affine.identity())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Use `@` matmul", PendingDeprecationWarning)
        read_all(open_source(path, pixel_size_m=1.0))


def test_windows_run_forward(tmp_path: Path) -> None:
    source = open_source(write_raster(tmp_path / "a.tif", heights()))
    with pytest.raises(UsageError, match="forward"):
        source.read("elevation", slice(5, 3), slice(0, 2))


def test_an_alpha_band_masks_unless_it_is_asked_for_as_what_it_measures(tmp_path: Path) -> None:
    values = np.full((4, 6, 8), 50, np.uint8)
    values[3, 0, 0] = 0
    path = write_raster(tmp_path / "rgbn.tif", values, nodata=None, photometric="RGB", ALPHA="YES")
    with rasterio.open(path) as file:
        assert file.colorinterp[3].name == "alpha"
    colours = open_source(path, want=("red", "green"), check_range=False)
    assert not read_all(colours, "red")[1][0, 0]
    near = open_source(path, want=("red", "nir"), bands={"nir": 4}, check_range=False)
    assert read_all(near, "red")[1].all()
    assert read_all(near, "nir")[0][0, 0] == 0
