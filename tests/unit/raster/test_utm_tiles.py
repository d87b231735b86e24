"""Tiles of UTM zones: they cover an area, meet its parts only, and count each point of the Earth once, in true area."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from terrafine.errors import GridError
from terrafine.raster.utm_tiles import Tile, UtmTiles, area_scale, geodesic_area_m2, owned, to_degrees, zone_name

LATTICE = UtmTiles(100.0, 20, 2)


def test_tiles_cover_the_area_and_none_is_idle() -> None:
    area = shapely.box(11.95, 44.95, 12.05, 45.03)
    tiles = LATTICE.covering(area)
    outlines = shapely.union_all([LATTICE.outline(tile) for tile in tiles])
    assert shapely.area(shapely.difference(area, outlines)) < 1e-9
    assert all(LATTICE.outline(tile).intersects(area) for tile in tiles)
    assert {zone_name(t.epsg) for t in tiles} == {"32N", "33N"}


@pytest.mark.parametrize("box", [(11.96, 44.97, 12.05, 45.03), (32.96, -0.03, 33.05, 0.04), (8.9, 59.9, 9.0, 60.0)])
def test_each_cell_counts_once_and_with_its_true_area(box: tuple[float, float, float, float]) -> None:
    area = shapely.box(*box)
    total = 0.0
    for tile in LATTICE.covering(area):
        grid = LATTICE.core(tile)
        rows, cols = np.mgrid[0 : grid.shape[0], 0 : grid.shape[1]] + 0.5
        a = grid.affine
        points = shapely.points(a.c + a.a * cols, a.f + a.e * rows)
        inside = shapely.contains_xy(
            area, *shapely.get_coordinates([to_degrees(p, tile.epsg) for p in points.ravel()]).T
        ).reshape(grid.shape)
        total += float((area_scale(grid) * owned(grid) * inside).sum()) * 100.0**2
    assert total == pytest.approx(geodesic_area_m2(area), rel=0.005)


def test_the_area_of_a_tile_is_that_of_its_outline_on_the_ellipsoid() -> None:
    lattice = UtmTiles(10.0, 1024, 0)
    for tile in (Tile(32632, 49, 480), Tile(32632, 70, 480), Tile(32723, 20, 500)):
        meant = geodesic_area_m2(lattice.outline(tile))
        assert area_scale(lattice.core(tile)).sum() * 100 == pytest.approx(meant, rel=1e-6)
        assert lattice.side_m**2 != pytest.approx(meant, rel=1e-4)


def test_a_halo_is_whole_cells_around_the_core() -> None:
    tile = Tile(32632, 60, 480)
    core, wide = LATTICE.core(tile).affine, LATTICE.with_halo(tile).affine
    assert ((core.c - wide.c) / core.a, (wide.f - core.f) / core.a) == (2.0, 2.0)
    assert tile.name == "32N-0060-0480"


def test_an_area_near_a_pole_is_refused() -> None:
    with pytest.raises(GridError, match="84"):
        LATTICE.covering(shapely.box(0, 83, 1, 86))
