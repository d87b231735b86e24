"""ProductNet: one network for ×2, ×3 and ×4 conditioned on how the product's cells differ from the ground.

heights ─ differences ┬─ consistent cubic surface, k² subcells per cell ───────────────────────────────────────┐
                      └─ slopes, roughness ─┐                                                                  │
product ─ six maps ─────────────────────────┴─ head ─ scale and shift ─ residual blocks ┬─ k² details × unit ──+── minus
                                                                                        │                   cell mean
                                                                                        ├─ cell mean × unit × not exact
                                                                                        └─ log σ of each subcell
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from terrafine.nn.blocks import ResidualBlock, init_identity
from terrafine.nn.precision import fixed_correlation
from terrafine.nn.relief import RADIUS, WINDOWS, roughness
from terrafine.nn.subcell import consistent_cubic, context_kernel, forward_differences, on_differences
from terrafine.schema.types import Channels, Items, Within

__all__ = ["CONDITIONS", "ProductNet"]

CONDITIONS = ("psf_cells", "noise_share", "correlation_cells", "noise_growth", "rounding_share", "exact")
"""Conditions of the product, in the order of its channels; `ridgeline2.product` explains them."""

_SLOPES = 2 + len(WINDOWS)
_FEATURES = 2 * _SLOPES + 1
_LARGEST = 16.0  # of a feature before the blocks; below 4 on terrain
_QUIET = 1e-2  # mean square of features below which the norm does not amplify them
_GAIN = 0.25  # root mean square of the features that enter a block, at first
_SIGMA_RANGE = (-6.0, 5.0)  # natural logarithm of σ over 0.3 × unit
_SMALLEST = 1e-4  # of the cell size: noise and rounding below it are none


class ProductNet(nn.Module):
    """Network from coarse heights and a product's conditions to fine heights relative to their cell, and σ; in metres.

    Parameters
    ----------
    scale
        Fine cells along a coarse cell, k, where `forward` is not given another.
    channels
        Width of the residual blocks.
    blocks
        Number of residual blocks.
    scales
        Every k that the weights serve.
    """

    def __init__(
        self,
        scale: int,
        channels: Channels = 48,
        blocks: Annotated[int, Within(0, 128)] = 8,
        scales: Annotated[Sequence[Literal[2, 3, 4]], Items(1, 3)] = (2, 3, 4),
    ) -> None:
        super().__init__()
        self.scale, self.scales = scale, tuple(scales)
        for k in self.scales:
            taps = consistent_cubic(k, RADIUS)
            self.register_buffer(f"cubic{k}", _tensor(on_differences(taps, taps, RADIUS)), persistent=False)
        context = [on_differences(context_kernel(w), context_kernel(w), RADIUS) for w in WINDOWS]
        self.register_buffer("context", _tensor(np.concatenate(context)), persistent=False)
        self.head = nn.Conv2d(_FEATURES + len(CONDITIONS), channels, 3, padding=1)
        self.body = nn.Sequential(*(_BoundedBlock(channels) for _ in range(blocks)))
        last = nn.Conv2d(64, 2 * channels, 1)
        tails = {str(k): nn.Conv2d(channels, k * k + 1, 3, padding=1) for k in self.scales}
        for branch in (last, *tails.values()):
            init_identity(branch)
        self.film = nn.Sequential(nn.Conv2d(len(CONDITIONS), 64, 1), nn.GELU(), last)
        self.tail = nn.ModuleDict(tails)
        self.sigma = nn.ModuleDict(
            {
                str(k): nn.Sequential(nn.Conv2d(channels, 32, 1), nn.GELU(), nn.Conv2d(32, k * k, 3, padding=1))
                for k in self.scales
            }
        )

    def forward(
        self, heights: Tensor, pixel_size_m: Tensor, sensor: Tensor, scale: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute relief, cubic surface and log σ.

        Parameters
        ----------
        heights
            (n, 1, y, x), metres.
        pixel_size_m
            Metres along y and x, (n, 2, y, 1).
        sensor
            `CONDITIONS` of the product, (n, 6, y or 1, 1), from `ridgeline2.product.conditions_of`.
        scale
            Fine cells along a coarse cell; by default that of the network.

        Returns
        -------
        tuple[Tensor, Tensor, Tensor]
            Three (n, k², y, x) in metres: relief, subcell minus cell height, whose mean over a cell is 0 for an exact
            product; the consistent cubic surface in the same form; and the logarithm of σ.
        """
        k = scale or self.scale
        differences = forward_differences(heights)
        surface = fixed_correlation(differences, getattr(self, f"cubic{k}"))
        context = fixed_correlation(differences, self.context)  # type: ignore[arg-type]
        size = pixel_size_m.prod(dim=1, keepdim=True).sqrt()
        slopes = torch.cat((differences / pixel_size_m, context / size), dim=1)
        rough = roughness(slopes[:, 2:3])
        given = _scaled(sensor)
        maps = given.expand(-1, -1, *heights.shape[2:])
        x = self.head(torch.cat((slopes, torch.asinh(slopes / rough), torch.log(rough), maps), dim=1))
        gain, shift = self.film(given).chunk(2, dim=1)
        x = self.body((x * (1 + gain) + shift).clamp(-_LARGEST, _LARGEST))
        out = self.tail[str(k)](x).float()
        unit = size * rough
        relief = surface + out[:, : k * k] * unit
        relief = relief - relief.mean(dim=1, keepdim=True) + out[:, k * k :] * unit * (1 - sensor[:, 5:6])
        log_sigma = self.sigma[str(k)](x.detach()).float().clamp(*_SIGMA_RANGE) + torch.log(0.3 * unit)
        return relief, surface, log_sigma

    def receptive_radius(self) -> int:
        """Coarse cells around a cell on which its subcells depend."""
        return RADIUS + 2 + 2 * len(self.body) + 1


class _BoundedBlock(ResidualBlock):
    """Residual block on the features of each cell divided by their root mean square over the channels.

    Its branch is bounded on any input, so features cannot grow from block to block. The norm is that of one cell, so
    the output does not depend on the tile.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gain = nn.Parameter(torch.full((1,), _GAIN))

    def forward(self, x: Tensor) -> Tensor:
        """Add the bounded branch to the features, (n, c, y, x)."""
        size = (x.float().square().mean(dim=1, keepdim=True) + _QUIET).rsqrt()
        out: Tensor = x + self.second(self.act(self.first(x * (self.gain * size).to(x.dtype))))
        return out


def _scaled(sensor: Tensor) -> Tensor:
    """The conditions as numbers of about one: shares of the cell size as logarithms."""
    psf, noise, correlation, growth, rounding, exact = sensor.tensor_split(6, dim=1)
    shares = [torch.log10(share + _SMALLEST) + 2 for share in (noise, rounding)]
    return torch.cat((psf, shares[0], correlation, growth, shares[1], exact), dim=1)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).float()
