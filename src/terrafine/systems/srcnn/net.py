"""The body of SRCNN, with the sizes of the comparison in Jiao et al. 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from terrafine.schema.types import Channels

__all__ = ["RADIUS", "Shallow"]

RADIUS = 4 + 0 + 2


class Shallow(nn.Module):
    """Three convolutions 9×9 (64), 1×1 (32) and 5×5 that compute the residual of an interpolated surface.

    It has 8,129 weights. SRCNN outputs the surface itself. Here the output is the surface minus the interpolation: the
    same class of functions plus an identity that the 9-1-5 network would otherwise have to learn, which can only help
    it.

    Parameters
    ----------
    channels
        Channels after the first and the second convolution.

    References
    ----------
    Dong et al. 2014, doi:10.1007/978-3-319-10593-2_13; Jiao et al. 2020, doi:10.1515/geo-2020-0207.
    """

    def __init__(self, channels: tuple[Channels, Channels] = (64, 32)) -> None:
        super().__init__()
        a, b = channels
        self.extract = nn.Conv2d(1, a, 9, padding=4)
        self.map = nn.Conv2d(a, b, 1)
        self.reconstruct = nn.Conv2d(b, 1, 5, padding=2)
        self.reconstruct.weight.data.mul_(0.1)
        nn.init.zeros_(self.reconstruct.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the residual.

        Parameters
        ----------
        x
            Interpolated surface, (n, 1, y, x).

        Returns
        -------
        Tensor
            (n, 1, y, x).
        """
        out: Tensor = self.reconstruct(torch.relu(self.map(torch.relu(self.extract(x)))))
        return out
