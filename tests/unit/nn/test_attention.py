"""Attention blocks against their papers' formulas, written again in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate

from terrafine.nn.attention import ATTENTION, Cbam, Gam, SimAm, attention

F64 = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def _sigmoid(x: F64) -> F64:
    return 1 / (1 + np.exp(-x))


def _cbam(block: Cbam, x: F64) -> F64:
    """One tile (c, y, x), by the paper's equations 1 to 3."""
    state = {k: v.double().numpy() for k, v in block.state_dict().items()}
    first, second = state["channel.0.weight"][:, :, 0, 0], state["channel.2.weight"][:, :, 0, 0]
    pooled = sum(second @ np.maximum(first @ p, 0) for p in (x.mean((1, 2)), x.max((1, 2))))
    x = x * _sigmoid(pooled)[:, None, None]
    over = (x.mean(0), x.max(0))
    kernel = state["pixel.weight"][0]
    pixel = np.asarray(sum(correlate(o, k, mode="constant") for o, k in zip(over, kernel, strict=True)))
    return np.asarray(x * _sigmoid(pixel))


@torch.no_grad()
@pytest.mark.parametrize("channels", [4, 32])
def test_cbam_is_the_papers_formula(channels: int) -> None:
    block = Cbam(channels)
    x = torch.randn(1, channels, 9, 11)
    np.testing.assert_allclose(block(x)[0].numpy(), _cbam(block, x[0].double().numpy()), atol=1e-5)


@torch.no_grad()
def test_the_comparison_with_cbams_formula_rejects_another_block() -> None:
    x = torch.randn(1, 32, 9, 11)
    difference = np.abs(Cbam(32)(x)[0].numpy() - _cbam(Cbam(32), x[0].double().numpy()))
    assert difference.max() > 1e-3


def test_cbam_has_a_hidden_unit_even_for_few_channels() -> None:
    assert Cbam(4, reduction=16).channel[0].out_channels == 1
    assert Cbam(64, reduction=16).channel[0].out_channels == 4


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_keeps_the_shape_and_never_enlarges(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 32, 9, 11)
    out = attention(name, 32)(x)
    assert out.shape == x.shape
    assert bool((out.abs() <= x.abs() + 1e-6).all())
    assert torch.equal(out, x) == (name == "none")


def test_an_unknown_attention_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'cbma'; known are none, cbam, gam, simam"):
        attention("cbma", 8)


def test_simam_is_the_formula_of_its_paper() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 6.0]).reshape(1, 1, 2, 2)
    square, variance = torch.tensor([4.0, 1.0, 0.0, 9.0]), 14.0 / 3
    expected = x.flatten() * torch.sigmoid(square / (4 * (variance + 1e-4)) + 0.5)
    torch.testing.assert_close(SimAm()(x).flatten(), expected)


@pytest.mark.parametrize(("norm", "local"), [(None, True), (torch.nn.InstanceNorm2d, False)])
def test_gam_sees_six_cells_around_unless_it_normalises(norm: type[torch.nn.Module] | None, local: bool) -> None:
    torch.manual_seed(1)
    block, x = Gam(8, reduction=2, norm=norm), torch.randn(1, 8, 24, 24)
    far, near = x.clone(), x.clone()
    far[..., 12, 19] += 5
    near[..., 12, 18] += 5
    here = block(x)[..., 12, 12]
    assert torch.equal(block(far)[..., 12, 12], here) == local
    assert not torch.equal(block(near)[..., 12, 12], here)
