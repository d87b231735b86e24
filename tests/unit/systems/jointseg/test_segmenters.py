"""Segmenters: any size, known cells alone, and that they learn."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from terrafine.errors import MissingExtraError, UsageError
from terrafine.systems.jointseg.mask2former import Mask2Former
from terrafine.systems.jointseg.segmenters import UNKNOWN, UNetSegmenter, cross_entropy

SMALL = {
    "embed": 12,
    "depths": (1, 1, 1, 1),
    "heads": (1, 2, 4, 4),
    "window": 4,
    "hidden": 32,
    "queries": 4,
    "decoder_layers": 1,
    "encoder_layers": 1,
}


def bright(n: int = 2, side: int = 64, bands: int = 3) -> tuple[Tensor, Tensor]:
    """Images whose bright squares are class 1."""
    torch.manual_seed(0)
    labels = (torch.rand(n, side // 16, side // 16) < 0.4).long().repeat_interleave(16, 1).repeat_interleave(16, 2)
    return 0.2 + 0.5 * labels[:, None].float().expand(-1, bands, -1, -1) + 0.05 * torch.rand(
        n, bands, side, side
    ), labels


def mask2former(inputs: int = 3) -> nn.Module:
    pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that is not ours
        return Mask2Former(inputs, 2, SMALL)


def train(net: nn.Module, x: Tensor, labels: Tensor, steps: int, rate: float) -> None:
    """Signed steps of one size: the plainest descent, which knows no scale of the loss."""
    for _ in range(steps):
        net.zero_grad()
        net.loss(x, labels).backward()  # type: ignore[operator]
        with torch.no_grad():
            for p in net.parameters():
                if p.grad is not None:
                    p -= rate * p.grad.sign()


def test_the_u_net_takes_any_size_and_learns() -> None:
    torch.manual_seed(0)
    net = UNetSegmenter(3, 2, width=4, depth=2)
    assert net(torch.rand(1, 3, 37, 50)).shape == (1, 2, 37, 50)
    x, labels = bright(side=32)
    train(net, x, labels, 25, 0.01)
    with torch.no_grad():
        assert float((net(x).argmax(dim=1) == labels).float().mean()) > 0.95
        assert float((net(x).argmax(dim=1) == 1 - labels).float().mean()) < 0.05


def test_cells_that_are_not_known_count_nothing() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 2, 8, 8, requires_grad=True), torch.randint(0, 2, (1, 8, 8))
    hidden = labels.clone()
    hidden[:, :4] = UNKNOWN
    known = float(cross_entropy(logits[:, :, 4:], labels[:, 4:]).detach())
    assert float(cross_entropy(logits, hidden).detach()) == pytest.approx(known)
    assert float(cross_entropy(logits, labels).detach()) != pytest.approx(known)
    cross_entropy(logits, hidden).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, :, :4].abs().sum()) == 0 < float(logits.grad[:, :, 4:].abs().sum())
    nothing = cross_entropy(logits, torch.full((1, 8, 8), UNKNOWN))
    assert float(nothing.detach()) == 0
    nothing.backward()


@pytest.mark.slow
def test_mask2former_gives_log_scores_of_every_cell_and_learns() -> None:
    torch.manual_seed(0)
    net = mask2former()
    out = net(torch.rand(1, 3, 40, 70))
    assert out.shape == (1, 2, 40, 70)
    assert torch.isfinite(out).all()
    x, labels = bright()
    with torch.no_grad():
        start = float(net.loss(x, labels))  # type: ignore[operator]
    train(net, x, labels, 8, 1e-3)
    with torch.no_grad():
        assert float(net.loss(x, labels)) < start  # type: ignore[operator]


@pytest.mark.slow
def test_mask2former_takes_four_bands_and_labels_without_a_known_cell() -> None:
    net = mask2former(4)
    loss = net.loss(torch.rand(1, 4, 64, 64), torch.full((1, 64, 64), UNKNOWN))  # type: ignore[operator]
    assert torch.isfinite(loss)
    with pytest.raises(UsageError, match="red, green, blue"):
        Mask2Former(5)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="transformers"):
        Mask2Former(3)
