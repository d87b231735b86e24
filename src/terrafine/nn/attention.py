"""Attention blocks that published networks are built with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["ATTENTION", "Cbam", "Gam", "SimAm", "attention"]


class Cbam(nn.Module):
    """Features times a weight of each channel, then times a weight of each pixel; (n, c, y, x) -> same.

    The channel's weight comes from its mean and its maximum over the whole tile, through one shared perceptron with
    `channels // reduction` hidden units (at least one); the pixel's from the mean and maximum over channels, through a
    `kernel`×`kernel` convolution. Both end in a sigmoid. The pooling over the tile makes it depend on the tile.

    Woo et al. 2018, CBAM: Convolutional Block Attention Module, https://arxiv.org/abs/1807.06521, equations 1-3.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )
        self.pixel = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.channel(x.mean(dim=(2, 3), keepdim=True)) + self.channel(x.amax(dim=(2, 3), keepdim=True))
        x = x * torch.sigmoid(pooled)
        over = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.pixel(over))


class Gam(nn.Module):
    """Features times a weight of each channel in each pixel, then times another; (n, c, y, x) -> same.

    The first comes from a perceptron over the pixel's channels, c -> c/r -> c; the second from two `kernel`×`kernel`
    convolutions, c -> c/r -> c, each followed by a normalisation. Both end in a sigmoid. Nothing is pooled: with
    `norm=None` a cell depends on the `kernel - 1` cells around it alone, and a tile with that halo is exact.

    Liu, Shao, Hoffmann 2021, Global Attention Mechanism, https://arxiv.org/abs/2112.05561, figures 1-3.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        kernel: int = 7,
        norm: Callable[[int], nn.Module] | None = nn.InstanceNorm2d,
    ) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.channel = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
        around = {"padding": kernel // 2, "padding_mode": "replicate"}
        self.pixel = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel, **around),  # type: ignore[arg-type]
            norm(hidden) if norm is not None else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, kernel, **around),  # type: ignore[arg-type]
            norm(channels) if norm is not None else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.sigmoid(self.channel(x))
        return x * torch.sigmoid(self.pixel(x))


class SimAm(nn.Module):
    """Features times the sigmoid of how far each lies from its channel's mean, in variances; (n, c, y, x) -> same.

    Weight sigmoid((x - μ)² / (4 (σ² + λ)) + 1/2) with μ, σ² of the channel over the tile, λ = 1e-4; no weights are
    learned. Mean and variance make it depend on the tile.

    Yang, Zhang, Li, Xie 2021, SimAM, http://proceedings.mlr.press/v139/yang21o.html, equation 5.
    """

    def __init__(self, regular: float = 1e-4) -> None:
        super().__init__()
        self.regular = regular

    def forward(self, x: Tensor) -> Tensor:
        square = (x - x.mean(dim=(2, 3), keepdim=True)).square()
        variance = square.sum(dim=(2, 3), keepdim=True) / max(1, x.shape[2] * x.shape[3] - 1)
        return x * torch.sigmoid(square / (4 * (variance + self.regular)) + 0.5)


ATTENTION = ("none", "cbam", "gam", "simam")


def attention(name: str, channels: int, norm: Callable[[int], nn.Module] | None = nn.InstanceNorm2d) -> nn.Module:
    """The attention block of that name (one of ATTENTION) for features of so many channels.

    `norm` is that of the network around it; only `gam` has one. Raises ValueError for another name.
    """
    if name == "none":
        return nn.Identity()
    if name == "cbam":
        return Cbam(channels)
    if name == "gam":
        return Gam(channels, norm=norm)
    if name == "simam":
        return SimAm()
    raise ValueError(f"no attention is called {name!r}; known are {', '.join(ATTENTION)}")
