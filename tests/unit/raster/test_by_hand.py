"""Small results that can be worked out by hand: noise, products, areas, tiles, footprints and voids."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Proj
from tests.support.rasters import heights, write_dem, write_raster

from terrafine.errors import BandError, GridError, UsageError
from terrafine.raster.area import AreaOfInterest
from terrafine.raster.area_polygons import merged_polygons
from terrafine.raster.native_grid import native_grid
from terrafine.raster.products.estimate import sample_windows
from terrafine.raster.products.noise import axis_correlation
from terrafine.raster.products.registry import find_product
from terrafine.raster.read.array import ArraySource
from terrafine.raster.read.array_values import heights_of, stored_of
from terrafine.raster.read.content_type import open_any
from terrafine.raster.read.footprint import read_footprint
from terrafine.raster.read.images.composite import _median
from terrafine.raster.read.vectors.region import read_named_areas, wrapped
from terrafine.raster.utm_tiles import area_scale
from terrafine.raster.warp.registration import estimate_offset
from terrafine.raster.warp.resample import _continued, fill_voids


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.0])
def test_correlation_is_that_of_a_gaussian_with_itself(sigma: float) -> None:
    i = np.arange(-40, 41)
    kernel = np.exp(-0.5 * (i / sigma) ** 2)
    for lag in (0, 1, 2):
        moved = np.exp(-0.5 * ((i - lag) / sigma) ** 2)
        found = float(axis_correlation(sigma, np.array([lag]))[0])
        assert found == pytest.approx(float((kernel * moved).sum() / (kernel**2).sum()), abs=1e-5)


def test_a_product_on_finer_cells_is_blurred_by_its_own_cell_too() -> None:
    product = find_product("srtm1")
    assert product.posting_m is not None
    own, cell = product.posting_m, product.posting_m / 2
    blur = (product.sensor.psf_cells * own) ** 2 + (own**2 - cell**2) / 12
    assert product.on_cells((cell, cell)).sensor.psf_cells == pytest.approx(np.sqrt(blur) / cell, abs=1e-3)


def test_windows_for_an_estimate_are_whole_and_inside() -> None:
    cells = np.full((2, 200), 30.0)
    found = sample_windows(ArraySource({"elevation": heights((200, 150))}, cells))
    assert len(found) > 0 and {w.shape for w in found} == {(64, 64)}
    assert all(np.isfinite(w).all() for w in found)


@pytest.mark.parametrize(
    "box",
    [
        (-180.5, 0, 1, 1),
        (0, 0, 180.5, 1),
        (180.5, 0, 1, 1),
        (-181, 0, 1, 1),
        (0, -90.5, 1, 1),
        (0, 0, 1, 90.5),
        (0, 1, 1, 1),
        (1, 0, 1, 1),
    ],
)
def test_a_box_beyond_the_earth_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="expected west, south, east, north"):
        AreaOfInterest.from_bbox(box)


@pytest.mark.parametrize("box", [(-180, 0, -179, 1), (179, 0, 180, 1), (0, -90, 1, -89), (0, 89, 1, 90)])
def test_a_box_at_the_end_of_the_earth_is_taken(box: tuple[float, ...]) -> None:
    assert AreaOfInterest.from_bbox(box).bounds == box


@pytest.mark.parametrize(
    ("box", "taken"), [((350, 0, 360, 1), True), ((350, 0, 361, 1), False), ((0, 89, 1, 90.5), False)]
)
def test_polygons_lie_within_a_turn_and_the_poles(box: tuple[float, ...], taken: bool) -> None:
    geometries = [shapely.box(*box)]
    if taken:
        assert merged_polygons(geometries, CRS("OGC:CRS84"), "a").area == pytest.approx(10)
    else:
        with pytest.raises(GridError, match="not longitude and latitude"):
            merged_polygons(geometries, CRS("OGC:CRS84"), "a")


def test_points_are_left_out_of_an_area_and_names_are_kept(tmp_path: Path) -> None:
    shapes = {
        "north": shapely.box(10, 45, 11, 46),
        "south": shapely.box(10, 43, 11, 44),
        "spring": shapely.Point(10, 44),
    }
    features = [
        {"type": "Feature", "properties": {"name": n}, "geometry": g.__geo_interface__} for n, g in shapes.items()
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = dict(read_named_areas(path, "name"))
    assert {n: a.area for n, a in found.items()} == pytest.approx({"north": 1.0, "south": 1.0})
    (whole,) = read_named_areas(path, None)
    assert whole[0] == "" and whole[1].area == pytest.approx(2.0)


@pytest.mark.parametrize(("west", "east"), [(170, 190), (-190, -170), (10, 20)])
def test_longitudes_beyond_180_come_back_from_the_other_side(west: float, east: float) -> None:
    found = wrapped(shapely.box(west, 0, east, 1))
    assert found.bounds[0] >= -180 and found.bounds[2] <= 180
    assert found.area == pytest.approx(east - west)


@pytest.mark.parametrize("west", [10.0, 179.95])
def test_a_footprint_lies_where_the_raster_does(west: float, tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", heights((20, 20)), crs="EPSG:4326", transform=Affine(0.01, 0, west, 0, -0.01, 45)
    )
    outline = read_footprint(path).outline
    assert outline.contains(shapely.Point(west + 0.02, 44.9))
    assert outline.contains(shapely.Point(west + 0.15 - 360 * (west > 100), 44.9))
    assert not outline.contains(shapely.Point(west - 1, 44.9))
    assert outline.area == pytest.approx(0.04 * (1 + (west > 100)), rel=1e-6)


def test_a_footprint_off_the_earth_is_refused(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", heights((20, 20)), crs="EPSG:32632", transform=Affine(1e9, 0, 0, 0, -1e9, 0)
    )
    with pytest.raises(GridError, match="do not lie on the Earth"):
        read_footprint(path)


def test_the_grid_of_a_product_has_the_cells_that_the_area_touches() -> None:
    area = AreaOfInterest.from_bbox((10.25, 45.25, 10.75, 45.5))
    found = native_grid(area, (0.25, 0.0, 10.0, 0.0, -0.25, 46.0), "EPSG:4326")
    assert (found.shape, tuple(found.affine)[:6]) == ((1, 2), (0.25, 0.0, 10.25, 0.0, -0.25, 45.5))


def test_the_scale_of_area_is_right_in_each_row_of_a_small_grid() -> None:
    grid = GeoBox((5, 4), Affine(40_000, 0, 200_000, 0, -40_000, 5_000_000), "EPSG:32632")
    rows, cols = np.mgrid[0:5, 0:4] + 0.5
    projection = Proj("EPSG:32632")
    place = projection(200_000 + 40_000 * cols, 5_000_000 - 40_000 * rows, inverse=True)
    known = 1.0 / np.asarray(projection.get_factors(*place).areal_scale)
    np.testing.assert_allclose(area_scale(grid), known, rtol=2e-6)


def test_a_rectangle_is_continued_as_voids_are_filled() -> None:
    block = heights((9, 7)).astype(np.float64)
    whole = np.zeros((16, 15))
    valid = np.zeros(whole.shape, bool)
    whole[4:13, 5:12], valid[4:13, 5:12] = block, True
    np.testing.assert_allclose(_continued(block, whole.shape, 4, 5), fill_voids(whole, valid), rtol=1e-12)


def test_what_is_constant_has_no_offset_and_no_warning() -> None:
    found = estimate_offset(np.ones((80, 80)), np.ones((80, 80)), np.ones((80, 80), bool))
    assert not found.trusted


def test_a_median_is_the_mean_of_the_two_in_the_middle() -> None:
    stack = np.array([[1.0, np.nan, 5.0, np.nan], [2.0, 7.0, 1.0, np.nan], [6.0, np.nan, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(_median(stack[:, None]), np.array([[2.0, 7.0, 3.0, np.nan]], np.float32))
    np.testing.assert_array_equal(_median(stack[:1, None]), stack[:1])


def test_a_scale_alone_adds_nothing() -> None:
    flat = SimpleNamespace(values=np.array([[10, 20]], np.int16), attrs={"scale_factor": 0.1}, encoding={})
    np.testing.assert_allclose(heights_of(flat.values, stored_of(flat), "a", None), [[1.0, 2.0]])
    flat.attrs = {"add_offset": 5.0}
    np.testing.assert_allclose(heights_of(flat.values, stored_of(flat), "a", None), [[15.0, 25.0]])


def test_what_a_file_holds_decides_its_bands(tmp_path: Path) -> None:
    with open_any(write_dem(tmp_path / "dem.tif")) as source:
        assert tuple(source.bands) == ("elevation",)
    classes = write_raster(tmp_path / "c.tif", np.ones((8, 8), np.uint8), nodata=None)
    with open_any(classes) as source:
        assert tuple(source.bands) == ("class",)
    named = write_raster(tmp_path / "n.tif", np.full((8, 8), 3.0, np.float32), names=("z",))
    with open_any(named) as source:
        assert tuple(source.bands) == ("elevation",)
    with pytest.raises(BandError, match="1='slope'"):
        open_any(write_raster(tmp_path / "s.tif", np.full((8, 8), 3.0, np.float32), names=("slope",)))
    image = write_raster(tmp_path / "i.tif", np.ones((3, 8, 8), np.uint8), names=("red", "green", "blue"), nodata=None)
    with open_any(image) as source:
        assert tuple(source.bands) == ("red", "green", "blue")
