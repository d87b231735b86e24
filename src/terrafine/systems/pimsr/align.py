"""A learned displacement of a guide, bounded and nothing at first: what registration of the whole raster leaves."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WINDOW", "Align", "flattened"]

WINDOW = 7  # coarse cells whose mean is taken away: what varies more slowly is land cover, not relief
_DECIBEL = 4.0  # spread of backscatter over relief: brings the input to about one
_SMOOTH = 7  # coarse cells over which displacements are averaged: neighbours move together, by a shift that drifts
_WIDTH = 24


def flattened(guide: Tensor, k: int) -> Tensor:
    """A guide (n, 2, k·y, k·x), value and mask, less its mean over the window, which is taken on coarse cells and
    drawn smoothly between their centres; about one.
    """
    value, seen = guide[:, :1] * guide[:, 1:], guide[:, 1:]
    both = functional.avg_pool2d(functional.avg_pool2d(torch.cat((value, seen), dim=1), k), WINDOW, 1, WINDOW // 2)
    mean = both[:, :1] / both[:, 1:].clamp_min(1e-6)
    slow = functional.interpolate(mean, scale_factor=k, mode="bilinear", align_corners=False)
    return torch.cat(((value - slow * seen) / _DECIBEL, seen), dim=1)


class Align(nn.Module):
    """One guide, moved by up to `reach` fine cells along y and x, by where it and the heights say relief lies.

    The displacement is a field on the coarse grid, averaged over 7 × 7 cells: a shift that may drift, as an affine
    does, and that no tile decides. After spatial transformers (Jaderberg et al. 2015, arXiv:1506.02025), whose one
    transform for an image would depend on the tile.
    """

    def __init__(self, scale: int, seen: int, reach: float) -> None:
        super().__init__()
        if not (reach > 0 and math.isfinite(reach)):
            raise ValueError(f"reach = {reach}: expected a number of fine cells above 0")
        self.scale, self.reach = scale, reach
        self.enter = nn.Conv2d(2 * scale**2 + 2, _WIDTH, 3, padding=1)
        self.heights = nn.Conv2d(seen, _WIDTH, 1)
        self.mix = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.shift = nn.Conv2d(_WIDTH, 2, 3, padding=1)
        for p in self.shift.parameters():
            nn.init.zeros_(p)

    def forward(self, guide: Tensor, look: Tensor, features: Tensor) -> Tensor:
        """guide (n, 2, k·y, k·x), flattened, and mask; look (n, 2, y, x), features (n, seen, y, x) -> the guide moved.

        A cell is observed where all that it is made of was.
        """
        shift = functional.interpolate(self.field(guide, look, features), scale_factor=self.scale, mode="nearest")
        height, width = guide.shape[-2:]
        y = torch.arange(height, dtype=guide.dtype, device=guide.device)[:, None] + shift[:, 0]
        x = torch.arange(width, dtype=guide.dtype, device=guide.device)[None, :] + shift[:, 1]
        grid = torch.stack((2 * (x + 0.5) / width - 1, 2 * (y + 0.5) / height - 1), dim=-1)
        moved = functional.grid_sample(guide, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        known = (moved[:, 1:] > 1 - 1e-3).to(guide.dtype)
        return torch.cat((moved[:, :1] * known, known), dim=1)

    def field(self, guide: Tensor, look: Tensor, features: Tensor) -> Tensor:
        """Displacement (n, 2, y, x) in fine cells, down and right: from where each cell reads."""
        x = functional.pixel_unshuffle(guide, self.scale)
        x = functional.gelu(self.enter(torch.cat((x, look), dim=1)) + self.heights(features))
        raw = self.shift(functional.gelu(self.mix(x)))
        half = _SMOOTH // 2
        smooth = functional.avg_pool2d(functional.pad(raw, (half,) * 4, mode="replicate"), _SMOOTH, stride=1)
        return self.reach * torch.tanh(smooth)

    def receptive_radius(self) -> int:
        """Coarse cells around a cell on which the moved guide depends, of the flattened guide and of the features."""
        return 3 + _SMOOTH // 2 + -(-math.ceil(self.reach + 1) // self.scale)
