"""Attention blocks that published networks are built with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Cbam"]


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
