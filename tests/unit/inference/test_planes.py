"""Tiles with a level and a tilt of their own become one surface without a seam."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.support.fakes import Nearest, noisy_heights, run, source, spec


class Tilted(Nearest):
    """Each tile's heights above its own lowest cell, tilted by a plane that only the tile knows."""

    def __call__(self, tiles):
        values = tiles.bands["elevation"].astype(np.float64)
        n, y, x = values.shape
        out = np.empty((n, y, x), np.float32)
        for i in range(n):
            own = np.random.default_rng(int(abs(values[i]).sum())).normal(0, 1, 3)
            plane = 50 * own[0] + own[1] * np.arange(y)[:, None] + own[2] * np.arange(x)[None]
            out[i] = values[i] - values[i].min() + plane
        return dict.fromkeys(self.spec.outputs, out)


def relative(**changes):
    made = spec(scale=1, halo=8, tile=16, tiling="blend", outputs=("relief",))
    return dataclasses.replace(made, relative=True, **changes)


def without_plane(values):
    y, x = np.indices(values.shape)
    known = np.isfinite(values)
    table = np.stack([np.ones(known.sum()), y[known], x[known]], axis=1)
    return values[known] - table @ np.linalg.lstsq(table, values[known], rcond=None)[0]


@pytest.mark.parametrize("voids", [0.0, 0.03])
def test_levels_and_tilts_are_solved_jointly_and_leave_the_surface(tmp_path, voids):
    values = noisy_heights((70, 85), gaps=voids)
    run(tmp_path / "out.npy", source(values), relative(), Tilted)
    found = np.load(tmp_path / "out.npy")[0]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    np.testing.assert_allclose(without_plane(found), without_plane(values.astype(np.float64)), atol=0.02)


def test_without_the_planes_the_seams_are_there(tmp_path):
    values = noisy_heights((70, 85))
    run(tmp_path / "out.npy", source(values), dataclasses.replace(relative(), relative=False), Tilted)
    found = np.load(tmp_path / "out.npy")[0]
    assert np.abs(without_plane(found) - without_plane(values.astype(np.float64))).max() > 20


def test_two_grounds_that_never_touch_keep_each_its_own_level(tmp_path):
    values = noisy_heights((48, 112))
    values[:, 40:72] = np.nan
    run(tmp_path / "out.npy", source(values), relative(), Tilted)
    found = np.load(tmp_path / "out.npy")[0]
    for part in (np.s_[:, :40], np.s_[:, 72:]):
        np.testing.assert_allclose(without_plane(found[part]), without_plane(values[part].astype(float)), atol=0.05)


def test_a_standard_error_has_no_level(tmp_path):
    values = noisy_heights((40, 50))
    both = relative(outputs=("relief", "relief_sigma"))
    run(tmp_path / "out.npy", source(values), both, Tilted)
    relief, sigma = np.load(tmp_path / "out.npy")
    assert np.abs(relief - sigma).max() > 5
