"""Metres per cell, by row: against PROJ's geodesics and scale factors."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Proj

from terrafine.errors import GridError
from terrafine.raster.grid import ellipsoid_metres, pixel_size_m


def grid(crs: str, x: float, y: float, cell: float, rows: int = 50) -> GeoBox:
    return GeoBox((rows, 60), Affine(cell, 0, x, 0, -cell, y), crs)


@pytest.mark.parametrize("north", [0.5, 46.0, -33.0, 84.0])
def test_geographic_cells_measure_what_a_geodesic_does(north: float) -> None:
    cell = 1 / 3600
    size = pixel_size_m(grid("EPSG:4326", 11, north, cell), slice(0, 50))
    geod = Geod(ellps="WGS84")
    for row in (0, 25, 49):
        lat = north - cell * (row + 0.5)
        _, _, down = geod.inv(11, lat - cell / 2, 11, lat + cell / 2)
        _, _, across = geod.inv(11, lat, 11 + cell, lat)
        np.testing.assert_allclose(size[:, row], [down, across], rtol=1e-7)
        assert not np.allclose(size[:, row], [down * 1.0001, across], rtol=1e-7)


def test_rows_outside_are_extrapolated_and_latitudes_clamped() -> None:
    box = grid("EPSG:4326", 11, 46, 0.01)
    np.testing.assert_array_equal(pixel_size_m(box, slice(-5, 60))[:, 5:55], pixel_size_m(box, slice(0, 50)))
    polar = pixel_size_m(box, slice(-10_000, -9_990))
    assert (polar > 0).all() and np.isfinite(polar).all()


def test_web_mercator_shrinks_with_latitude() -> None:
    y = Proj("EPSG:3857")(0, 60.0)[1]
    size = pixel_size_m(grid("EPSG:3857", 0, y + 15 * 50, 30.0, 100), slice(0, 100))
    assert size[0, 50] == pytest.approx(15.0, rel=1e-3) and (np.diff(size[0]) > 0).all()
    ellipsoidal = pixel_size_m(grid("EPSG:3395", 0, Proj("EPSG:3395")(0, 60.0)[1], 30.0), slice(0, 1))[:, 0]
    scale = Proj("EPSG:3395").get_factors(0, 60.0).meridional_scale
    np.testing.assert_allclose(ellipsoidal, 30 / scale, rtol=1e-4)


def test_plate_carree_shrinks_along_x_alone() -> None:
    y = Proj("EPSG:4087")(0, 60.0)[1]
    size = pixel_size_m(grid("EPSG:4087", 0, y, 30.0), slice(0, 1))[:, 0]
    assert size[0] == pytest.approx(30, rel=0.01) and size[1] == pytest.approx(15, rel=0.01)


def test_feet_become_metres_and_utm_stays() -> None:
    feet = pixel_size_m(grid("EPSG:2263", 9e5, 2e5, 100.0), slice(0, 2))
    np.testing.assert_allclose(feet, 100 * 1200 / 3937, rtol=1e-9)
    np.testing.assert_array_equal(pixel_size_m(grid("EPSG:32633", 5e5, 5e6, 30.0), slice(0, 2)), 30.0)


def test_a_stated_size_overrides_and_a_grid_without_crs_needs_it() -> None:
    bare = GeoBox((5, 5), Affine(1, 0, 0, 0, -1, 0), None)
    np.testing.assert_array_equal(pixel_size_m(bare, slice(0, 2), (2.0, 3.0)), [[2, 2], [3, 3]])
    with pytest.raises(GridError, match="without CRS"):
        pixel_size_m(bare, slice(0, 2))


def test_a_sphere_has_one_radius() -> None:
    size = ellipsoid_metres(np.array([0.0, 60.0]), 6_371_000.0, 0.0)
    degree = np.radians(1) * 6_371_000
    np.testing.assert_allclose(size, [[degree, degree], [degree, degree / 2]], rtol=1e-12)


def test_the_crs_may_be_given_apart() -> None:
    box = grid("EPSG:4326", 11, 46, 0.01)
    np.testing.assert_array_equal(
        pixel_size_m(box, slice(0, 3), crs=CRS.from_epsg(4326)), pixel_size_m(box, slice(0, 3))
    )
