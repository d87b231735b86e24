"""Generator of Sat2DEM: the U-Net of pix2pix, of any depth and width, with attention after each block."""

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
_DROPPED = 3  # innermost blocks of the decoder that have dropout
_GAM_REACH = 6  # two 7×7 convolutions
Norm = Literal["instance", "none"]
Up = Literal["transposed", "resize", "smooth"]
Head = Literal["tanh", "linear"]
Sees = Literal["linear", "log", "detail"]
_NORMS, _UPS, _HEADS, _SEES = map(get_args, (Norm, Up, Head, Sees))
_WINDOW = 63  # cells whose mean `detail` subtracts
_MOST = 2.0  # limit for snow, cloud and shadow: seven times, or a seventh of, the brightness around
_MIDDLE = 0.1  # reflectance of common ground, to which `log` is relative


def stretch(image: Tensor, sees: str = "linear", white: float = 0.3) -> Tensor:
    """Scale reflectance to the input of the networks, about -1 to 1.

    The methods are:

    - `linear`: 0 to `white` becomes -1 to 1; larger values are clipped, as in 8-bit images.
    - `log`: 2 log of reflectance over that of common ground, so that the factors light and slope become a sum.
    - `detail`: the same minus its mean over 63 × 63 cells, clipped at ±2, without the brightness and haze of the scene.

    Parameters
    ----------
    image
        Reflectance, (n, band, y, x).
    sees
        Method: `linear`, `log` or `detail`.
    white
        Reflectance that becomes 1 with `linear`.

    Returns
    -------
    Tensor
        Same shape.
    """
    if sees == "linear":
        return (image / white).clamp(0, 1) * 2 - 1
    log = 2 * torch.log((image.clamp_min(0.01) + 0.02) / (_MIDDLE + 0.02))
    if sees == "log":
        return log
    return highpass(log, torch.ones_like(log, dtype=torch.bool), _WINDOW).clamp(-_MOST, _MOST)


class UNet(nn.Module):
    """U-Net from reflectance to heights.

    The input is (n, inputs, y, x), the output (n, outputs, y, x); the sides must be multiples of 2^depth.

    Parameters
    ----------
    inputs, outputs
        Number of channels of the input and of the output.
    width, depth
        Channels at the first level, doubled up to 8·width, and number of levels. 64 and 8 are the published U-Net-256,
        whose innermost block is 1×1 for a tile of 256.
    norm
        `instance` as published, which makes a cell depend on its whole tile, or `none`.
    attend
        Attention block (none, cbam, gam, simam) after each block but the innermost, in encoder and decoder.
    up
        Upsampling: `transposed`, 4×4 convolutions as published; `resize`, nearest, then 3×3; `smooth`, bilinear, then
        3×3.
    head
        `tanh` as published, or `linear`.
    sees, white
        Scaling of reflectance, as in `stretch`.
    normalisation
        Units of the heights, as in `normalise.to_units`.
    tile
        Side in cells of the tiles of training; also of the tiles of inference, unless the network is `exact`.
    cell_m
        Pixel size of the training data, metres.
    dropout
        Share of features dropped in the three innermost blocks of the decoder during training.

    Raises
    ------
    RecipeError
        For another value of an option, or a depth below 2.

    References
    ----------
    Isola et al. 2017, pix2pix, https://arxiv.org/abs/1611.07004, section 6.1.1.
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
        """Compute the heights of an image in the network's units.

        Parameters
        ----------
        x
            Reflectance, (n, inputs, y, x).

        Returns
        -------
        Tensor
            (n, outputs, y, x).
        """
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
        """Whether a cell depends only on cells within `receptive_radius`, and not on statistics of the tile."""
        return self.norm == "none" and self.attend in ("none", "gam")

    def receptive_radius(self) -> int:
        """Return how many input cells around a cell its output depends on, where the network is exact."""
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


def _check(depth: int, **options: str) -> None:
    choices = {
        "norm": _NORMS,
        "normalisation": NORMALISATIONS,
        "attend": ATTENTION,
        "up": _UPS,
        "head": _HEADS,
        "sees": _SEES,
    }
    for name, value in options.items():
        if value not in choices[name]:
            raise RecipeError(f"[network] {name} = {value!r}: expected one of {', '.join(choices[name])}")
    if depth < 2:
        raise RecipeError(f"[network] depth = {depth}: expected 2 or more")
