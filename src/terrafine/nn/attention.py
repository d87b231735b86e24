"""Attention blocks of published networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

__all__ = ["ATTENTION", "Attention", "Cbam", "Gam", "SimAm", "attention"]


class Cbam(nn.Module):
    """Convolutional block attention: features times a weight of each channel, then times a weight of each pixel.

    The channel's weight is computed from its mean and maximum over the whole tile by one shared perceptron with
    `channels // reduction` hidden units (at least one). The pixel's weight is computed from the mean and maximum over
    channels by a `kernel`×`kernel` convolution. Both end in a sigmoid. The pooling makes the result depend on the tile.
    Input and output are (n, c, y, x).

    Parameters
    ----------
    channels
        Number of channels c.
    reduction
        Ratio of channels to hidden units.
    kernel
        Side of the convolution, odd.

    References
    ----------
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
        """Apply channel attention, then pixel attention.

        Parameters
        ----------
        x
            Features, (n, c, y, x).

        Returns
        -------
        Tensor
            Weighted features, (n, c, y, x).
        """
        pooled = self.channel(x.mean(dim=(2, 3), keepdim=True)) + self.channel(x.amax(dim=(2, 3), keepdim=True))
        x = x * torch.sigmoid(pooled)
        over = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.pixel(over))


class Gam(nn.Module):
    """Global attention: features times a weight of each channel in each pixel, then times another such weight.

    The first weight is computed by a perceptron over the pixel's channels, c -> c/r -> c; the second by two
    `kernel`×`kernel` convolutions, c -> c/r -> c, each followed by a normalisation. Both end in a sigmoid. Nothing is
    pooled: with `norm=None` a cell depends only on the `kernel - 1` cells around it, and a tile with that halo is
    exact. Input and output are (n, c, y, x).

    Parameters
    ----------
    channels
        Number of channels c.
    reduction
        Ratio r of channels to hidden channels.
    kernel
        Side of the convolutions, odd.
    norm
        (channels) -> normalisation; None for no normalisation.

    References
    ----------
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
        """Apply channel attention, then pixel attention.

        Parameters
        ----------
        x
            Features, (n, c, y, x).

        Returns
        -------
        Tensor
            Weighted features, (n, c, y, x).
        """
        x = x * torch.sigmoid(self.channel(x))
        return x * torch.sigmoid(self.pixel(x))


class SimAm(nn.Module):
    """Attention without learned weights: features times a sigmoid of their squared distance from the channel's mean.

    The weight is sigmoid((x - μ)² / (4 (σ² + λ)) + 1/2), with μ and σ² of the channel over the tile, so the result
    depends on the tile. Input and output are (n, c, y, x).

    Parameters
    ----------
    regular
        λ, added to the variance.

    References
    ----------
    Yang, Zhang, Li, Xie 2021, SimAM, http://proceedings.mlr.press/v139/yang21o.html, equation 5.
    """

    def __init__(self, regular: float = 1e-4) -> None:
        super().__init__()
        self.regular = regular

    def forward(self, x: Tensor) -> Tensor:
        """Weight each value by its squared distance from the channel's mean.

        Parameters
        ----------
        x
            Features, (n, c, y, x).

        Returns
        -------
        Tensor
            Weighted features, (n, c, y, x).
        """
        square = (x - x.mean(dim=(2, 3), keepdim=True)).square()
        variance = square.sum(dim=(2, 3), keepdim=True) / max(1, x.shape[2] * x.shape[3] - 1)
        return x * torch.sigmoid(square / (4 * (variance + self.regular)) + 0.5)


Attention = Literal["none", "cbam", "gam", "simam"]
ATTENTION = get_args(Attention)


def attention(name: str, channels: int, norm: Callable[[int], nn.Module] | None = nn.InstanceNorm2d) -> nn.Module:
    """Build an attention block by name.

    Parameters
    ----------
    name
        One of ATTENTION.
    channels
        Number of channels of the features.
    norm
        Normalisation of the surrounding network; only `gam` uses it.

    Returns
    -------
    nn.Module
        The block, from (n, c, y, x) to the same shape.

    Raises
    ------
    ValueError
        For another name.
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
