"""The body of SRCNN (Dong et al. 2014, doi:10.1007/978-3-319-10593-2_13), sizes as compared in Jiao et al. 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from terrafine.schema.types import Channels

__all__ = ["RADIUS", "Shallow"]

RADIUS = 4 + 0 + 2


class Shallow(nn.Module):
    """Interpolated surface (n, 1, y, x) -> what to add to it: convolutions 9×9 (64), 1×1 (32), 5×5; 8,129 weights.

    SRCNN gives the surface itself. Its last layer here gives the surface minus the interpolation, which is the
    same function class plus an identity that the 9-1-5 stack would have to learn, and so only helps it.
    """

    def __init__(self, channels: tuple[Channels, Channels] = (64, 32)) -> None:
        super().__init__()
        a, b = channels
        self.extract = nn.Conv2d(1, a, 9, padding=4)
        self.map = nn.Conv2d(a, b, 1)
        self.reconstruct = nn.Conv2d(b, 1, 5, padding=2)
        self.reconstruct.weight.data.mul_(0.1)
        nn.init.zeros_(self.reconstruct.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.reconstruct(torch.relu(self.map(torch.relu(self.extract(x)))))
        return out
