"""CityMap: boosted trees on spectral and textural features of 10 m cells, corrected by a small network at 2.5 m."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.schema.types import Within
from terrafine.systems.citymap.features import COUNT, REACH, greenness, ndvi, spectral_features
from terrafine.systems.citymap.forest import Forest

__all__ = ["HALO", "HEADS", "QUARTER", "CityMap"]

HEADS = ("impervious", "building")
QUARTER = 4
"""Cells of the heads along an input cell: 2.5 m of 10 m."""
_NEAR = 2  # cells around a cell that the enlargement and the correction read
HALO = REACH + _NEAR + 1
"""Cells around a cell that its logits depend on: local statistics, the enlargement and the correction."""
_PRIOR = ((6.0, 0.30), (6.0, 0.20))  # steepness, and the NDVI at which the prior is one half, by head
_VISIBLE = ((15.0, 0.0), (15.0, 0.0))  # the same of the difference of green and red, without near infrared
_FINE = 8


class CityMap(nn.Module):
    """Network from reflectance at 10 m to logits of impervious and building at 2.5 m.

    The logit is that of a prior, which falls with NDVI and knows nothing else, plus the sum of boosted trees, both on
    the 10 m cell and enlarged by cubic convolution; plus a correction at 2.5 m by a small convolutional network on the
    same features. Trees and correction start at 0, so an untrained network ranks cells as -NDVI does.

    Parameters
    ----------
    width
        Channels of the correction at 10 m.
    dropout
        Share of its channels that are dropped in training.
    infrared
        Whether the input has near infrared; without it the network uses red, green and blue alone.
    trees
        Boosted trees of each head.
    depth
        Comparisons from the root of a tree to a leaf.
    visible
        Trees of each head for images without near infrared; with 0 the other trees serve for those too.
    trust
        Factor of trees and correction outside training; below 1 the map leans on the prior, which transfers better.
    """

    def __init__(
        self,
        width: Annotated[int, Within(4, 256)] = 24,
        dropout: Annotated[float, Within(0, 1, below=True)] = 0.1,
        infrared: bool = True,
        trees: Annotated[int, Within(0, 1_000)] = 40,
        depth: Annotated[int, Within(1, 8)] = 4,
        trust: Annotated[float, Within(0, 1)] = 1.0,
        visible: Annotated[int, Within(0, 1_000)] = 0,
    ) -> None:
        super().__init__()
        self.infrared, self.trust = infrared, trust
        self.forest = Forest(len(HEADS), trees, depth, COUNT)
        self.visible = Forest(len(HEADS), visible, depth, COUNT) if visible else None
        self.stem = nn.Conv2d(COUNT, width, 1)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.drop = nn.Dropout2d(dropout)
        self.fine = nn.Conv2d(width, _FINE * QUARTER**2, 1)
        self.heads = nn.Conv2d(_FINE, len(HEADS), 3, padding=1)
        nn.init.zeros_(self.heads.weight)
        bias = self.heads.bias
        if bias is not None:
            nn.init.zeros_(bias)
        self.register_buffer("prior_at", torch.tensor(_PRIOR).T.contiguous())
        if visible:
            self.register_buffer("visible_at", torch.tensor(_VISIBLE).T.contiguous())

    prior_at: Tensor
    visible_at: Tensor

    def prior(self, image: Tensor, infrared: Tensor) -> Tensor:
        """Compute the logits that follow from NDVI alone, or without near infrared from green and red alone.

        Parameters
        ----------
        image
            Reflectance, (n, 4, y, x).
        infrared
            1 where near infrared was observed, else 0, (n, 1, 1, 1).

        Returns
        -------
        Tensor
            Logits, (n, 2, y, x); 0 without near infrared in a network that has no trees for that.
        """
        steep, middle = self.prior_at[:, :, None, None].unbind(0)
        logit = infrared * steep * (middle - ndvi(image))
        if self.visible is None:
            return logit
        steep, middle = self.visible_at[:, :, None, None].unbind(0)
        return logit + (1 - infrared) * steep * (middle - greenness(image))

    def boosted(self, features: Tensor, infrared: Tensor) -> Tensor:
        """Compute the sum of the trees, of those for images without near infrared where it was not observed.

        Parameters
        ----------
        features
            Features, (n, COUNT, y, x).
        infrared
            1 where near infrared was observed, else 0, (n, 1, 1, 1).

        Returns
        -------
        Tensor
            Logits, (n, 2, y, x).
        """
        observed = infrared > 0
        found: Tensor
        if self.visible is None or bool(observed.all()):
            found = self.forest(features)
        elif not bool(observed.any()):
            found = self.visible(features)
        else:
            found = torch.where(observed, self.forest(features), self.visible(features))
        return found

    def forward(self, image: Tensor, infrared: Tensor | None = None, border: int = 0) -> Tensor:
        """Compute logits of impervious and of building.

        Parameters
        ----------
        image
            Reflectance of red, green, blue and near infrared, (n, 4, y, x).
        infrared
            1 where near infrared was observed, else 0, (n, 1, 1, 1); None where it was everywhere.
        border
            Cells along each edge of the image that the features read and the output leaves out.

        Returns
        -------
        Tensor
            Logits, (n, 2, 4·(y - 2·border), 4·(x - 2·border)).
        """
        if infrared is None:
            infrared = image.new_full((image.shape[0], 1, 1, 1), float(self.infrared))
        trust = 1.0 if self.training else self.trust
        with torch.autocast(image.device.type, enabled=False):
            plain = image.float()
            features = _inner(spectral_features(plain, infrared), border)
            known = _inner(self.prior(plain, infrared), border) + trust * self.boosted(features, infrared)
            known = functional.interpolate(known, scale_factor=QUARTER, mode="bicubic")
        found = functional.gelu(self.stem(features), approximate="tanh")
        found = self.drop(functional.gelu(self.body(found), approximate="tanh"))
        fine = functional.gelu(functional.pixel_shuffle(self.fine(found), QUARTER), approximate="tanh")
        out: Tensor = known + trust * self.heads(fine)
        return out


def _inner(values: Tensor, border: int) -> Tensor:
    """Values without a border of cells."""
    return values[..., border : values.shape[-2] - border, border : values.shape[-1] - border]
