"""The body of Jiao et al. 2020 (doi:10.1515/geo-2020-0207): 30 convolutions, residual blocks, a global skip."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from terrafine.schema.types import Channels, Within

__all__ = ["LAYERS", "DeepResidual"]

LAYERS = 30


class _Block(nn.Module):
    """x + F(x), F two 3×3 convolutions, each followed by ReLU; (n, c, y, x) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.second(torch.relu(self.first(x))))


class DeepResidual(nn.Module):
    """Interpolated surface (n, 1, y, x) -> residual to add to it (n, 1, y, x).

    layers     convolutions in all, even: one into the blocks, one out of them, two in each block
    channels   width; the paper does not state it, 64 is customary (1,035,201 weights with 30 layers)

    The paper puts ReLU after every convolution; after the last one it could only raise the surface, so there it is
    left out. Weights start as He et al. 2015 (doi:10.1109/ICCV.2015.123), each block's second at a tenth.
    """

    def __init__(self, layers: Annotated[int, Within(4, 256)] = LAYERS, channels: Channels = 64) -> None:
        super().__init__()
        if layers < 4 or layers % 2:
            raise ValueError(f"layers = {layers}: expected an even number of 4 or more")
        self.enter = nn.Conv2d(1, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(_Block(channels) for _ in range((layers - 2) // 2)))
        self.leave = nn.Conv2d(channels, 1, 3, padding=1)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        for last in (self.leave, *(m.second for m in self.modules() if isinstance(m, _Block))):
            last.weight.data.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.leave(self.blocks(torch.relu(self.enter(x))))
        return out
