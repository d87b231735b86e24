"""ReliefNet: DEM super-resolution at coarse resolution, from neighbour differences alone; the body of Ridgeline.

heights ─ differences ┬─ fixed 15×15 correlations ┬─ consistent cubic surface, k² subcells per cell ─────┐
                      │                           └─ anomalies from 3×3, 7×7, 15×15 means ── roughness   │
                      └─ slopes, and slopes ÷ roughness ─ head ─ residual blocks on two levels           │
                                        ├─ k² subcells × roughness ──────────────────────────────────────┴─ + ─ minus
                                        └─ log σ of each subcell, × roughness                              block mean
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.blocks import ResidualBlock, init_identity
from terrafine.nn.precision import fixed_correlation
from terrafine.nn.subcell import consistent_cubic, context_kernel, forward_differences, on_differences
from terrafine.schema.types import Channels, Items, Within

__all__ = ["RADIUS", "WINDOWS", "ReliefNet", "Stem", "roughness"]

RADIUS = 7
_Blocks = Annotated[int, Within(0, 128)]
_Window = Literal[1, 3, 5, 7, 9, 11, 13, 15]
WINDOWS: tuple[_Window, ...] = (3, 7, 15)
_FLAT = 1e-3  # slope below which ground counts as flat: rounding and noise, 0.1 m on cells of 100 m
_TYPICAL = 0.05  # roughness of moderate relief, the unit where the ground's own is not used


@dataclass(frozen=True, slots=True)
class Stem:
    """Output of the network's stem.

    Attributes
    ----------
    features
        Features, (n, c, y, x), dimensionless.
    surface
        Consistent cubic surface relative to its cell, (n, k², y, x), metres.
    unit
        Unit of the detail and of σ, (n, 1, y, x), metres.
    """

    features: Tensor
    surface: Tensor
    unit: Tensor


class ReliefNet(nn.Module):
    """Network from coarse heights to fine heights relative to their cell, and σ.

    Parameters
    ----------
    scale
        Fine cells along a coarse cell, k.
    channels, deep_channels
        Width at the coarse resolution, and at half of it.
    blocks, deep_blocks
        Residual blocks before and after the deep level, and on it (0: no deep level).
    windows
        Sides of the windows whose means are subtracted from a cell; the first one measures roughness.
    normalise
        Whether slopes divided by the roughness are inputs too, and the detail is in units of the roughness.
    """

    fixed: Tensor

    def __init__(
        self,
        scale: int,
        channels: Channels = 64,
        blocks: tuple[_Blocks, _Blocks] = (2, 2),
        deep_channels: Annotated[int, Within(0, 2_048)] = 96,
        deep_blocks: _Blocks = 6,
        windows: Annotated[tuple[_Window, ...], Items(1, 7)] = WINDOWS,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        if deep_blocks and not deep_channels:
            raise ValueError(f"deep_channels = 0 with deep_blocks = {deep_blocks}; expected 1 or more")
        self.scale = scale
        self.deep_blocks = deep_blocks
        self.normalise = normalise
        taps = consistent_cubic(scale, RADIUS)
        kernels = [on_differences(taps, taps, RADIUS)]
        kernels += [on_differences(context_kernel(w), context_kernel(w), RADIUS) for w in windows]
        self.register_buffer("fixed", torch.from_numpy(np.concatenate(kernels)).float(), persistent=False)
        slopes = 2 + len(windows)
        self.head = nn.Conv2d(2 * slopes + 1 if normalise else slopes, channels, 3, padding=1)
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
        """Compute relief, detail and log σ.

        Parameters
        ----------
        heights
            Coarse heights in metres, (n, 1, y, x).
        pixel_size_m
            Metres along y and x, (n, 2, y, 1).

        Returns
        -------
        tuple[Tensor, Tensor, Tensor]
            Three (n, k², y, x): relief, subcell minus cell height, with a mean of exactly 0 over each cell; detail,
            what was added to the consistent cubic surface; log_sigma, the logarithm of σ in metres.
        """
        stem = self.stem(heights, pixel_size_m)
        return self.heads(self.body(stem.features), stem)

    def stem(self, heights: Tensor, pixel_size_m: Tensor) -> Stem:
        """Apply the fixed filters and the first convolution.

        Parameters
        ----------
        heights, pixel_size_m
            As in `forward`.

        Returns
        -------
        Stem
            Features, consistent cubic surface and unit of the detail.
        """
        differences = forward_differences(heights)
        linear = fixed_correlation(differences, self.fixed)
        surface, context = linear[:, : self.scale**2], linear[:, self.scale**2 :]
        size = pixel_size_m.prod(dim=1, keepdim=True).sqrt()
        slopes = torch.cat((differences / pixel_size_m, context / size), dim=1)
        if not self.normalise:
            return Stem(self.head(slopes), surface, _TYPICAL * size)
        rough = roughness(slopes[:, 2:3])
        features = self.head(torch.cat((slopes, torch.asinh(slopes / rough), torch.log(rough)), dim=1))
        return Stem(features, surface, size * rough)

    def body(self, features: Tensor) -> Tensor:
        """Apply the residual body.

        Parameters
        ----------
        features
            Features of the stem, (n, c, y, x).

        Returns
        -------
        Tensor
            Features, (n, c, y, x).
        """
        x: Tensor = self.before(features)
        if self.deep_blocks:
            x = x + functional.pixel_shuffle(self.up(self.deep(self.down(x))), 2)
        out: Tensor = self.after(x)
        return out

    def heads(self, x: Tensor, stem: Stem) -> tuple[Tensor, Tensor, Tensor]:
        """Compute relief, detail and log σ from the body's features.

        Parameters
        ----------
        x
            Features of the body, (n, c, y, x).
        stem
            Output of the stem.

        Returns
        -------
        tuple[Tensor, Tensor, Tensor]
            As `forward`.
        """
        detail = self.tail(x) * stem.unit
        relief = stem.surface + detail
        relief = relief - relief.mean(dim=1, keepdim=True)
        log_sigma = self.sigma(x.detach()) + torch.log(0.3 * stem.unit)
        return relief, detail, log_sigma

    def receptive_radius(self) -> int:
        """Return how many coarse cells around a cell its subcells depend on."""
        before, after = 2 * len(self.before), 2 * len(self.after) + 1
        deep = 2 * (2 * self.deep_blocks) + 1 if self.deep_blocks else 0
        return self.stem_radius() + before + deep + after

    def stem_radius(self) -> int:
        """Return how many coarse cells around a cell its features from the stem depend on."""
        return RADIUS + 2


def roughness(anomaly: Tensor) -> Tensor:
    """Compute the root mean square over 7×7 cells of the anomaly from the 3×3 mean, as a slope.

    It is the unit of the network's detail, so that plains and steep walls need numbers of the same size.

    Parameters
    ----------
    anomaly
        Height minus the 3×3 mean over the cell size, (n, 1, y, x), metres per metre.

    Returns
    -------
    Tensor
        (n, 1, y, x), metres per metre; at least 0.001.
    """
    return (functional.avg_pool2d(anomaly.square(), 7, stride=1, padding=3) + _FLAT**2).sqrt()
