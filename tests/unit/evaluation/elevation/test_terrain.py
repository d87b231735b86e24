from __future__ import annotations

import numpy as np
import pytest
from tests.support.surfaces import cells, terrain

from terrafine.evaluation.elevation.terrain import (
    MEASURES,
    Agreement,
    TerrainStats,
    curvatures,
    derive,
    gradient,
    roughness,
    slope_degrees,
    tpi,
)

INNER = np.s_[1:-1, 1:-1]


def measures(candidate: np.ndarray, reference: np.ndarray, size: float = 30.0) -> dict:
    pixel = cells(len(candidate), size)
    return TerrainStats().add(derive(candidate, pixel), derive(reference, pixel), INNER).summary()


def plane(side: int, gx: float, gy: float, dx: float, dy: float) -> np.ndarray:
    return gx * dx * np.arange(side)[None, :] + gy * dy * np.arange(side)[:, None]


@pytest.mark.parametrize("method", ["horn", "zevenbergen-thorne"])
def test_a_plane_has_its_own_gradient_whatever_the_shape_of_the_cells(method: str) -> None:
    size = np.stack([np.full(20, 30.0), np.full(20, 19.0)])
    gx, gy = gradient(plane(20, 0.3, -0.4, 19.0, 30.0), size, method)
    np.testing.assert_allclose(gx[INNER], 0.3, atol=1e-12)
    np.testing.assert_allclose(gy[INNER], -0.4, atol=1e-12)
    slope = slope_degrees(plane(20, 0.3, -0.4, 19.0, 30.0), size, method)
    np.testing.assert_allclose(slope[INNER], np.degrees(np.arctan(0.5)), atol=1e-10)


def test_a_paraboloid_has_known_curvatures() -> None:
    y, x = np.mgrid[0:21, 0:21].astype(float) * 10
    plan, profile = curvatures(-0.001 * ((x - 400) ** 2 + (y - 300) ** 2), cells(21, 10.0))
    np.testing.assert_allclose(plan[INNER], 0.2, rtol=1e-9)
    np.testing.assert_allclose(profile[INNER], 0.2, rtol=1e-9)
    plan, profile = curvatures(-0.001 * (x - 400) ** 2, cells(21, 10.0))
    np.testing.assert_allclose(plan[INNER], 0.0, atol=1e-12)
    np.testing.assert_allclose(profile[INNER], 0.2, rtol=1e-9)


def test_a_flat_has_no_curvature_roughness_or_position() -> None:
    flat = np.full((9, 9), 812.4)
    for v in (*curvatures(flat, cells(9)), roughness(flat), tpi(flat)):
        np.testing.assert_array_equal(v[INNER], 0)


def test_a_void_spreads_over_its_nine_cells_and_no_farther() -> None:
    z = terrain(32)
    z[10, 12] = np.nan
    expected = np.ones((32, 32), bool)
    expected[1:-1, 1:-1] = False
    expected[9:12, 11:14] = True
    pixel = cells(32)
    every = (slope_degrees(z, pixel), *gradient(z, pixel), *curvatures(z, pixel), roughness(z), tpi(z))
    for v in every:
        np.testing.assert_array_equal(np.isnan(v), expected)


def test_slope_curvature_roughness_and_position_are_those_of_xdem() -> None:
    xdem = pytest.importorskip("xdem")
    z = terrain(64).astype(np.float32).astype(np.float64)
    pixel = cells(64, 30.0)
    get = xdem.terrain.get_terrain_attribute
    horn = get(z, "slope", resolution=30.0, surface_fit="Horn")
    np.testing.assert_allclose(slope_degrees(z, pixel)[INNER], horn[INNER], atol=1e-4)
    zt = get(z, "slope", resolution=30.0, surface_fit="ZevenbergThorne")
    np.testing.assert_allclose(slope_degrees(z, pixel, "zevenbergen-thorne")[INNER], zt[INNER], atol=1e-4)
    names = ["tangential_curvature", "profile_curvature"]
    theirs = get(z, names, resolution=30.0, surface_fit="ZevenbergThorne", curv_method="directional")
    for ours, their in zip(curvatures(z, pixel), theirs, strict=True):
        np.testing.assert_allclose(ours[INNER], their[INNER], atol=1e-3 * np.nanstd(their))
    np.testing.assert_allclose(roughness(z)[INNER], get(z, "roughness", resolution=30.0)[INNER], atol=1e-3)
    np.testing.assert_allclose(tpi(z)[INNER], get(z, "topographic_position_index", resolution=30.0)[INNER], atol=1e-3)


def test_a_raised_copy_has_the_same_terrain() -> None:
    z = terrain()
    for m in measures(z + 100, z).values():
        assert m["rmse"] == pytest.approx(0, abs=1e-6)
        assert m["fuv"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", list(MEASURES))
def test_every_measure_tells_a_perturbed_copy_from_the_first(name: str) -> None:
    z = terrain()
    m = measures(z + np.random.default_rng(1).normal(0, 2, z.shape), z)[name]
    assert m["rmse"] > 0.01
    assert m["fuv"] > 0.001
    assert m["n"] == 126 * 126


def test_a_scaled_copy_scales_the_gradient_and_explains_all_variance() -> None:
    z = terrain()
    gx, gy = gradient(z, cells(128))
    m = measures(1.2 * z, z)["aspect"]
    assert m["rmse"] == pytest.approx(0.2 * np.sqrt(np.nanmean(gx**2 + gy**2)))
    assert m["fuv"] == pytest.approx(0, abs=1e-9)


def test_aspect_has_no_seam_at_north() -> None:
    east, west = plane(20, 0.001, 0.5, 30, 30), plane(20, -0.001, 0.5, 30, 30)
    assert measures(east, west)["aspect"]["rmse"] == pytest.approx(0.002)


def test_independent_samples_share_no_variance() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 50_000))
    agreement = Agreement.of(a, b)
    assert agreement.fuv == pytest.approx(1, abs=1e-3)
    assert agreement.rmse == pytest.approx(np.sqrt(2), rel=0.02)


def test_agreement_merges_to_the_whole_in_any_order() -> None:
    c, r = np.random.default_rng(3).normal(5, 2, (2, 300))
    whole = Agreement.of(c, r)
    parts = [Agreement.of(c[a:b], r[a:b]) for a, b in ((0, 40), (40, 41), (41, 41), (41, 300))]
    left = Agreement()
    for p in parts:
        left = left.merge(p)
    right = Agreement()
    for p in reversed(parts):
        right = p.merge(right)
    for merged in (left, right):
        for name in ("n", "bias", "rmse", "fuv"):
            assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_blocks_with_a_halo_add_up_to_the_whole() -> None:
    z = terrain(64)
    c = z + np.random.default_rng(4).normal(0, 1, z.shape)
    pixel = cells(64)
    whole = TerrainStats().add(derive(c, pixel), derive(z, pixel), INNER).summary()
    parts = TerrainStats()
    for a, b in ((1, 20), (20, 50), (50, 63)):
        rows = np.s_[a - 1 : b + 1]
        block = [derive(v[rows], pixel[:, rows]) for v in (c, z)]
        parts = parts.merge(TerrainStats().add(*block, INNER))
    for name, m in parts.summary().items():
        assert m["n"] == whole[name]["n"]
        assert m["rmse"] == pytest.approx(whole[name]["rmse"], rel=1e-12)
        assert m["fuv"] == pytest.approx(whole[name]["fuv"], rel=1e-9)


def test_a_constant_surface_has_no_unexplained_fraction() -> None:
    m = measures(np.zeros((12, 12)), np.zeros((12, 12)))["slope"]
    assert m["rmse"] == 0
    assert m["fuv"] is None
    assert TerrainStats().summary()["aspect"] == {"unit": "m/m", "n": 0, "bias": None, "rmse": None, "fuv": None}
