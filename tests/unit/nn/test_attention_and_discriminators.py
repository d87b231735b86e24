"""Attention keeps shapes and weighs between nought and one; discriminators see what their papers say."""

from __future__ import annotations

import pytest
import torch

from terrafine.nn.attention import ATTENTION, Gam, SimAm, attention
from terrafine.systems.sat2dem.discriminators import PatchGan


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


@pytest.mark.parametrize(("layers", "field", "logits"), [(3, 70, 30), (2, 34, 62)])
def test_patchgan_has_the_field_and_the_logits_of_its_paper(layers: int, field: int, logits: int) -> None:
    torch.manual_seed(2)
    network = PatchGan(4, width=4, layers=layers)
    assert network.field == field
    assert network(torch.zeros(1, 4, 256, 256)).shape == (1, 1, logits, logits)


def test_a_logit_sees_its_field_and_no_more_where_nothing_is_normalised() -> None:
    torch.manual_seed(3)
    network = PatchGan(1, width=4, layers=2)
    body = torch.nn.Sequential(*[m for m in network.body if not isinstance(m, torch.nn.InstanceNorm2d)])
    x = torch.randn(1, 1, 128, 128, requires_grad=True)
    body(x)[0, 0, 15, 15].backward()
    assert x.grad is not None
    seen = (x.grad[0, 0] != 0).nonzero()
    assert (seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist() == [network.field, network.field]
