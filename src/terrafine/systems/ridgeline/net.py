"""Ridgeline: DEM super-resolution at coarse resolution, from neighbour differences alone.

heights ─ differences ┬─ fixed 15×15 correlation ── consistent cubic surface, as k² subcells per cell ──┐
                      │                          └─ departures from the 7×7 and 15×15 means             │
                      └─ ÷ pixel size ─ head ─ residual blocks (two levels) ─ k² subcells × pixel size ─ + ─ minus
                                                                 └─ log σ of each subcell                    block mean
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.blocks import ResidualBlock, init_identity
from terrafine.nn.subcell import consistent_cubic, context_kernel, forward_differences, on_differences

__all__ = ["RidgelineNet"]

_RADIUS = 7
_GAINS = (1.0, 30.0)  # slopes as they are, and asinh of 30 times as much: plains and walls both in range


class RidgelineNet(nn.Module):
    """Coarse heights -> fine heights relative to their cell, and σ; all in metres.

    scale      fine cells along a coarse cell
    channels   width at the coarse resolution; deep_channels: at half of it
    blocks     residual blocks before and after the deep level; deep_blocks: on it (0: no deep level)
    """

    fixed: Tensor

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        blocks: tuple[int, int] = (2, 2),
        deep_channels: int = 96,
        deep_blocks: int = 6,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.deep_blocks = deep_blocks
        taps = consistent_cubic(scale, _RADIUS)
        kernels = [on_differences(taps, taps, _RADIUS)]
        kernels += [on_differences(context_kernel(w), context_kernel(w), _RADIUS) for w in (7, 15)]
        self.register_buffer("fixed", torch.from_numpy(np.concatenate(kernels)).float(), persistent=False)
        self.head = nn.Conv2d(4 * len(_GAINS), channels, 3, padding=1)
        self.before = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks[0])))
        if deep_blocks:
            self.down = nn.Conv2d(channels, deep_channels, 2, stride=2)
            self.deep = nn.Sequential(*(ResidualBlock(deep_channels) for _ in range(deep_blocks)))
            self.up = nn.Conv2d(deep_channels, 4 * channels, 1)
            init_identity(self.up)
        self.after = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks[1])))
        self.tail = nn.Conv2d(channels, scale**2, 3, padding=1)
        init_identity(self.tail)
        self.sigma = nn.Sequential(
            nn.Conv2d(channels, 32, 1), nn.GELU(approximate="tanh"), nn.Conv2d(32, scale**2, 3, padding=1)
        )

    def forward(self, heights: Tensor, pixel_size_m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """heights (n, 1, y, x) m, pixel_size_m (n, 2, y, 1) along y and x ->
        relief (n, k², y, x): subcell minus cell height, with a mean of exactly nothing over each cell;
        detail: what was added to the consistent cubic surface; log_sigma: log of σ in metres; same shapes.
        """
        differences = forward_differences(heights)
        linear = functional.conv2d(differences, self.fixed, padding=_RADIUS)
        surface, context = linear[:, : self.scale**2], linear[:, self.scale**2 :]
        size = pixel_size_m.prod(dim=1, keepdim=True).sqrt()
        slopes = torch.cat((differences / pixel_size_m, context / size), dim=1)
        x = self.head(torch.cat([slopes if g == 1 else torch.asinh(g * slopes) / g**0.5 for g in _GAINS], dim=1))
        x = self.before(x)
        if self.deep_blocks:
            x = x + functional.pixel_shuffle(self.up(self.deep(self.down(x))), 2)
        x = self.after(x)
        detail = self.tail(x) * size
        relief = surface + detail
        relief = relief - relief.mean(dim=1, keepdim=True)
        log_sigma = self.sigma(x.detach()) + torch.log(0.02 * size)
        return relief, detail, log_sigma

    def receptive_radius(self) -> int:
        """Coarse cells around a cell on which its subcells depend."""
        before, after = 2 * len(self.before), 2 * len(self.after) + 1
        deep = 2 * (2 * self.deep_blocks) + 1 if self.deep_blocks else 0
        return _RADIUS + 1 + before + deep + after + 1
