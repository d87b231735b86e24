"""The generator: pix2pix's U-Net, of any depth and width, with attention after each block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, get_args

import torch
from torch import Tensor, nn

from terrafine.errors import RecipeError
from terrafine.nn.attention import ATTENTION, Attention, attention
from terrafine.physics.highpass import highpass
from terrafine.schema.types import Within
from terrafine.systems.sat2dem.normalise import NORMALISATIONS, Normalisation

__all__ = ["UNet", "stretch"]

_SLOPE = 0.2
_DROPPED = 3  # innermost blocks of the way up that have dropout
_GAM_REACH = 6  # two 7×7 convolutions
Norm = Literal["instance", "none"]
Up = Literal["transposed", "resize", "smooth"]
Head = Literal["tanh", "linear"]
Sees = Literal["linear", "log", "detail"]
_NORMS, _UPS, _HEADS, _SEES = map(get_args, (Norm, Up, Head, Sees))
_WINDOW = 63  # cells whose mean `detail` takes away
_MOST = 2.0  # what snow, cloud and shadow are cut to: seven times, or a seventh of, the light around
_MIDDLE = 0.1  # reflectance of common ground: what `log` is relative to


def stretch(image: Tensor, sees: str = "linear", white: float = 0.3) -> Tensor:
    """Reflectance as the networks see it, about -1 to 1; same shape.

    linear  0 to `white` becomes -1 to 1, beyond it is cut, as 8-bit pictures are made
    log     2 log of reflectance over that of common ground: what light and slope multiply becomes a sum
    detail  the same less its mean over 63 × 63 cells, cut at ±2: what a scene is bright or hazy by is gone
    """
    if sees == "linear":
        return (image / white).clamp(0, 1) * 2 - 1
    log = 2 * torch.log((image.clamp_min(0.01) + 0.02) / (_MIDDLE + 0.02))
    if sees == "log":
        return log
    return highpass(log, torch.ones_like(log, dtype=torch.bool), _WINDOW).clamp(-_MOST, _MOST)


class UNet(nn.Module):
    """Reflectance (n, inputs, y, x) -> (n, outputs, y, x); the sides must be multiples of 2^depth.

    width, depth   64 and 8 are the published U-Net-256 (Isola et al. 2017, section 6.1.1; channels double up to
                   8·width); its innermost block is 1×1 for a tile of 256
    norm           `instance` as published, which makes a cell depend on its whole tile; `none`
    attend         none, cbam, gam or simam after each block but the innermost, on both ways
    up             `transposed` 4×4 convolutions as published; `resize`: nearest, then 3×3; `smooth`: bilinear, then 3×3
    head           `tanh` as published, `linear`
    sees, white    how reflectance is stretched: see `stretch`
    normalisation  what its units mean: see `normalise`
    cell_m         metres of a cell that it is trained on
    tile           cells along the side of the tiles that it is trained on, and shown where it is not `exact`
    dropout        share of features dropped in the three innermost blocks on the way up, while training
    """

    def __init__(
        self,
        inputs: Literal[3] = 3,
        outputs: Literal[1, 2] = 1,
        width: Annotated[int, Within(1, 512)] = 64,
        depth: Annotated[int, Within(2, 10)] = 8,
        norm: Norm = "instance",
        attend: Attention = "none",
        up: Up = "transposed",
        head: Head = "tanh",
        sees: Sees = "linear",
        white: Annotated[float, Within(1e-3, 100)] = 0.3,
        normalisation: Normalisation = "shift",
        tile: Annotated[int, Within(16, 16_384)] = 256,
        cell_m: Annotated[float, Within(1e-3, 1e5)] = 30.0,
        dropout: Annotated[float, Within(0, 1, below=True)] = 0.5,
    ) -> None:
        super().__init__()
        _check(depth, norm=norm, attend=attend, up=up, head=head, sees=sees, normalisation=normalisation)
        self.normalisation, self.tile, self.outputs = normalisation, tile, outputs
        self.cell_m = cell_m
        self.sees, self.white = sees, white
        self.depth, self.norm, self.attend, self.kind, self.head = depth, norm, attend, up, head
        normed: Callable[[int], nn.Module] | None = nn.InstanceNorm2d if norm == "instance" else None
        channels = [min(width * 2**i, width * 8) for i in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, after in enumerate(channels):  # y/2, y/4, ...
            layers: list[nn.Module] = [_down(inputs if i == 0 else channels[i - 1], after, bias=self._bias(i))]
            if 0 < i < depth - 1:
                layers += [_affine(norm, after), nn.LeakyReLU(_SLOPE), attention(attend, after, normed)]
            else:
                layers.append(nn.LeakyReLU(_SLOPE) if i == 0 else nn.ReLU())
            self.down.append(nn.Sequential(*layers))
        before = channels[-1]
        for nth, after in enumerate(reversed(channels[:-1])):  # ..., y/4, y/2
            layers = [*_up(up, before, after, bias=norm == "none"), _affine(norm, after), nn.ReLU()]
            layers.append(attention(attend, after, normed))
            if nth < _DROPPED and dropout:
                layers.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*layers))
            before = 2 * after  # with the skip
        self.last = nn.Sequential(*_up(up, before, outputs, bias=True))
        if norm == "instance":
            self.apply(_published_start)

    def _bias(self, i: int) -> bool:
        return self.norm == "none" or i in (0, self.depth - 1)

    def forward(self, x: Tensor) -> Tensor:
        x = stretch(x, self.sees, self.white)
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = torch.cat((block(x), skips.pop()), dim=1)
        out: Tensor = self.last(x)
        return torch.tanh(out) if self.head == "tanh" else out

    @property
    def exact(self) -> bool:
        """A cell depends on the cells within `receptive_radius` alone, not on statistics of the tile."""
        return self.norm == "none" and self.attend in ("none", "gam")

    def receptive_radius(self) -> int:
        """Input cells around a cell that its output depends on, where the network is exact."""
        reach = _GAM_REACH if self.attend == "gam" else 0
        blur = 1 if self.kind == "smooth" else 0
        worst = 0
        for cell in range(2**self.depth):
            low = high = cell
            for level in range(self.depth):  # from the output down to the innermost block
                low, high = ((low - 1 - blur) // 2, (high + 1 + blur) // 2)
                inner = level == self.depth - 1
                low, high = (low, high) if inner else (low - reach, high + reach)
            for level in reversed(range(self.depth)):  # and up again through the strided convolutions
                if 0 < level < self.depth - 1:
                    low, high = low - reach, high + reach
                low, high = 2 * low - 1, 2 * high + 2
            worst = max(worst, cell - low, high - cell)
        return worst + (_WINDOW // 2 if self.sees == "detail" else 0)


def _down(before: int, after: int, *, bias: bool) -> nn.Module:
    return nn.Conv2d(before, after, 4, 2, 1, bias=bias, padding_mode="reflect")


def _up(kind: str, before: int, after: int, *, bias: bool) -> list[nn.Module]:
    if kind == "transposed":
        return [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias)]
    resize = nn.Upsample(scale_factor=2, mode="nearest" if kind == "resize" else "bilinear")
    return [resize, nn.Conv2d(before, after, 3, padding=1, bias=bias, padding_mode="replicate")]


def _affine(norm: str, channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True) if norm == "instance" else nn.Identity()


def _published_start(module: nn.Module) -> None:
    """N(0, 0.02) for every convolution."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(depth: int, **said: str) -> None:
    choices = {
        "norm": _NORMS,
        "normalisation": NORMALISATIONS,
        "attend": ATTENTION,
        "up": _UPS,
        "head": _HEADS,
        "sees": _SEES,
    }
    for name, value in said.items():
        if value not in choices[name]:
            raise RecipeError(f"[network] {name} = {value!r}: expected one of {', '.join(choices[name])}")
    if depth < 2:
        raise RecipeError(f"[network] depth = {depth}: expected 2 or more")
