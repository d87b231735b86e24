"""Discriminators: networks that separate observed from generated data."""

from __future__ import annotations

from torch import Tensor, nn

from terrafine.nn.attention import Attention, attention

__all__ = ["PatchGan"]


class PatchGan(nn.Module):
    """PatchGAN discriminator that computes the logits of overlapping patches, positive where they look real.

    It has `layers` strided 4×4 convolutions (the first without normalisation) and two of stride 1, reflected at the
    border, with instance norm, leaky ReLU of 0.2 and attention after each block. With three layers a logit depends on
    70×70 cells, and 256×256 cells give 30×30 logits; with two it depends on 34×34.

    Parameters
    ----------
    inputs
        Number of channels of the input.
    width
        Channels after the first convolution.
    layers
        Number of strided convolutions; the sides of the input must be at least 2^(layers + 2).
    attend
        Attention block, one of `terrafine.nn.attention.ATTENTION`.

    References
    ----------
    Isola et al. 2017, pix2pix, https://arxiv.org/abs/1611.07004, section 6.1.2.
    """

    def __init__(self, inputs: int, width: int = 64, layers: int = 3, attend: Attention = "none") -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = inputs
        for i in range(layers + 1):
            after, stride = min(width * 2**i, width * 8), 2 if i < layers else 1
            blocks.append(nn.Conv2d(before, after, 4, stride, 1, bias=i == 0, padding_mode="reflect"))
            if i:
                blocks.append(nn.InstanceNorm2d(after, affine=True))
            blocks += [nn.LeakyReLU(0.2), attention(attend, after)]
            before = after
        self.body = nn.Sequential(*blocks, nn.Conv2d(before, 1, 4, 1, 1, padding_mode="reflect"))
        self.layers = layers

    @property
    def receptive_field(self) -> int:
        """Side in cells of the patch that one logit depends on: 70 for three layers, without attention."""
        side = 1
        for stride in (1, 1, *[2] * self.layers):
            side = (side - 1) * stride + 4
        return side

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of overlapping patches.

        Parameters
        ----------
        x
            (n, inputs, y, x).

        Returns
        -------
        Tensor
            (n, 1, y', x').
        """
        out: Tensor = self.body(x)
        return out
