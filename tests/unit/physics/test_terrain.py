"""Slope, aspect, curvature and shade, and the losses on them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.support.surfaces import cone, plane, rough
from torch import Tensor

from terrafine.evaluation.elevation import terrain as judged
from terrafine.physics.hillshade import hillshade
from terrafine.physics.terrain import (
    aspect,
    aspect_loss,
    curvature_loss,
    curvatures,
    gradient,
    gradient_loss,
    slope,
    slope_loss,
)

LOSSES: list[Callable[..., Tensor]] = [gradient_loss, slope_loss, aspect_loss, curvature_loss]
SIZES = np.stack([np.linspace(28, 31, 32), np.linspace(20, 24, 32)])


@pytest.mark.parametrize("method", ["horn", "zevenbergen-thorne"])
def test_a_plane_s_gradient_is_exact_up_to_the_border(method: str) -> None:
    zx, zy = gradient(plane(0.3, -0.2, size=(30, 20)), (30.0, 20.0), method)
    torch.testing.assert_close(zx, torch.full_like(zx, 0.3))
    torch.testing.assert_close(zy, torch.full_like(zy, -0.2))


@pytest.mark.parametrize("method", ["horn", "zevenbergen-thorne"])
def test_gradient_and_slope_agree_with_the_judge_s(method: str) -> None:
    z = rough()
    zx, zy = gradient(z, torch.from_numpy(SIZES), method)
    gx, gy = judged.gradient(z.numpy(), SIZES, method)
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(zx.numpy()[inner], gx[inner], atol=1e-12)
    np.testing.assert_allclose(zy.numpy()[inner], -gy[inner], atol=1e-12)
    steep = slope(z, torch.from_numpy(SIZES), method).numpy()[inner]
    np.testing.assert_allclose(steep, judged.slope_degrees(z.numpy(), SIZES, method)[inner], atol=1e-9)
    assert np.abs(steep - judged.slope_degrees(z.numpy() * 1.01, SIZES, method)[inner]).max() > 1e-3


def test_curvatures_agree_with_the_judge_s_where_it_is_not_flat() -> None:
    z = rough(1)
    ours, theirs = curvatures(z, torch.from_numpy(SIZES), flat=1e-9), judged.curvatures(z.numpy(), SIZES)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy()[1:-1, 1:-1], b[1:-1, 1:-1], rtol=1e-6, atol=1e-9)
        assert np.abs(b[1:-1, 1:-1]).max() > 0.1


def test_a_cone_is_straight_downhill_and_convex_across() -> None:
    z, east, north = cone(20.0)
    plan, profile = curvatures(z, 10.0)
    far = (torch.hypot(east, north) > 200) & (torch.hypot(east, north) < 380)
    # 100 tan(slope)/distance across, nothing along
    expected = 100 * math.tan(math.radians(20)) / torch.hypot(east, north)
    torch.testing.assert_close(plan[far], expected[far], rtol=0.01, atol=0)
    assert profile[far].abs().max() < 0.01 * plan[far].min()


def test_aspect_faces_downhill_and_is_as_long_as_the_sine_of_slope() -> None:
    z, east, north = cone(30.0)
    a = aspect(z, 10.0)
    far = torch.hypot(east, north) > 100
    away = torch.hypot(east, north)
    torch.testing.assert_close(a[0][far], (0.5 * east / away)[far], atol=4e-3, rtol=0)
    torch.testing.assert_close(a[1][far], (0.5 * north / away)[far], atol=4e-3, rtol=0)


@pytest.mark.parametrize(("azimuth", "bright"), [(90, (-0.5, 0)), (180, (0, 0.5)), (270, (0.5, 0)), (0, (0, -0.5))])
def test_ground_that_faces_the_sun_squarely_has_shade_one(azimuth: float, bright: tuple[float, float]) -> None:
    elevation = 90 - math.degrees(math.atan(0.5))
    lit = hillshade(*gradient(plane(*bright), 30.0), azimuth, elevation)
    torch.testing.assert_close(lit, torch.ones_like(lit))
    assert hillshade(*gradient(plane(-bright[0], -bright[1]), 30.0), azimuth, elevation).max() < 0.7


@pytest.mark.parametrize("size", [30.0, (30.0, 20.0), SIZES, SIZES[..., None], SIZES[None, ..., None]])
def test_every_form_of_pixel_size_gives_one_shape(size: object) -> None:
    size = torch.from_numpy(size) if isinstance(size, np.ndarray) else size
    z = rough()[None, None] if isinstance(size, Tensor) and size.ndim == 4 else rough()
    assert gradient(z, size)[1].shape == z.shape
    assert gradient_loss(z, z + 1, size) < 1e-12


@pytest.mark.parametrize(
    "size", [torch.ones(2, 31), torch.ones(3, 32), torch.ones(1, 3, 32, 1), torch.ones(2, 2, 2, 2, 2)]
)
def test_pixel_sizes_that_do_not_fit_are_refused(size: Tensor) -> None:
    with pytest.raises(ValueError, match="pixel sizes are"):
        gradient(rough(), size)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_nothing_at_the_truth_and_at_any_height_above_it(loss: Callable[..., Tensor]) -> None:
    z = rough()
    assert loss(z + 1000, z, 30.0) < 1e-9
    assert loss(z + rough(5) * 0.1, z, 30.0) > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_passes_the_finite_difference_check(loss: Callable[..., Tensor]) -> None:
    truth = rough(2, side=6)
    prediction = (truth + rough(3, side=6) * 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, truth, torch.from_numpy(SIZES[:, :6])), (prediction,), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("flat_truth", [True, False])
def test_flat_ground_gives_no_nan(loss: Callable[..., Tensor], flat_truth: bool) -> None:
    flat, hilly = torch.full((1, 1, 9, 9), 100.0), rough(side=9).float()[None, None]
    prediction = flat.clone().requires_grad_()
    value = loss(prediction, flat if flat_truth else hilly, 30.0)
    (gradient_,) = torch.autograd.grad(value, prediction)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient_).all()
    assert (value > 0) == (not flat_truth)


@pytest.mark.parametrize("loss", LOSSES)
def test_void_cells_do_not_count_and_send_no_gradient(loss: Callable[..., Tensor]) -> None:
    truth, prediction = rough(4, 16), (rough(4, 16) + 0.1 * rough(5, 16)).requires_grad_()
    valid = torch.ones(16, 16, dtype=torch.bool)
    valid[6:9, 6:9] = False
    spoiled = torch.where(valid, truth, torch.nan)
    value = loss(prediction, spoiled, 30.0, valid)
    (gradient_,) = torch.autograd.grad(value, prediction)
    assert torch.isfinite(value)
    assert (gradient_[~valid] == 0).all()
    assert torch.isfinite(gradient_).all()
    torch.testing.assert_close(value, loss(prediction, torch.where(valid, truth, 9e3), 30.0, valid))
    assert abs(value - loss(prediction, truth, 30.0)) > 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_each_surface_has_a_loss_of_its_own(loss: Callable[..., Tensor]) -> None:
    truth = torch.stack([rough(1), rough(2)])[:, None]
    prediction = truth + 0.1 * torch.stack([rough(3), rough(4) * 0.3])[:, None]
    both = loss(prediction, truth, 30.0)
    assert both.shape == (2, 1)
    for i in (0, 1):
        torch.testing.assert_close(both[i, 0], loss(prediction[i, 0], truth[i, 0], 30.0))
    assert both[0] > 2 * both[1]


@pytest.mark.parametrize("loss", LOSSES)
def test_what_cannot_be_compared_is_refused(loss: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="expected one shape"):
        loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8), 30.0)
    with pytest.raises(ValueError, match="nothing to compare"):
        loss(torch.zeros(8, 8), torch.zeros(8, 8), 30.0, torch.zeros(8, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="nothing to compare"):  # one of two surfaces
        valid = torch.tensor([True, False])[:, None, None].expand(2, 8, 8)
        loss(torch.zeros(2, 8, 8), torch.zeros(2, 8, 8), 30.0, valid)


def test_gradient_loss_sees_a_checkerboard() -> None:
    y, x = torch.meshgrid(torch.arange(10), torch.arange(10), indexing="ij")
    board = ((y + x) % 2).double()
    torch.testing.assert_close(gradient_loss(board, torch.zeros_like(board), (2.0, 4.0)), torch.tensor(0.75).double())


def test_slope_loss_is_in_degrees() -> None:
    steep, gentle = plane(math.tan(math.radians(30)), 0), plane(math.tan(math.radians(20)), 0)
    torch.testing.assert_close(slope_loss(steep, gentle, 30.0), torch.tensor(10.0).double())


def test_aspect_loss_is_two_where_ground_faces_the_other_way() -> None:
    torch.testing.assert_close(aspect_loss(plane(-1, 0), plane(1, 0), 30.0, flat=1e-6), torch.tensor(2.0).double())
    torch.testing.assert_close(aspect_loss(plane(0, 1), plane(1, 0), 30.0, flat=1e-6), torch.tensor(1.0).double())


def test_names_that_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="no gradient is called"):
        gradient(rough(), 30.0, "sobel")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no slope has the unit"):
        slope(rough(), 30.0, unit="percent")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the sun stands"):
        hillshade(*gradient(rough(), 30.0), 315, 0)
