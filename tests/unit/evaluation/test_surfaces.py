from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import write_surface
from tests.support.surfaces import block_means, terrain

from terrafine.errors import GridError
from terrafine.evaluation.surfaces import Interpolated, Labels, aligned, moved, same_grid, scale_between, window
from terrafine.raster.read.content_type import open_labels
from terrafine.raster.read.source import Source, open_source


def ramp(tmp_path: Path) -> Source:
    """Height equals metres east of the corner."""
    return open_source(write_surface(tmp_path / "ramp.tif", np.broadcast_to(np.arange(64) * 5.0 + 2.5, (64, 64)), 5.0))


@pytest.mark.parametrize("east", [0.0, 0.3, 1.0, 2.5, 4.0, 7.77])
def test_an_area_mean_is_where_its_cell_is_to_a_fraction_of_a_cell(tmp_path: Path, east: float) -> None:
    source = ramp(tmp_path)
    z = write_surface(tmp_path / "g.tif", np.zeros((20, 20)), 10.0, origin=(500_000 + east, 3_999_998))
    on_grid = aligned(source, open_source(z).geobox)
    found = window(on_grid, slice(2, 8), slice(3, 12))
    expected = east + 10 * np.arange(3, 12) + 5
    np.testing.assert_allclose(found, np.broadcast_to(expected, (6, 9)), atol=1.3)
    # Within a source cell the surface is a step; its mean over a target cell departs from the ramp by a known amount.
    edges = east + 10 * np.arange(3, 13)
    steps = np.interp(edges, np.arange(65) * 5.0, np.r_[0, np.cumsum(np.arange(64) * 5.0 + 2.5)] * 5.0)
    np.testing.assert_allclose(found[0], np.diff(steps) / 10, atol=1e-4)


def test_voids_weigh_nothing_in_an_area_mean_and_half_a_cell_is_the_least(tmp_path: Path) -> None:
    z = np.full((8, 8), 10.0)
    z[0, 0] = np.nan
    z[4:8, 4] = np.nan
    z[4, 5] = np.nan
    source = open_source(write_surface(tmp_path / "v.tif", z, 5.0))
    grid = open_source(write_surface(tmp_path / "g.tif", np.zeros((4, 4)), 10.0)).geobox
    found = window(aligned(source, grid), slice(0, 4), slice(0, 4))
    assert found[0, 0] == 10.0
    assert np.isnan(found[2, 2])
    assert found[3, 2] == 10.0


def test_a_window_of_an_interpolation_is_a_cut_of_the_whole(tmp_path: Path) -> None:
    z = block_means(terrain(128), 2)
    z[20:24, 30:33] = np.nan
    coarse = open_source(write_surface(tmp_path / "c.tif", z, 20.0))
    fine = open_source(write_surface(tmp_path / "f.tif", np.zeros((128, 128)), 10.0))
    assert scale_between(fine.geobox, coarse.geobox) == 2
    for back_projected in (False, True):
        lane = Interpolated(coarse, 2, fine.geobox, back_projected=back_projected)
        whole = window(lane, slice(0, 128), slice(0, 128))
        part = window(lane, slice(33, 90), slice(-3, 61))
        np.testing.assert_allclose(part[:, 3:], whole[33:90, :61], atol=1e-3)
        assert np.isnan(part[:, :3]).all()
        assert np.isnan(whole[40:48, 60:66]).all()
        np.testing.assert_allclose(lane.pixel_size_m(slice(5, 9)), 10.0)


def test_grids_that_do_not_subdivide_are_told_apart(tmp_path: Path) -> None:
    base = open_source(write_surface(tmp_path / "a.tif", np.zeros((12, 12)), 30.0)).geobox
    for cell, side, origin, scale in (
        (10.0, 36, (500_000, 4_000_000), 3),
        (10.0, 36, (500_010, 4_000_000), None),
        (10.0, 33, (500_000, 4_000_000), None),
        (12.5, 28, (500_000, 4_000_000), None),
    ):
        fine = open_source(write_surface(tmp_path / "b.tif", np.zeros((side, side)), cell, origin=origin)).geobox
        assert scale_between(fine, base) == scale
    assert same_grid(base, base)
    assert not same_grid(base, moved(base, 0.5, 0))


def test_labels_are_never_mixed_and_need_the_same_crs(tmp_path: Path) -> None:
    cover = np.kron(np.array([[1.0, 7.0], [7.0, 1.0]]), np.ones((4, 4)))
    source = open_labels(write_surface(tmp_path / "l.tif", cover, 30.0))
    grid = open_source(write_surface(tmp_path / "g.tif", np.zeros((24, 24)), 10.0)).geobox
    found = Labels(source, grid, "l.tif").read(slice(-2, 26), slice(0, 24))
    assert set(np.unique(found[2:-2])) == {1, 7}
    assert (found[:2] == -1).all()
    assert found[2 + 12, 0] == 7
    other = open_source(write_surface(tmp_path / "o.tif", np.zeros((24, 24)), 10.0, crs="EPSG:32634")).geobox
    with pytest.raises(GridError, match="one CRS"):
        Labels(source, other, "l.tif")
