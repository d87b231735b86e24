"""Residual-in-residual dense networks, and two of them one after the other: 10 m to 2.5 m to 1 m.

RRDBNet is Wang et al. 2018, ESRGAN, arXiv:1809.00219, section 3.1; the chain of two is Prog-ESRGAN of Deng et al. 2025,
arXiv:2505.05367. How that paper fuses its two inputs is not published: here they are concatenated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.blocks import init_identity
from terrafine.physics.sensor_model import back_project, back_projection_reach
from terrafine.schema.types import Channels, Within

__all__ = ["COMPACT", "FULL", "SLIM", "Dense", "ProgEsrgan", "Rrdb", "RrdbNet", "Stage", "multiply_adds"]


@dataclass(frozen=True)
class Stage:
    """What the table of one stage's sizes holds."""

    blocks: Annotated[int, Within(0, 64)]
    features: Channels
    growth: Channels


FULL: Mapping[str, int] = {"blocks": 23, "features": 64, "growth": 32}
COMPACT: Mapping[str, int] = {"blocks": 4, "features": 32, "growth": 16}
SLIM: Mapping[str, int] = {"blocks": 1, "features": 24, "growth": 12}
"""Of a second stage, which works on sixteen times as many cells as the first."""

_DENSE = 5  # convolutions of a dense block
_SCALE = 0.2  # of each residual


class Dense(nn.Module):
    """x + 0.2 · five 3×3 convolutions, each of all that came before; (n, c, y, x) -> same."""

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
        seen = [x]
        for i, conv in enumerate(self.convs):
            y = conv(torch.cat(seen, dim=1))
            seen.append(functional.leaky_relu(y, 0.2) if i < _DENSE - 1 else y)
        return x + _SCALE * seen[-1]


class Rrdb(nn.Module):
    """x + 0.2 · what three dense blocks add to it; (n, c, y, x) -> same."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(Dense(features, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        # 0.2 · body + x, and the body holds x itself once: the published form.
        out: Tensor = x + _SCALE * self.body(x)
        return out


class RrdbNet(nn.Module):
    """An image `scale` times finer: (n, inputs, y, x) -> (n, outputs, scale·y, scale·x).

    The trunk works on the input's grid; a power of two is then reached by nearest ×2 and a convolution each time, any
    other scale by one bilinear step. Both keep the place of every cell exactly.

    skip     add the last input channels, interpolated; the published network does not, nor do its public weights
    radius   cells of the input around a cell that the output depends on
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

    def deep(self, x: Tensor) -> Tensor:
        """What the trunk makes of the input, on its grid: (n, inputs, y, x) -> (n, features, y, x)."""
        start: Tensor = self.first(x)
        out: Tensor = start + self.trunk(self.body(start))
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self.painted(x, self.deep(x))

    def painted(self, x: Tensor, y: Tensor) -> Tensor:
        """The fine image of an input and of what the trunk made of it."""
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
    """10 m to 2.5 m to 1 m: (n, bands, y, x) -> (n, bands, 4y, 4x) and (n, bands, 10y, 10x), reflectance.

    Stage 2 sees the input upsampled ×4 beside what stage 1 made of it. Both outputs are made to agree with the
    observation: averaged back, or seen again by the sensor of that modulation `mtf`, they give the input. `size` is
    {"blocks", "features", "growth"}, FULL or COMPACT; `rounds` of agreement, 0 leaves the outputs as they are.
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
        """Cells of the input around a cell that its outputs depend on, agreement with the observation included."""
        agreement = sum(back_projection_reach(k, self.mtf) for k in (4, 10))
        return self.first.radius + -(-self.second.radius // 4) + 1 + self.rounds * agreement

    def to_quarter(self, x: Tensor, rounds: int | None = None) -> Tensor:
        """Stage 1 alone, (n, bands, 4y, 4x); `rounds` of agreement other than its own where they are given."""
        return back_project(self.first(x), x, 4, mtf=self.mtf, rounds=self.rounds if rounds is None else rounds)

    def forward(self, x: Tensor, rounds: int | None = None) -> tuple[Tensor, Tensor]:
        return self.stages(x, rounds)[:2]

    def stages(self, x: Tensor, rounds: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Both images, and what stage 2's trunk made of its input, (n, features, 4y, 4x)."""
        first = self.to_quarter(x, rounds)
        up = functional.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)
        both = torch.cat((up, first), dim=1)
        deep = self.second.deep(both)
        second = self.second.painted(both, deep)
        return first, back_project(second, x, 10, mtf=self.mtf, rounds=self.rounds if rounds is None else rounds), deep


def multiply_adds(bands: int, size: Mapping[str, Any], second: Mapping[str, Any] | None = None) -> tuple[float, float]:
    """Multiply-adds of the convolutions of each stage for one cell of the 1 m image."""

    def trunk(inputs: int, blocks: int, features: int, growth: int) -> float:
        dense = sum(9 * (features + i * growth) * (growth if i < _DENSE - 1 else features) for i in range(_DENSE))
        return 9 * inputs * features + blocks * 3 * dense + 9 * features * features

    def tail(features: int) -> float:
        return 9 * features * features + 9 * features * bands

    other = size if second is None else second
    f, g = int(size["features"]), int(other["features"])
    first = trunk(bands, **size) / 100 + 9 * f * f * (4 + 16) / 100 + tail(f) * 16 / 100
    return first, trunk(2 * bands, **other) * 16 / 100 + tail(g)
