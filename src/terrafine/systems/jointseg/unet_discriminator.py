"""U-Net discriminator: whether each cell of an image is observed or generated."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from terrafine.errors import UsageError

__all__ = ["UnetDiscriminator"]


class UnetDiscriminator(nn.Module):
    """U-Net that computes a logit for each cell, positive where the image looks real.

    It has one convolution, three strided 4×4 convolutions, three bilinear steps back up with the features of the same
    size added, and three more convolutions. All but the first and the last have spectral norm; leaky ReLU has a slope
    of 0.2.

    Parameters
    ----------
    inputs
        Number of bands.
    width
        Channels at full resolution.

    References
    ----------
    Wang et al. 2021, Real-ESRGAN, arXiv:2107.10833, section 3.3; spectral norm of Miyato et al. 2018, arXiv:1802.05957.
    """

    def __init__(self, inputs: int = 3, width: int = 64) -> None:
        super().__init__()
        w = width
        self.first = nn.Conv2d(inputs, w, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(w * 2**i, w * 2 ** (i + 1), 4, 2, 1, bias=False)) for i in range(3)
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(w * 2 ** (i + 1), w * 2**i, 3, 1, 1, bias=False)) for i in (2, 1, 0)
        )
        self.more = nn.ModuleList(spectral_norm(nn.Conv2d(w, w, 3, 1, 1, bias=False)) for _ in range(2))
        self.last = nn.Conv2d(w, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of an image.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x), with sides that are multiples of 8.

        Returns
        -------
        Tensor
            Logits, (n, 1, y, x).

        Raises
        ------
        UsageError
            For other sides.
        """
        if x.shape[-1] % 8 or x.shape[-2] % 8:
            raise UsageError(f"sides {tuple(x.shape[-2:])}: the discriminator needs multiples of 8")
        levels = [functional.leaky_relu(self.first(x), 0.2)]
        for down in self.down:
            levels.append(functional.leaky_relu(down(levels[-1]), 0.2))
        y = levels.pop()
        for up in self.up:
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = functional.leaky_relu(up(y), 0.2) + levels.pop()
        for conv in self.more:
            y = functional.leaky_relu(conv(y), 0.2)
        out: Tensor = self.last(y)
        return out
