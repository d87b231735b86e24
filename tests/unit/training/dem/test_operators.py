"""The operators that make patches on any device are those of scipy, and sampling by them is the same on each device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from terrafine.training.dem.misfit import MisfitFamily
from terrafine.training.dem.operators import block_means, blur, enlarge, move, patch_device
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.products import ProductFamily
from terrafine.training.dem.terrain import Terrain

RNG = np.random.default_rng(4)
FIELD = RNG.normal(size=(23, 31)).cumsum(0).cumsum(1)
CPU = torch.device("cpu")


def tensor() -> torch.Tensor:
    return torch.from_numpy(FIELD.copy())


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.7])
@pytest.mark.parametrize("wrap", [False, True])
def test_a_blur_is_that_of_scipy(sigma: float, wrap: bool) -> None:
    expected = ndimage.gaussian_filter(FIELD, sigma, mode="wrap" if wrap else "nearest", truncate=3.0)
    np.testing.assert_allclose(blur(tensor(), sigma, wrap=wrap), expected, atol=1e-9)
    assert not np.allclose(blur(tensor(), 1.2 * sigma + 0.5, wrap=wrap), expected, atol=1e-3)


def test_no_blur_is_the_field_itself() -> None:
    assert torch.equal(blur(tensor(), 0.0), tensor())


@pytest.mark.parametrize("k", [2, 3, 4])
def test_cells_are_enlarged_as_by_scipy(k: int) -> None:
    expected = ndimage.zoom(FIELD, k, order=1, grid_mode=True, mode="nearest")
    np.testing.assert_allclose(enlarge(tensor(), k), expected, atol=1e-9)
    np.testing.assert_allclose(block_means(enlarge(tensor(), k), k)[3:-3, 3:-3].shape, (17, 25))


def test_a_plane_moves_by_what_is_stated() -> None:
    y, x = np.mgrid[:20, :20].astype(float)
    moved = move(torch.from_numpy(2 * y - 3 * x), (0.4, -1.25))
    np.testing.assert_allclose(moved[4:-4, 4:-4], (2 * (y - 0.4) - 3 * (x + 1.25))[4:-4, 4:-4], atol=1e-9)
    assert torch.equal(move(tensor(), (0.0, 0.0)), tensor())


def test_patches_are_made_where_float64_is() -> None:
    assert patch_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert patch_device(torch.device("mps")) == CPU


def sampler(**changes: object) -> Sampler:
    steps = np.random.default_rng(0).normal(size=(400, 300))
    heights = np.round(steps.cumsum(0).cumsum(1) / 3).clip(-30000, 30000).astype(np.int16)
    pixel = np.stack([np.full(400, 30.0), np.linspace(20.0, 25.0, 400)])
    ground = Terrain("a", heights, -32768.0, pixel, 1.0, ((0, 400, 0, 300),))
    plain = Sampler([ground], 3, 12, 6, ProductFamily(lakes=0.3), 7, misfit=MisfitFamily(voids=0.5))
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_batch_on_a_device_is_the_batch_of_the_host() -> None:
    batch, made = sampler()(3), sampler().tensors(3, CPU)
    for name in ("coarse", "fine", "pixel_size_m", "sensor", "known"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(made, name))
    assert made.scale == 3
    assert made.coarse.dtype == made.fine.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_a_batch_is_the_same_on_a_gpu() -> None:
    for step in range(4):
        host, card = sampler().tensors(step, CPU), sampler().tensors(step, torch.device("cuda"))
        assert card.coarse.device.type == "cuda"
        torch.testing.assert_close(card.fine.cpu(), host.fine, atol=1e-4, rtol=0)
        torch.testing.assert_close(card.sensor, host.sensor.to(card.sensor))  # type: ignore[union-attr]
        far = (card.coarse.cpu() - host.coarse).abs() > 1e-3  # a height between two steps may round to either
        assert far.float().mean() < 1e-3


def test_nothing_random_is_drawn_by_torch() -> None:
    """Torch's generators differ between devices, so no patch may depend on them."""
    torch.manual_seed(1)
    first = sampler().tensors(5, CPU)
    torch.manual_seed(2)
    second = sampler().tensors(5, CPU)
    assert torch.equal(first.coarse, second.coarse)
    assert not torch.equal(first.coarse, sampler().tensors(6, CPU).coarse)
