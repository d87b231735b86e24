"""Muon turns every singular value of a hidden convolution's momentum into about one; all else moves as AdamW's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from terrafine.training.optimisers import Muon


def moved(p: nn.Parameter, gradients: list[torch.Tensor], optimiser: torch.optim.Optimizer) -> torch.Tensor:
    before = p.detach().clone()
    for gradient in gradients:
        p.grad = gradient
        optimiser.step()
    return p.detach() - before


@pytest.mark.parametrize("shape", [(48, 32, 3, 3), (64, 32, 1, 1)])
def test_a_hidden_convolution_moves_by_a_nearly_orthogonal_matrix(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    p = nn.Parameter(torch.zeros(shape))
    gradient = torch.randn(shape) * torch.logspace(0, -2, shape[0]).view(-1, 1, 1, 1)
    step = -moved(p, [gradient], Muon([p], lr=0.5)).flatten(1)
    longer = max(step.shape)
    values = torch.linalg.svdvals(step) / (0.5 * 0.2 * longer**0.5)
    assert values.max() < 1.3
    assert values.median() > 0.6
    assert (step * gradient.flatten(1)).sum() > 0  # against the gradient
    spread = torch.linalg.svdvals(gradient.flatten(1))
    assert spread.max() / spread.median() > 3 * values.max() / values.median()


@pytest.mark.parametrize("shape", [(16, 11, 3, 3), (48,)])
def test_all_else_moves_as_adamw_moves_it(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    gradients = [torch.randn(shape) for _ in range(5)]
    start = torch.randn(shape)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    a = moved(ours, gradients, Muon([ours], lr=1e-2, weight_decay=0.1))
    b = moved(theirs, gradients, torch.optim.AdamW([theirs], lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_layout_in_memory_changes_nothing() -> None:
    torch.manual_seed(2)
    start, gradients = torch.randn(32, 32, 3, 3), [torch.randn(32, 32, 3, 3) for _ in range(3)]
    plain = nn.Parameter(start.clone())
    last = nn.Parameter(start.clone(memory_format=torch.channels_last))
    a = moved(plain, gradients, Muon([plain], lr=1e-2))
    b = moved(last, [g.contiguous(memory_format=torch.channels_last) for g in gradients], Muon([last], lr=1e-2))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_closure_is_refused() -> None:
    with pytest.raises(ValueError, match="no closure"):
        Muon([nn.Parameter(torch.zeros(2))], lr=1.0).step(lambda: 0.0)
