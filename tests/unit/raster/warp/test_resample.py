"""Whole-factor resampling: registration, ramps, masks and voids."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.rasters import heights

from terrafine.errors import EmptyError, UsageError
from terrafine.raster.warp.resample import back_project, block_mean, fill_voids, repeat_mask, upsample


def test_cubic_equals_its_textbook_kernel() -> None:
    z = heights((9, 8)).astype(np.float64)
    fine = upsample(z, 4, "cubic")
    # Fine column 18 of 4 x 8: centre at (18.5)/4 - 0.5 = 4.125 cells; Keys at 1.125, 0.125, 0.875, 1.875.
    x = np.array([1.125, 0.125, 0.875, 1.875])
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, far)
    rows = upsample(z, 4, "cubic")[:, 18]
    by_hand = upsample((z[:, 3:7] @ weights)[:, None], 4, "cubic")[:, 0]
    np.testing.assert_allclose(rows, by_hand, rtol=1e-12)
    assert fine.shape == (36, 32)


def test_sharper_kernels_differ() -> None:
    z = heights((9, 8))
    assert not np.allclose(upsample(z, 2, "cubic", a=-0.75), upsample(z, 2, "cubic"))
    assert not np.allclose(upsample(z, 2, "lanczos"), upsample(z, 2, "cubic"))


def test_back_projection_reaches_the_observation() -> None:
    z = heights((40, 30)).astype(np.float64)
    for k in (2, 3, 4):
        fine = upsample(z, k)
        before = np.abs(block_mean(fine, None, k)[0] - z).max()
        after = np.abs(block_mean(back_project(fine, z, k), None, k)[0] - z).max()
        assert after < 0.01 < before
        valid = np.ones(z.shape, np.bool_)
        valid[10:20, 10:20] = False
        masked = back_project(fine, np.where(valid, z, 1e6), k, valid=valid)
        assert np.abs(masked).max() < 2_000


def test_a_void_takes_the_point_reflection_through_its_nearest_cell() -> None:
    z = np.arange(49, dtype=np.float32).reshape(7, 7) ** 2
    valid = np.ones_like(z, np.bool_)
    valid[3, 5:] = valid[0, 0] = False
    filled = fill_voids(np.where(valid, z, 0), valid)
    assert filled[3, 5] in {2 * z[2, 5] - z[1, 5], 2 * z[4, 5] - z[5, 5], 2 * z[3, 4] - z[3, 3]}
    np.testing.assert_array_equal(filled[valid], z[valid])
    alone = np.zeros((3, 3), np.bool_)
    alone[1, 1] = True
    assert (fill_voids(np.full((3, 3), 7.0), alone) == 7).all()


def test_the_rectangle_case_equals_the_general_one() -> None:
    z = heights((12, 14))
    valid = np.zeros(z.shape, np.bool_)
    valid[3:8, 2:9] = True
    fast = fill_voids(np.where(valid, z, 0), valid)
    # One valid cell far outside the rectangle breaks the special case and touches only what is nearest to it.
    valid[11, 13] = True
    general = fill_voids(np.where(valid, z, 0), valid)
    np.testing.assert_array_equal(fast[:9, :9], general[:9, :9])


def test_without_slope_a_void_takes_the_mirrored_value_and_stays_in_the_range() -> None:
    z = np.full((9, 12), 0.05)
    z[:, 3] = 0.6  # a bright roof near the edge
    valid = np.ones(z.shape, np.bool_)
    valid[:, :2] = False
    assert fill_voids(np.where(valid, z, 0), valid).min() < 0  # so the next line can fail
    filled = fill_voids(np.where(valid, z, 0), valid, slope=False)
    np.testing.assert_array_equal(filled[:, 1], 0.6)
    np.testing.assert_array_equal(filled[:, 0], 0.05)
    valid[4, 7] = False  # no rectangle any more: the general case
    np.testing.assert_array_equal(fill_voids(np.where(valid, z, 0), valid, slope=False)[:, :2], filled[:, :2])


def test_slopes_continue_past_a_coast() -> None:
    y, x = np.mgrid[0:20, 0:20].astype(np.float64)
    ramp = 3 * y - 2 * x + 7
    coast = x + 0.3 * y < 14
    filled = fill_voids(np.where(coast, ramp, 0), coast)
    near = ~coast & (x < 17) & (y > 1) & (y < 18)
    np.testing.assert_allclose(filled[near], ramp[near], atol=1e-9)


def test_without_a_valid_cell_nothing_can_be_filled() -> None:
    with pytest.raises(EmptyError):
        fill_voids(np.zeros((3, 3)), np.zeros((3, 3), np.bool_))


def test_blocks_must_tile_and_methods_must_be_known() -> None:
    with pytest.raises(UsageError, match="do not tile"):
        block_mean(np.zeros((4, 5)), None, 2)
    with pytest.raises(UsageError, match="no interpolation"):
        upsample(np.zeros((4, 4)), 2, "spline")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1 or more"):
        upsample(np.zeros((4, 4)), 0)


def test_inputs_are_left_alone_and_layers_go_through() -> None:
    z = heights((6, 6))
    keep = z.copy()
    valid = np.ones(z.shape, np.bool_)
    valid[2, 2] = False
    for out in (upsample(z, 1), upsample(z, 2, valid=valid), fill_voids(z, valid), back_project(z, z, 1)):
        out += 1
    np.testing.assert_array_equal(z, keep)
    stack = np.stack([z, z + 5])
    np.testing.assert_array_equal(upsample(stack, 3)[0], upsample(z, 3))
    np.testing.assert_array_equal(upsample(stack, 3, valid=valid)[1], upsample(z + 5, 3, valid=valid))
    assert repeat_mask(valid, 3).shape == (18, 18) and repeat_mask(valid, 3).sum() == 9 * 35
