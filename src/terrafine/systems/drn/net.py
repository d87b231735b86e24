"""The body of DRN, the deep residual network of Jiao et al. 2020: 30 convolutions in residual blocks."""

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
    """Deep residual network that computes the residual of an interpolated surface.

    The paper has a ReLU after every convolution. After the last one it could only raise the surface, so it is left out
    there. Weights are initialised as in He et al. 2015, the second convolution of each block at a tenth.

    Parameters
    ----------
    layers
        Number of convolutions, even: one before the blocks, one after them, two in each block.
    channels
        Width; the paper does not state it, and 64 is customary (1,035,201 weights with 30 layers).

    Raises
    ------
    ValueError
        For an odd number of layers, or fewer than 4.

    References
    ----------
    Jiao et al. 2020, doi:10.1515/geo-2020-0207; He et al. 2015, doi:10.1109/ICCV.2015.123.
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
        """Compute the residual.

        Parameters
        ----------
        x
            Interpolated surface, (n, 1, y, x).

        Returns
        -------
        Tensor
            (n, 1, y, x).
        """
        out: Tensor = self.leave(self.blocks(torch.relu(self.enter(x))))
        return out
