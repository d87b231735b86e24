"""PIMSR: a relief network with radar and optical guides, which falls back to the heights where there are none.

heights ── ReliefNet, fixed in training ── features ────────────────────────┬──────────────── body ─ tail ─┐
vv, vh, optical ─ minus 7×7 mean ─── encoder each: fine/2, coarse, coarse/2 ┤         detail, minus block mean
direction to sensor or sun ───────────────────────────────────────────────────┘ gates: shares of {dem, vv, vh, optical}

The share of `dem` brings no correction, so a cell without guides gets exactly the output of the relief network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.blocks import ResidualBlock, init_identity
from terrafine.nn.relief import ReliefNet
from terrafine.schema.types import Channels, Items, Table, Within
from terrafine.systems.pimsr.align import WINDOW, Align, local_anomaly

__all__ = ["GuidedRelief", "PimsrNet", "direction_bands"]

_LOOK, _SUN = ("look_east", "look_north"), ("sun_east", "sun_north")
_LEVELS = 3
_Guide = Literal["vv", "vh", "optical"]
_OPEN = 3.0  # difference by which the logit of `dem` starts below the guides'
_REACH = 2 + 3 + 6  # coarse cells: the encoder's blocks on its three levels, the last on cells twice as large


@dataclass(frozen=True, slots=True)
class GuidedRelief:
    """Output of the network.

    Attributes
    ----------
    relief
        Subcell minus cell height in metres, (n, k², y, x), with a mean of 0 over each cell.
    detail
        What is added to the consistent cubic surface, metres, (n, k², y, x).
    log_sigma
        Logarithm of σ in metres, (n, k², y, x).
    gates
        Shares of {dem, *guides}, (n, 1 + guides, y, x); their sum is 1.
    """

    relief: Tensor
    detail: Tensor
    log_sigma: Tensor
    gates: Tensor


class PimsrNet(nn.Module):
    """Network from coarse heights and fine guides to fine heights relative to their cell, and σ.

    scale      fine cells along a coarse cell; a multiple of two
    relief     arguments of the ReliefNet inside
    guides     of vv, vh (dB) and optical (10 lg of brightness), each with an encoder of its own
    width      channels of an encoder; body: (channels, residual blocks) of what reads heights and radar together
    align      fine cells by which a learned displacement, one for each guide and coarse cell, may move it; 0: none
    pyramid    guides meet heights at three resolutions; False: at the coarse one alone
    gated      guides are weighted by shares for each cell; False: added up where they are observed
    bound      by which the logits of the shares are bounded, so that no gate is ever closed for good; 0: not

    Parameters
    ----------
    scale
        Fine cells along a coarse cell; a multiple of two.
    relief
        Arguments of the ReliefNet inside, which is not trained.
    guides
        Guides from vv, vh (dB) and optical (10 lg of brightness); each has its own encoder.
    width
        Channels of an encoder.
    body
        Channels and number of residual blocks of the body, which combines heights and guides.
    align
        Largest learned displacement in fine cells, for each guide and coarse cell; 0 for none.
    pyramid
        Whether guides and heights are combined at three resolutions; otherwise at the coarse one only.
    gated
        Whether guides are weighted by shares for each cell; otherwise they are summed where observed.
    bound
        Bound of the logits of the shares, which keeps every gate trainable; 0 for none.

    Raises
    ------
    ValueError
        For a scale that is not a multiple of two.
    """

    def __init__(
        self,
        scale: int,
        relief: Annotated[Mapping[str, object] | None, Table(ReliefNet)] = None,
        guides: Annotated[Sequence[_Guide], Items(1, 3)] = ("vv", "vh"),
        width: Annotated[int, Within(2, 2_048)] = 32,
        body: tuple[Channels, Annotated[int, Within(0, 128)]] = (48, 5),
        align: Annotated[float, Within(0, 16)] = 0.0,
        pyramid: bool = True,
        gated: bool = True,
        bound: Annotated[float, Within(0, 100)] = 0.0,
    ) -> None:
        super().__init__()
        if scale % 2:
            raise ValueError(f"scale = {scale}: expected a multiple of two")
        if width % 2 or len(set(guides)) < len(guides):
            raise ValueError(f"width = {width}, guides = {list(guides)}: expected an even width, and each guide once")
        self.scale = scale
        self.guides = tuple(guides)
        self.pyramid = pyramid
        self.relief = ReliefNet(scale, **(relief or {})).requires_grad_(False)  # type: ignore[arg-type]
        channels = self.relief.tail.in_channels
        self.encoders = nn.ModuleDict({name: _Encoder(scale, width, pyramid) for name in self.guides})
        self.aligners = nn.ModuleDict({name: Align(scale, channels, align) for name in self.guides if align})
        levels = _LEVELS if pyramid else 1
        self.gates = nn.ModuleList(
            _Gate(channels, width, len(self.guides), bound) if gated else _Sum() for _ in range(levels)
        )
        if pyramid:
            self.fine = nn.Conv2d(width, body[0], 2, stride=2)
        self.coarse = nn.Conv2d(width, body[0], 1)
        if pyramid:
            self.low = nn.Conv2d(width, 4 * body[0], 1)
        self.enter = nn.Conv2d(channels, body[0], 1)
        self.body = nn.Sequential(*(ResidualBlock(body[0]) for _ in range(body[1])))
        self.tail = nn.Conv2d(body[0], scale**2, 3, padding=1)
        self.sigma = nn.Conv2d(body[0], scale**2, 3, padding=1)
        for conv in (self.tail, self.sigma):
            init_identity(conv)

    def forward(self, heights: Tensor, pixel_size_m: Tensor, guides: Mapping[str, Tensor]) -> GuidedRelief:
        """Compute relief, detail, σ and shares.

        A missing band counts as not observed, and so does radar without a look direction or an image without a sun
        direction.

        Parameters
        ----------
        heights
            Coarse heights in metres, (n, 1, y, x); y and x are even.
        pixel_size_m
            Metres along y and x, (n, 2, y, 1).
        guides
            Band -> (n, 2, k·y, k·x): value (dB; dimensionless for direction bands), and 1 where observed, else 0.

        Returns
        -------
        GuidedRelief
            Output of the network.
        """
        with torch.no_grad():
            stem = self.relief.stem(heights, pixel_size_m)
            features = self.relief.body(stem.features)
            base = self.relief.tail(features)
            log_base = self.relief.sigma(features)
        given, encoded = [], []
        for name, encoder in self.encoders.items():
            guide, look = self._observed_guide(name, heights, guides)
            if guide is None:
                given.append(heights.new_zeros((len(heights), 2, *self._fine(heights))))
                encoded.append(_blank_features(encoder, self.scale, features))
                continue
            guide = local_anomaly(guide, self.scale)
            if name in self.aligners:
                guide = self.aligners[name](guide, look, stem.features)
            given.append(guide)
            encoded.append(encoder(guide, look))
        observed = torch.cat([functional.avg_pool2d(g[:, 1:], self.scale) for g in given], dim=1)
        y, x = features.shape[-2:]
        sizes = ((2 * y, 2 * x), (y, x), (y // 2, x // 2)) if self.pyramid else ((y, x),)
        levels = [
            gate([e[level] for e in encoded], features, observed, sizes[level]) for level, gate in enumerate(self.gates)
        ]
        coarse, gates = levels[1 if self.pyramid else 0]
        guided = gates[:, 1:].sum(dim=1, keepdim=True)
        if self.pyramid:
            together = self.enter(features) + self.fine(levels[0][0]) + self.coarse(coarse)
            together = together + functional.pixel_shuffle(self.low(levels[2][0]), 2)
        else:
            together = self.enter(features) + self.coarse(coarse)
        combined = self.body(together)
        detail = (base + guided * self.tail(combined)) * stem.unit
        relief = stem.surface + detail
        log_sigma = log_base + guided * self.sigma(combined.detach()) + torch.log(0.3 * stem.unit)
        return GuidedRelief(relief - relief.mean(dim=1, keepdim=True), detail, log_sigma, gates)

    def _fine(self, heights: Tensor) -> tuple[int, int]:
        return heights.shape[-2] * self.scale, heights.shape[-1] * self.scale

    def _observed_guide(self, name: str, heights: Tensor, guides: Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor]:
        """A guide where it and its directions are known, and its mean directions; None where no direction is known.

        Directions alone are read too: else a tile without a guide would depend on whether its neighbours have it.
        """
        bands = [guides[part] for part in direction_bands(name) if part in guides]
        if len(bands) < len(direction_bands(name)) or not any(bool(band[:, 1:].any()) for band in bands):
            return None, heights
        known = torch.stack([band[:, 1:] for band in bands]).amin(0)
        guide = guides.get(name, torch.zeros_like(bands[0])) * known  # brightness is not usable without a direction
        return guide, torch.cat([_mean(band, self.scale) for band in bands], dim=1)

    def receptive_radius(self) -> int:
        """Return how many coarse cells around a cell its subcells depend on."""
        heights, window = self.relief.receptive_radius(), WINDOW // 2 + 1
        moved = max((a.receptive_radius() for a in self.aligners.values() if isinstance(a, Align)), default=0)
        guided = max(window, self.relief.stem_radius()) + moved + _REACH
        return max(heights, guided) + 2 * len(self.body) + 2


class _Encoder(nn.Module):
    """One band -> features at half the fine, the coarse and half the coarse resolution, or at the coarse alone."""

    def __init__(self, scale: int, width: int, pyramid: bool) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.scale = scale
        half = scale // 2
        self.enter = nn.Conv2d(half**2 * 2, width // 2, 3, padding=1)
        self.first = ResidualBlock(width // 2)
        if pyramid:
            self.fine = nn.Conv2d(width // 2, width, 1)
        self.down = nn.Conv2d(width // 2 * 4 + 2, width, 3, padding=1)
        self.second = ResidualBlock(width)
        if pyramid:
            self.lower = nn.Conv2d(width, width, 2, stride=2)
            self.third = ResidualBlock(width)

    def forward(self, guide: Tensor, look: Tensor) -> tuple[Tensor, ...]:
        x = functional.pixel_unshuffle(guide, self.scale // 2)
        x = self.first(self.enter(x))
        y = self.second(self.down(torch.cat((functional.pixel_unshuffle(x, 2), look), dim=1)))
        return (self.fine(x), y, self.third(self.lower(y))) if self.pyramid else (y,)


class _Gate(nn.Module):
    """Per-pixel shares of {dem, *guides} that sum to one, and the guides' features weighted by them."""

    def __init__(self, channels: int, width: int, guides: int, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.heights = nn.Conv2d(channels, guides + 1, 1)
        self.radar = nn.Conv2d(width * guides, guides + 1, 1)
        with (
            torch.no_grad()
        ):  # gates start open; if they closed while all corrections are bad, they would not open again
            if self.radar.bias is not None:
                self.radar.bias[0] -= _OPEN

    def forward(
        self, encoded: Sequence[Tensor], features: Tensor, observed: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Weighted features, and shares (n, 1 + guides, y, x); a guide has share 0 where it is not observed."""
        logits = _resized(self.heights(features), size)
        # One convolution of all encoders' features, without concatenating them.
        for i, (f, weight) in enumerate(zip(encoded, self.radar.weight.chunk(len(encoded), dim=1), strict=True)):
            logits = logits + functional.conv2d(f, weight, None if i else self.radar.bias)
        if self.bound:
            logits = self.bound * torch.tanh(logits / self.bound)
        allowed = _resized(torch.cat((torch.ones_like(observed[:, :1]), observed), dim=1), size)
        shares = torch.exp(logits - logits.amax(dim=1, keepdim=True)) * allowed
        shares = shares / shares.sum(dim=1, keepdim=True).clamp_min(1e-12)
        return _weighted_sum(encoded, shares[:, 1:]), shares


class _Sum(nn.Module):
    """Replacement of a gate: features are summed where observed; `dem` has the share of the rest."""

    def forward(
        self, encoded: Sequence[Tensor], features: Tensor, observed: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        weight = _resized(observed, size)
        mixed = _weighted_sum(encoded, weight)
        guided = weight.amax(dim=1, keepdim=True)
        shares = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-12) * guided
        return mixed, torch.cat((1 - guided, shares), dim=1)


def direction_bands(guide: str) -> tuple[str, str]:
    """Return the bands with the direction, toward east and north, to the source of light: the radar or the sun.

    Parameters
    ----------
    guide
        Name of the guide.

    Returns
    -------
    tuple[str, str]
        Names of the bands.
    """
    return _SUN if guide == "optical" else _LOOK


def _blank_features(encoder: nn.Module, scale: int, like: Tensor) -> tuple[Tensor, ...]:
    """Features of an encoder without guide and directions, by level: (1, width, 1, 1), the same everywhere."""
    side = 2 * _REACH + 2
    blank = like.new_zeros((1, 2, side * scale, side * scale))
    levels = encoder(blank, like.new_zeros((1, 2, side, side)))
    return tuple(level[:, :, level.shape[-2] // 2, level.shape[-1] // 2, None, None] for level in levels)


def _weighted_sum(encoded: Sequence[Tensor], shares: Tensor) -> Tensor:
    """Sum of the features (n, c, y, x) of each guide, weighted by its share (n, guides, y, x).

    Features of one cell are those of a guide without directions, whose share is 0.
    """
    total = encoded[0] * shares[:, :1]
    for i, f in enumerate(encoded[1:], start=1):
        if f.shape[-1] > 1:
            total = total + f * shares[:, i : i + 1]
    return total


def _mean(guide: Tensor, k: int) -> Tensor:
    """Mean of a direction over a coarse cell, 0 where not observed."""
    return functional.avg_pool2d(guide[:, :1] * guide[:, 1:], k)


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Change the resolution by a factor of 2, by repetition or mean."""
    if x.shape[-1] < size[-1]:
        return functional.interpolate(x, scale_factor=size[-1] // x.shape[-1], mode="nearest")
    factor = x.shape[-1] // size[-1]
    return functional.avg_pool2d(x, factor) if factor > 1 else x
