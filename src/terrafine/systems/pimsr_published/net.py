"""PIMSR as in its public code: from patches of 16² coarse cells to 64² fine ones, bicubic plus a residual.

vv, vh ─ log(1 + power), z-score ─ encoder each ─┬ 64² ────────────────────────────────┐
                                                 ├ 32² ──────────────────┐             │
                                                 └ 16² ─────┐            │             │
heights ─ z-score ─ Sobel x, y, diagonal ─ encoder ── 16² ──┴ fuse 128 ↑2 ┴ fuse 64 ↑2 ┴ fuse 32 ─ residual
                                                          (↑2 PixelShuffle; each fusion: concatenation, CBAM)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.attention import Cbam
from terrafine.schema.types import Within

__all__ = ["PATCH", "POLARISATIONS", "STRIDE", "PublishedNet", "log_power"]

PATCH = 16
"""Coarse cells along the side of a patch, the only input size of the network."""
STRIDE = 8
"""Coarse cells between the corners of blended patches, on a lattice from the tile's corner."""

POLARISATIONS = ("vv", "vh")
_AT_ONCE = 16
_Fused = Annotated[int, Within(4, 1_024)]
_SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_DIAGONAL = ((-2.0, -1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, 1.0, 2.0))


class PublishedNet(nn.Module):
    """Network that computes the residual to the bicubic surface for one patch or, blended, for many.

    relief     spread of a patch's heights about their mean, as a share of the coarse cell's size
    backscatter  polarisation -> (mean, standard deviation) of log(1 + linear power)
    channels   of the encoders; fused: of the fusions at 16², 32² and 64²

    Parameters
    ----------
    relief
        Spread of a patch's heights about their mean, relative to the coarse pixel size.
    backscatter
        Polarisation -> mean and standard deviation of log(1 + linear power).
    channels
        Channels of the encoders.
    fused
        Channels of the fusions at 16², 32² and 64².

    Raises
    ------
    TypeError
        For a spread that is not above 0, or other polarisations than vv and vh.
    """

    def __init__(
        self,
        relief: Annotated[float, Within(0, 1_000, above=True)] = 0.1,
        backscatter: Mapping[str, tuple[float, Annotated[float, Within(0, 1e6, above=True)]]] | None = None,
        channels: Annotated[int, Within(4, 1_024)] = 64,
        fused: tuple[_Fused, _Fused, _Fused] = (128, 64, 32),
    ) -> None:
        super().__init__()
        spread: Mapping[str, Sequence[float]] = backscatter or dict.fromkeys(POLARISATIONS, (0.0, 1.0))
        if not relief > 0 or set(spread) != set(POLARISATIONS) or not all(s > 0 for _, s in spread.values()):
            raise TypeError(f"relief = {relief}, backscatter = {dict(spread)}; expected spreads above 0 for vv and vh")
        self.spread, self.backscatter = float(relief), {name: tuple(map(float, v)) for name, v in spread.items()}
        low, middle, high = fused
        self.heights = _Heights(channels)
        self.radar = nn.ModuleDict({name: _Radar(channels) for name in POLARISATIONS})
        both = 2 * channels
        self.at_16 = _Fusion(channels + both, low)
        self.up_32 = _Up(low, middle)
        self.at_32 = _Fusion(middle + both, middle)
        self.up_64 = _Up(middle, high)
        self.at_64 = _Fusion(high + both, high)
        self.tail = nn.Conv2d(high, 1, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def unit(self, pixel_size_m: Tensor) -> Tensor:
        """Return the height in metres of one z-score.

        Parameters
        ----------
        pixel_size_m
            Metres along y and x, (n, 2, y, 1).

        Returns
        -------
        Tensor
            (n, 1, 1, 1).
        """
        return self.spread * pixel_size_m.prod(dim=1, keepdim=True).sqrt().mean(dim=(2, 3), keepdim=True)

    def forward(self, heights: Tensor, pixel_size_m: Tensor, guides: Mapping[str, Tensor]) -> Tensor:
        """Compute the residual of a tile.

        Patches start at every 8th cell and are blended by squared sines. Where a polarisation is not observed, its
        z-score is 0.

        Parameters
        ----------
        heights
            Coarse heights in metres, (n, 1, y, x); y and x are 16, or larger multiples of 8.
        pixel_size_m
            Metres along y and x, (n, 2, y, 1).
        guides
            vv and vh -> (n, 2, 4y, 4x): dB, and 1 where observed, else 0.

        Returns
        -------
        Tensor
            Residual in metres, (n, 1, 4y, 4x).

        Raises
        ------
        ValueError
            For other sides.
        """
        n, _, rows, cols = heights.shape
        if rows % STRIDE or cols % STRIDE or min(rows, cols) < PATCH:
            raise ValueError(f"tiles of {rows} × {cols} cells; expected multiples of {STRIDE}, at least {PATCH}")
        radar = torch.cat([self._radar_scores(name, guides.get(name), heights) for name in POLARISATIONS], dim=1)
        if rows == cols == PATCH:
            return self.forward_patches(heights, radar, self.unit(pixel_size_m))
        pixel_size_m = pixel_size_m.expand(-1, -1, rows, -1)
        out = heights.new_zeros((n, 1, 4 * rows, 4 * cols))
        window = _window(heights)
        weight = torch.zeros_like(out[:1])
        corners = [(y, x) for y in range(0, rows - STRIDE, STRIDE) for x in range(0, cols - STRIDE, STRIDE)]
        for y, x in corners:
            weight[..., 4 * y : 4 * (y + PATCH), 4 * x : 4 * (x + PATCH)] += window
        every = [(i, y, x) for i in range(n) for y, x in corners]
        for start in range(0, len(every), _AT_ONCE):
            some = every[start : start + _AT_ONCE]
            patches = torch.cat([heights[i : i + 1, :, y : y + PATCH, x : x + PATCH] for i, y, x in some])
            scores = [radar[i : i + 1, :, 4 * y : 4 * (y + PATCH), 4 * x : 4 * (x + PATCH)] for i, y, x in some]
            unit = torch.cat([self.unit(pixel_size_m[i : i + 1, :, y : y + PATCH]) for i, y, _ in some])
            done = self.forward_patches(patches, torch.cat(scores), unit)
            for (i, y, x), residual in zip(some, done, strict=True):
                out[i, :, 4 * y : 4 * (y + PATCH), 4 * x : 4 * (x + PATCH)] += window * residual
        return out / weight

    def forward_patches(self, heights: Tensor, radar: Tensor, unit: Tensor) -> Tensor:
        """Compute the residuals of patches.

        Parameters
        ----------
        heights
            Coarse heights in metres, (n, 1, 16, 16).
        radar
            z-scores, (n, 2, 64, 64).
        unit
            Metres of one z-score of height, (n, 1, 1, 1).

        Returns
        -------
        Tensor
            Residuals in metres, (n, 1, 64, 64).
        """
        mean = heights.double().mean(dim=(2, 3), keepdim=True)
        terrain = self.heights((heights.double() - mean).to(heights.dtype) / unit)
        levels = zip(*(encoder(radar[:, i : i + 1]) for i, encoder in enumerate(self.radar.values())), strict=True)
        fine, half, coarse = (torch.cat(level, dim=1) for level in levels)
        x = self.at_16(torch.cat((terrain, coarse), dim=1))
        x = self.at_32(torch.cat((self.up_32(x), half), dim=1))
        x = self.at_64(torch.cat((self.up_64(x), fine), dim=1))
        residual: Tensor = self.tail(x) * unit
        return residual

    def _radar_scores(self, name: str, guide: Tensor | None, heights: Tensor) -> Tensor:
        """The z-score of log(1 + power), 0 where not observed; (n, 1, 4y, 4x)."""
        n, _, y, x = heights.shape
        if guide is None:
            return heights.new_zeros((n, 1, 4 * y, 4 * x))
        mean, deviation = self.backscatter[name]
        return (log_power(guide[:, :1]) - mean) / deviation * guide[:, 1:]


def log_power(db: Tensor) -> Tensor:
    """Compute log(1 + linear power) of backscatter, as published.

    Parameters
    ----------
    db
        Backscatter in dB, any shape.

    Returns
    -------
    Tensor
        Same shape; nearly the linear power itself, for small values.
    """
    return torch.log1p(10 ** (db / 10))


class _Residual(nn.Module):
    """x + CBAM(convolutions of x), with batch norm; (n, c, y, x) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            Cbam(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.relu(x + self.body(x))
        return out


def _convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


class _Radar(nn.Module):
    """One polarisation (n, 1, 64, 64) -> features at 64², 32², 16²."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(_convolution(entering, channels, stride), _Residual(channels))
            for entering, stride in ((1, 1), (channels, 2), (channels, 2))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class _Heights(nn.Module):
    """Heights (n, 1, 16, 16) -> features at 16²; three convolutions initialised as Sobel x, y and diagonal."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        each = channels // 4
        self.sobel = nn.ModuleList(nn.Conv2d(1, each, 3, padding=1, padding_mode="replicate") for _ in range(3))
        for conv, kernel in zip(self.sobel, (_SOBEL_X, tuple(zip(*_SOBEL_X, strict=True)), _DIAGONAL), strict=True):
            with torch.no_grad():
                conv.weight.copy_(torch.tensor(kernel) / 8)  # type: ignore[operator]
        self.body = nn.Sequential(_convolution(3 * each + 1, channels), _Residual(channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(torch.cat([x, *(conv(x) for conv in self.sobel)], dim=1))
        return out


class _Fusion(nn.Module):
    """Concatenated features -> a convolution and a CBAM residual block."""

    def __init__(self, entering: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(entering, channels), Cbam(channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class _Up(nn.Module):
    """Double the resolution by PixelShuffle."""

    def __init__(self, entering: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(entering, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


def _window(like: Tensor) -> Tensor:
    """Weight of a patch's fine cells: squared sines; those of patches half a patch apart sum to one."""
    t = (torch.arange(4 * PATCH, dtype=like.dtype, device=like.device) + 0.5) / (4 * PATCH)
    ramp = torch.sin(torch.pi * t).square()
    return ramp[:, None] * ramp[None, :]
