"""CityMap: a small U-Net on spectral indices of 10 m cells that corrects an index prior, with heads at 2.5 m."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.schema.types import Within
from terrafine.systems.citymap.features import COUNT, REACH, ndvi, spectral_features

__all__ = ["HALO", "HEADS", "QUARTER", "CityMap"]

HEADS = ("impervious", "building")
QUARTER = 4
"""Cells of the heads along an input cell: 2.5 m of 10 m."""
HALO = 2 * REACH + 28
"""Cells around a cell that its logits depend on: two passes of local statistics, and the U-Net."""
_PRIOR = ((6.0, 0.30), (6.0, 0.20))  # steepness, and the NDVI at which the prior is one half, by head
_FINE = 8


def _pair(channels: int, out: int) -> nn.Sequential:
    layers = (nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1))
    return nn.Sequential(layers[0], nn.GELU("tanh"), layers[1], nn.GELU("tanh"))


class CityMap(nn.Module):
    """Network from reflectance at 10 m to logits of impervious and building at 2.5 m.

    The logit is that of a prior, which falls with NDVI and knows nothing else, plus a correction by a U-Net of three
    levels. The correction starts at 0, so an untrained network ranks cells as -NDVI does.

    Parameters
    ----------
    width
        Channels at 10 m; 20 m has twice and 40 m three times as many.
    dropout
        Share of the coarsest channels that are dropped in training.
    trust
        Factor of the correction outside training; below 1 it leans on the prior, which transfers better.
    infrared
        Whether the input has near infrared; without it the network uses red, green and blue alone.
    """

    def __init__(
        self,
        width: Annotated[int, Within(4, 256)] = 24,
        dropout: Annotated[float, Within(0, 1, below=True)] = 0.2,
        infrared: bool = True,
        trust: Annotated[float, Within(0, 1)] = 0.5,
    ) -> None:
        super().__init__()
        self.infrared, self.trust = infrared, trust
        self.stem = nn.Conv2d(COUNT, width, 1)
        self.first = _pair(width, width)
        self.second = _pair(width, 2 * width)
        self.third = _pair(2 * width, 3 * width)
        self.drop = nn.Dropout2d(dropout)
        self.up_second = _pair(5 * width, 2 * width)
        self.up_first = _pair(3 * width, width)
        self.fine = nn.Conv2d(width, _FINE * QUARTER**2, 1)
        self.heads = nn.Conv2d(_FINE, len(HEADS), 3, padding=1)
        nn.init.zeros_(self.heads.weight)
        bias = self.heads.bias
        if bias is not None:
            nn.init.zeros_(bias)
        self.steep = nn.Parameter(torch.tensor([s for s, _ in _PRIOR]))
        self.middle = nn.Parameter(torch.tensor([m for _, m in _PRIOR]))

    def forward(self, image: Tensor, infrared: Tensor | None = None) -> Tensor:
        """Compute logits of impervious and of building.

        Parameters
        ----------
        image
            Reflectance of red, green, blue and near infrared, (n, 4, y, x); y and x are multiples of 4.
        infrared
            1 where near infrared was observed, else 0, (n, 1, 1, 1); None where it was everywhere.

        Returns
        -------
        Tensor
            Logits, (n, 2, 4·y, 4·x).
        """
        if infrared is None:
            infrared = image.new_full((image.shape[0], 1, 1, 1), float(self.infrared))
        with torch.autocast(image.device.type, enabled=False):
            features = spectral_features(image.float(), infrared)
            green = functional.interpolate(ndvi(image.float()), scale_factor=QUARTER, mode="bicubic")
            prior = infrared * self.steep[:, None, None] * (self.middle[:, None, None] - green)
        first = self.first(functional.gelu(self.stem(features), approximate="tanh"))
        second = self.second(functional.avg_pool2d(first, 2))
        third = self.drop(self.third(functional.avg_pool2d(second, 2)))
        merged = self.up_second(torch.cat((_doubled(third), second), dim=1))
        merged = self.up_first(torch.cat((_doubled(merged), first), dim=1))
        fine = functional.gelu(functional.pixel_shuffle(self.fine(merged), QUARTER), approximate="tanh")
        out: Tensor = prior + (1.0 if self.training else self.trust) * self.heads(fine)
        return out


def _doubled(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
