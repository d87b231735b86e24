"""Networks that read classes from an image: a plain U-Net, and Mask2Former built from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import MissingExtraError, UsageError
from terrafine.schema.types import Within

__all__ = ["SMALL_MASK2FORMER", "UNKNOWN", "Mask2Former", "Transformer", "UNetSegmenter", "cross_entropy", "soft_dice"]

UNKNOWN = 255
"""The label of a cell that is not known, and counts in no loss."""


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over known cells of logits (n, k, y, x) against labels (n, y, x); 0 where none is known."""
    if not bool((labels != UNKNOWN).any()):
        return logits.sum() * 0
    return functional.cross_entropy(logits, labels.long(), weight=weights, ignore_index=UNKNOWN)


def soft_dice(logits: Tensor, labels: Tensor, value: int = 1) -> Tensor:
    """1 − soft F1 of a class over the known cells of the whole batch; Milletari et al. 2016, arXiv:1606.04797.

    logits (n, k, y, x), labels (n, y, x).
    """
    known = (labels != UNKNOWN).float()
    said, true = logits.softmax(dim=1)[:, value] * known, (labels == value).float() * known
    return 1 - (2 * (said * true).sum() + 1) / (said.sum() + true.sum() + 1)


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in ((inputs, outputs), (outputs, outputs)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNetSegmenter(nn.Module):
    """Logits of each class: (n, inputs, y, x) -> (n, classes, y, x). Sides that are not a multiple are padded inside.

    Ronneberger et al. 2015, arXiv:1505.04597, with batch norm and bilinear upsampling; `width` channels at the highest
    level, doubled at each of `depth` halvings. With `fold` f the highest level holds f × f cells in each of its own, as
    channels on the way in and on the way out: at 1 m from 10 m nothing is lost by 2, and it is several times as fast.
    `more` channels of features, on whatever grid, join at the highest level.
    """

    def __init__(
        self, inputs: int = 3, classes: int = 2, width: int = 16, depth: int = 4, fold: int = 1, more: int = 0
    ) -> None:
        super().__init__()
        self.classes, self.depth, self.fold = classes, depth, fold
        widths = [width * 2**i for i in range(depth + 1)]
        start = inputs * fold**2 + more
        self.down = nn.ModuleList(_twice(start if i == 0 else widths[i - 1], w) for i, w in enumerate(widths))
        self.up = nn.ModuleList(_twice(widths[i] + widths[i + 1], widths[i]) for i in reversed(range(depth)))
        self.last = nn.Conv2d(width, classes * fold**2, 1)

    @property
    def multiple(self) -> int:
        """What the sides are padded to a multiple of."""
        return self.fold << self.depth

    def encode(self, x: Tensor, more: Tensor | None = None) -> list[Tensor]:
        """Features of every level, the highest first; of sides that are a multiple."""
        y = functional.pixel_unshuffle(x, self.fold)
        if more is not None:
            size = list(y.shape[-2:])
            y = torch.cat((y, functional.interpolate(more, size=size, mode="bilinear", align_corners=False)), dim=1)
        levels: list[Tensor] = []
        for i, block in enumerate(self.down):
            y = block(functional.max_pool2d(y, 2) if i else y)
            levels.append(y)
        return levels

    def forward(self, x: Tensor, more: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        pad = [-width % self.multiple, -height % self.multiple]
        if more is not None and any(pad):  # features cover the image: what is padded to it is padded to them
            size = [height, width]
            more = functional.interpolate(more, size=size, mode="bilinear", align_corners=False)
            more = functional.pad(more, (0, pad[0], 0, pad[1]), mode="replicate")
        levels = self.encode(functional.pad(x, (0, pad[0], 0, pad[1]), mode="replicate"), more)
        y = levels.pop()
        for block in self.up:
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = block(torch.cat((levels.pop(), y), dim=1))
        out: Tensor = functional.pixel_shuffle(self.last(y), self.fold)[..., :height, :width]
        return out

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy over the known cells of labels (n, y, x)."""
        return cross_entropy(self(x), labels)


SMALL_MASK2FORMER: Mapping[str, Any] = {
    "embed": 48,
    "depths": (2, 2, 2, 2),
    "heads": (2, 4, 8, 16),
    "window": 8,
    "hidden": 64,
    "queries": 8,
    "decoder_layers": 4,
    "encoder_layers": 2,
}


_Width = Annotated[int, Within(4, 1_024)]
_Few = Annotated[int, Within(1, 64)]


@dataclass(frozen=True)
class Transformer:
    """What the table of a transformer's sizes holds."""

    embed: _Width
    depths: tuple[_Few, _Few, _Few, _Few]
    heads: tuple[_Few, _Few, _Few, _Few]
    window: _Few
    hidden: _Width
    queries: _Width
    decoder_layers: _Few
    encoder_layers: _Few


class Mask2Former(nn.Module):
    """Log-scores of each class: (n, inputs, y, x) -> (n, classes, y, x), by masks and their classes.

    Cheng et al. 2022, arXiv:2112.01527, as `transformers` builds it from a configuration, without pretrained weights
    and without its image processor. Every class is a mask, the background too: left out, all collapses to nothing. The
    score of a class is the sum over queries of its probability times the mask's, bilinear to full size; `forward` gives
    its logarithm, so that softmax and argmax read it as logits. Sides are padded inside to multiples of 32. Raises
    MissingExtraError without transformers, UsageError for other inputs than 3 or 4.
    """

    def __init__(self, inputs: int = 3, classes: int = 2, size: Mapping[str, Any] = SMALL_MASK2FORMER) -> None:
        super().__init__()
        if inputs not in (3, 4):
            raise UsageError(f"{inputs} bands; expected red, green, blue, with or without nir")
        self.classes = classes
        self.network = _mask2former(inputs, classes, size)

    @property
    def multiple(self) -> int:
        """What the sides are padded to a multiple of."""
        return 32

    def _padded(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return functional.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        out = self.network(pixel_values=self._padded(x))
        return self._scores(out, x.shape[-2], x.shape[-1])

    def _scores(self, out: Any, height: int, width: int) -> Tensor:
        of_class = out.class_queries_logits.softmax(dim=-1)[..., :-1]
        masks = out.masks_queries_logits.sigmoid()
        scores = torch.einsum("nqc,nqhw->nchw", of_class, masks)
        full = [-(-side // self.multiple) * self.multiple for side in (height, width)]
        fine = functional.interpolate(scores, size=full, mode="bilinear", align_corners=False)
        return torch.log(fine[..., :height, :width].clamp_min(1e-6))

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Mask2Former's own sum over its layers of class, mask and dice losses; labels (n, y, x)."""
        labels = functional.pad(
            labels, (0, -labels.shape[-1] % self.multiple, 0, -labels.shape[-2] % self.multiple), value=UNKNOWN
        )
        masks, classes = zip(*(_targets(one, self.classes) for one in labels), strict=True)
        out = self.network(pixel_values=self._padded(x), mask_labels=list(masks), class_labels=list(classes))
        loss: Tensor = out.loss
        return loss.squeeze()


def _targets(labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Masks (m, y, x) and classes (m,) of those that are there; one empty background where nothing is known."""
    there = [c for c in range(classes) if bool((labels == c).any())] or [0]
    masks = torch.stack([(labels == c).float() for c in there])
    return masks, torch.tensor(there, device=labels.device)


def _mask2former(inputs: int, classes: int, size: Mapping[str, Any]) -> Any:
    try:
        from transformers import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            Mask2FormerConfig,
            Mask2FormerForUniversalSegmentation,
            SwinConfig,
        )
    except ImportError as error:
        raise MissingExtraError("Mask2Former needs transformers: pip install 'terrafine[impervious]'") from error
    heads: Sequence[int] = size["heads"]
    backbone = SwinConfig(
        num_channels=inputs,
        image_size=256,
        embed_dim=size["embed"],
        depths=list(size["depths"]),
        num_heads=list(heads),
        window_size=size["window"],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    hidden = size["hidden"]
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=hidden,
        mask_feature_size=hidden,
        hidden_dim=hidden,
        encoder_feedforward_dim=4 * hidden,
        dim_feedforward=4 * hidden,
        encoder_layers=size["encoder_layers"],
        decoder_layers=size["decoder_layers"] + 1,  # its count includes the prediction before the first layer
        num_attention_heads=4,
        num_queries=size["queries"],
        num_labels=classes,
        use_auxiliary_loss=True,
    )
    return Mask2FormerForUniversalSegmentation(config)
