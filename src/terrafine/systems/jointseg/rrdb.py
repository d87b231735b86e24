"""Residual-in-residual dense networks, and a chain of two: from 10 m to 2.5 m to 1 m."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.blocks import init_identity
from terrafine.nn.precision import in_float32
from terrafine.physics.sensor_model import back_project, back_projection_reach
from terrafine.schema.types import Channels, Within

__all__ = ["COMPACT", "FULL", "SLIM", "DenseBlock", "ProgEsrgan", "Rrdb", "RrdbNet", "Stage"]


@dataclass(frozen=True)
class Stage:
    """Sizes of one stage, as a recipe's table gives them.

    Attributes
    ----------
    blocks
        Number of `Rrdb` blocks.
    features, growth
        As in `DenseBlock`.
    """

    blocks: Annotated[int, Within(0, 64)]
    features: Channels
    growth: Channels


FULL: Mapping[str, int] = {"blocks": 23, "features": 64, "growth": 32}
COMPACT: Mapping[str, int] = {"blocks": 4, "features": 32, "growth": 16}
SLIM: Mapping[str, int] = {"blocks": 1, "features": 24, "growth": 12}
"""Sizes of a network; SLIM suits the second stage, which has sixteen times as many cells as the first."""

_DENSE = 5  # convolutions of a dense block
_SCALE = 0.2  # of each residual


class DenseBlock(nn.Module):
    """Dense block: x + 0.2 · five 3×3 convolutions, each applied to all features before it.

    Parameters
    ----------
    features
        Number of channels c of input and output.
    growth
        Number of channels that each convolution but the last one adds.

    References
    ----------
    Wang et al. 2018, ESRGAN, arXiv:1809.00219, section 3.1.
    """

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        widths = [growth] * (_DENSE - 1) + [features]
        self.convs = nn.ModuleList(
            nn.Conv2d(features + i * growth, width, 3, padding=1) for i, width in enumerate(widths)
        )
        for conv in self.convs:
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, a=_SCALE)
                init_identity(conv)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Parameters
        ----------
        x
            Features, (n, c, y, x).

        Returns
        -------
        Tensor
            Features, (n, c, y, x).
        """
        features = [x]
        for i, conv in enumerate(self.convs):
            y = conv(torch.cat(features, dim=1))
            features.append(functional.leaky_relu(y, 0.2) if i < _DENSE - 1 else y)
        return x + _SCALE * features[-1]


class Rrdb(nn.Module):
    """Residual-in-residual dense block: x + 0.2 · three dense blocks.

    Parameters
    ----------
    features, growth
        As in `DenseBlock`.

    References
    ----------
    Wang et al. 2018, ESRGAN, arXiv:1809.00219, section 3.1.
    """

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(DenseBlock(features, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        # The body includes x itself once, as published.
        """Apply the block.

        Parameters
        ----------
        x
            Features, (n, c, y, x).

        Returns
        -------
        Tensor
            Features, (n, c, y, x).
        """
        out: Tensor = x + _SCALE * self.body(x)
        return out


class RrdbNet(nn.Module):
    """RRDBNet: super-resolution of an image by a scale.

    The trunk works on the input's grid. A power of two is then reached by nearest-neighbour ×2 and a convolution each
    time, any other scale by one bilinear step. Both keep registration exact.

    Parameters
    ----------
    inputs, outputs
        Number of channels of the input (n, inputs, y, x) and of the output (n, outputs, scale·y, scale·x).
    scale
        Fine cells along a coarse cell.
    blocks
        Number of `Rrdb` blocks.
    features, growth
        As in `DenseBlock`.
    skip
        Whether to add the last input channels, interpolated. The published network does not, and its public weights
        need False.

    Attributes
    ----------
    radius
        Cells of the input around a cell that the output depends on.

    References
    ----------
    Wang et al. 2018, ESRGAN, arXiv:1809.00219, section 3.1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        scale: float,
        blocks: int = 23,
        features: int = 64,
        growth: int = 32,
        *,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.outputs, self.scale, self.skip = outputs, scale, skip
        self.first = nn.Conv2d(inputs, features, 3, padding=1)
        self.body = nn.Sequential(*(Rrdb(features, growth) for _ in range(blocks)))
        self.trunk = nn.Conv2d(features, features, 3, padding=1)
        whole = math.log2(scale)
        self.doublings = int(whole) if whole.is_integer() else 0
        self.ups = nn.ModuleList(nn.Conv2d(features, features, 3, padding=1) for _ in range(self.doublings))
        self.fine = nn.Conv2d(features, features, 3, padding=1)
        self.last = nn.Conv2d(features, outputs, 3, padding=1)
        self.radius = 3 * _DENSE * blocks + 4
        if skip:
            init_identity(self.last)

    def trunk_features(self, x: Tensor) -> Tensor:
        """Compute the features of the trunk on the input's grid.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).

        Returns
        -------
        Tensor
            Features, (n, features, y, x).
        """
        start: Tensor = self.first(x)
        out: Tensor = start + self.trunk(self.body(start))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Compute the fine image.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).

        Returns
        -------
        Tensor
            Fine image, (n, outputs, scale·y, scale·x).
        """
        return self.reconstruct(x, self.trunk_features(x))

    def reconstruct(self, x: Tensor, features: Tensor) -> Tensor:
        """Compute the fine image from the features of the trunk.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).
        features
            Result of `trunk_features`, (n, features, y, x).

        Returns
        -------
        Tensor
            Fine image, (n, outputs, scale·y, scale·x).
        """
        y = features
        for up in self.ups:
            y = functional.leaky_relu(up(functional.interpolate(y, scale_factor=2.0, mode="nearest")), 0.2)
        if not self.doublings:
            y = functional.interpolate(y, scale_factor=self.scale, mode="bilinear", align_corners=False)
        out: Tensor = self.last(functional.leaky_relu(self.fine(y), 0.2))
        if not self.skip:
            return out
        base = x[:, -self.outputs :]
        return out + functional.interpolate(base, scale_factor=self.scale, mode="bilinear", align_corners=False)


class ProgEsrgan(nn.Module):
    """Prog-ESRGAN: super-resolution of reflectance from 10 m to 2.5 m to 1 m.

    The input is (n, bands, y, x). Stage 2 takes the input interpolated ×4 and the output of stage 1, concatenated; how
    the published network fuses the two is not stated. Both outputs are back-projected, so that passing them through the
    sensor model gives the input.

    Parameters
    ----------
    bands
        Number of bands.
    size
        {"blocks", "features", "growth"} of stage 1, for example FULL or COMPACT.
    second
        The same for stage 2; `size` where None.
    mtf
        Modulation transfer function of the sensor at its Nyquist frequency; None for the area mean.
    rounds
        Rounds of back-projection; 0 leaves the outputs unchanged.
    skip
        As in `RrdbNet`, for stage 1.

    References
    ----------
    Deng et al. 2025, arXiv:2505.05367.
    """

    def __init__(
        self,
        bands: int = 3,
        size: Mapping[str, int] = COMPACT,
        *,
        second: Mapping[str, int] | None = None,
        mtf: float | None = 0.2,
        rounds: int = 3,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.mtf, self.rounds = mtf, rounds
        one, two = dict(size), dict(size if second is None else second)
        self.first = RrdbNet(bands, bands, 4, one["blocks"], one["features"], one["growth"], skip=skip)
        self.second = RrdbNet(2 * bands, bands, 2.5, two["blocks"], two["features"], two["growth"])

    @property
    def radius(self) -> int:
        """Cells of the input around a cell that its outputs depend on, including back-projection."""
        agreement = sum(back_projection_reach(k, self.mtf) for k in (4, 10))
        return self.first.radius + -(-self.second.radius // 4) + 1 + self.rounds * agreement

    def to_quarter(self, x: Tensor, rounds: int | None = None) -> Tensor:
        """Compute the 2.5 m image of stage 1.

        Parameters
        ----------
        x
            Reflectance at 10 m, (n, bands, y, x).
        rounds
            Rounds of back-projection; those of the network where None.

        Returns
        -------
        Tensor
            (n, bands, 4y, 4x).
        """
        return _agreeing(self.first(x), x, 4, mtf=self.mtf, rounds=self.rounds if rounds is None else rounds)

    def forward(self, x: Tensor, rounds: int | None = None) -> tuple[Tensor, Tensor]:
        """Compute the images of both stages.

        Parameters
        ----------
        x, rounds
            As in `to_quarter`.

        Returns
        -------
        tuple[Tensor, Tensor]
            Images at 2.5 m, (n, bands, 4y, 4x), and at 1 m, (n, bands, 10y, 10x).
        """
        return self.stages(x, rounds)[:2]

    def stages(self, x: Tensor, rounds: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the images of both stages and the features of the trunk of stage 2.

        Parameters
        ----------
        x, rounds
            As in `to_quarter`.

        Returns
        -------
        tuple[Tensor, Tensor, Tensor]
            Images at 2.5 m, (n, bands, 4y, 4x), and at 1 m, (n, bands, 10y, 10x); features, (n, features, 4y, 4x).
        """
        first = self.to_quarter(x, rounds)
        up = functional.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)
        both = torch.cat((up, first), dim=1)
        deep = self.second.trunk_features(both)
        second = self.second.reconstruct(both, deep)
        return first, _agreeing(second, x, 10, mtf=self.mtf, rounds=self.rounds if rounds is None else rounds), deep


@in_float32
def _agreeing(image: Tensor, x: Tensor, k: int, *, mtf: float | None, rounds: int) -> Tensor:
    """`back_project` in float32: bfloat16 has 8 bits, and would round reflectance to half a per cent."""
    return back_project(image.float(), x.float(), k, mtf=mtf, rounds=rounds)
