"""Learned, bounded displacement of a guide: it corrects the misregistration that remains within a raster."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WINDOW", "Align", "local_anomaly"]

WINDOW = 7  # coarse cells whose mean is subtracted: slower variation is land cover, not relief
_DECIBEL = 4.0  # spread of backscatter over relief, dB: scales the input to about one
_SMOOTH = 7  # coarse cells over which displacements are averaged, so that neighbours move together
_WIDTH = 24


def local_anomaly(guide: Tensor, k: int) -> Tensor:
    """Subtract from a guide its mean over a window, and scale the result to about unit spread.

    The mean is computed on coarse cells and interpolated bilinearly between their centres.

    Parameters
    ----------
    guide
        Value in dB and mask, (n, 2, k·y, k·x).
    k
        Fine cells along a coarse cell.

    Returns
    -------
    Tensor
        Local anomaly and mask, (n, 2, k·y, k·x).
    """
    value, observed = guide[:, :1] * guide[:, 1:], guide[:, 1:]
    both = functional.avg_pool2d(functional.avg_pool2d(torch.cat((value, observed), dim=1), k), WINDOW, 1, WINDOW // 2)
    mean = both[:, :1] / both[:, 1:].clamp_min(1e-6)
    slow = functional.interpolate(mean, scale_factor=k, mode="bilinear", align_corners=False)
    return torch.cat(((value - slow * observed) / _DECIBEL, observed), dim=1)


class Align(nn.Module):
    """Network that displaces one guide along y and x, estimated from the guide and the heights.

    The displacement is a field on the coarse grid, averaged over 7 × 7 cells: a shift that may drift slowly, and that
    does not depend on the tile. It starts at 0. A spatial transformer, with one transform for an image, would depend on
    the tile.

    Parameters
    ----------
    scale
        Fine cells along a coarse cell.
    channels
        Number of channels of the features of the heights.
    reach
        Largest displacement in fine cells.

    Raises
    ------
    ValueError
        For a reach that is not a number above 0.

    References
    ----------
    Jaderberg et al. 2015, Spatial Transformer Networks, arXiv:1506.02025.
    """

    def __init__(self, scale: int, channels: int, reach: float) -> None:
        super().__init__()
        if not (reach > 0 and math.isfinite(reach)):
            raise ValueError(f"reach = {reach}: expected a number of fine cells above 0")
        self.scale, self.reach = scale, reach
        self.enter = nn.Conv2d(2 * scale**2 + 2, _WIDTH, 3, padding=1)
        self.heights = nn.Conv2d(channels, _WIDTH, 1)
        self.mix = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.shift = nn.Conv2d(_WIDTH, 2, 3, padding=1)
        for p in self.shift.parameters():
            nn.init.zeros_(p)

    def forward(self, guide: Tensor, look: Tensor, features: Tensor) -> Tensor:
        """Displace a guide.

        A cell is observed where all that it is made of was.

        Parameters
        ----------
        guide
            Local anomaly and mask, (n, 2, k·y, k·x).
        look
            Direction bands on the coarse grid, (n, 2, y, x).
        features
            Features of the heights, (n, channels, y, x).

        Returns
        -------
        Tensor
            The displaced guide, (n, 2, k·y, k·x); a cell is observed where all cells that it is interpolated from are.
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
        """Estimate the displacement.

        Parameters
        ----------
        guide, look, features
            As in `forward`.

        Returns
        -------
        Tensor
            Displacement in fine cells, (n, 2, y, x), down and right, from each cell to the position that it is read
            from.
        """
        x = functional.pixel_unshuffle(guide, self.scale)
        x = functional.gelu(self.enter(torch.cat((x, look), dim=1)) + self.heights(features))
        raw = self.shift(functional.gelu(self.mix(x)))
        half = _SMOOTH // 2
        smooth = functional.avg_pool2d(functional.pad(raw, (half,) * 4, mode="replicate"), _SMOOTH, stride=1)
        return self.reach * torch.tanh(smooth)

    def receptive_radius(self) -> int:
        """Return how many coarse cells of guide and features around a cell the displaced guide depends on."""
        return 3 + _SMOOTH // 2 + -(-math.ceil(self.reach + 1) // self.scale)
