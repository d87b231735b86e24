"""JointSeg: a 10 m image to 2.5 m and to 1 m, and a segmenter that reads the 1 m image, as one network.

Deng et al. 2025, arXiv:2505.05367. Backbone, sizes, fusion and how the two are joined are not published: what stands
here is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import UsageError
from terrafine.schema.types import Table, Within
from terrafine.systems.jointseg.rrdb import COMPACT, SLIM, ProgEsrgan, Stage
from terrafine.systems.jointseg.segmenters import (
    SMALL_MASK2FORMER,
    Mask2Former,
    Transformer,
    UNetSegmenter,
    cross_entropy,
    soft_dice,
)

__all__ = ["THROUGH", "JointSeg", "Seen", "enlarged"]

K = 10
Through = Literal["fine", "quarter", "bilinear", "coarse"]
Segmenter = Literal["unet", "mask2former"]
THROUGH, _SEGMENTERS = get_args(Through), get_args(Segmenter)
_Sizes = Annotated[Mapping[str, int], Table(Stage)]
_GAIN, _LEVEL = 8.0, 0.12  # reflectance to about unit spread about zero


def enlarged(x: Tensor, k: float) -> Tensor:
    """Bilinear, k times as fine; every cell keeps its place."""
    return functional.interpolate(x, scale_factor=float(k), mode="bilinear", align_corners=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the images of a batch are: 2.5 m and 1 m (n, bands, ·, ·), the features between; None where not made."""

    quarter: Tensor | None
    fine: Tensor
    deep: Tensor | None


class JointSeg(nn.Module):
    """Reflectance (n, bands, y, x) at 10 m -> logits of other and impervious (n, 2, 10y, 10x) at 1 m.

    through    what the segmenter reads: `fine`, the 1 m image of both stages; `quarter`, stage 1's 2.5 m image made 1 m
               bilinearly; `bilinear`, the input so enlarged; `coarse`, the input itself, and its logits are enlarged
    features   the segmenter also reads the enlarged input and, of `fine`, the features that stage 2 paints from
    first, second  sizes of the stages, {"blocks", "features", "growth"}
    segmenter  `unet` (width, depth, fold) or `mask2former` (transformer: its sizes), which reads images alone
    rounds, mtf  of the images' agreement with the input; see `nn.rrdb.ProgEsrgan`

    Raises UsageError for other words.
    """

    def __init__(
        self,
        bands: Literal[3, 4] = 3,
        through: Through = "fine",
        features: bool = True,
        first: _Sizes = COMPACT,
        second: _Sizes = SLIM,
        segmenter: Segmenter = "unet",
        width: Annotated[int, Within(1, 512)] = 16,
        depth: Annotated[int, Within(1, 6)] = 3,
        fold: Annotated[int, Within(1, 10)] = 2,
        transformer: Annotated[Mapping[str, Any], Table(Transformer)] = SMALL_MASK2FORMER,
        rounds: Annotated[int, Within(0, 100)] = 3,
        mtf: Annotated[float, Within(0.01, 1, below=True)] = 0.2,
    ) -> None:
        super().__init__()
        if through not in THROUGH or segmenter not in _SEGMENTERS:
            raise UsageError(
                f"through {through!r}, segmenter {segmenter!r}; expected one of {', '.join(THROUGH)}, and one of "
                f"{', '.join(_SEGMENTERS)}"
            )
        if features and segmenter == "mask2former":
            raise UsageError("mask2former reads images alone; expected features = false with it")
        self.bands, self.through, self.features = bands, through, features
        made = through in ("fine", "quarter")
        self.images = ProgEsrgan(bands, first, second=second, mtf=mtf, rounds=rounds) if made else None
        deep = int(second["features"]) if features and through == "fine" else 0
        seen = 2 * bands if features and made else bands
        if segmenter == "unet":
            self.reader: nn.Module = UNetSegmenter(seen, 2, width, depth, fold if through != "coarse" else 1, deep)
        else:
            self.reader = Mask2Former(bands, 2, transformer)

    @property
    def spread(self) -> int:
        """Cells of the input around a cell that its images depend on; the segmenter looks further."""
        if self.images is None:
            return 1
        return self.images.radius if self.through == "fine" else self.images.first.radius + self.images.rounds * 4

    def picture(self, x: Tensor, rounds: int | None = None) -> Seen:
        """The images of the input, with that many rounds of agreement, else its own."""
        if self.images is None:
            return Seen(None, enlarged(x, K), None)
        if self.through == "quarter":
            quarter = self.images.to_quarter(x, rounds)
            return Seen(quarter, enlarged(quarter, K / 4), None)
        return Seen(*self.images.stages(x, rounds))

    def inputs(self, x: Tensor, seen: Seen) -> tuple[Tensor, Tensor | None]:
        """What the segmenter is given: images at about unit spread, and features."""
        if self.through == "coarse":
            return (x - _LEVEL) * _GAIN, None
        images = [seen.fine, enlarged(x, K)] if self.features and self.images is not None else [seen.fine]
        return (torch.cat(images, dim=1) - _LEVEL) * _GAIN, seen.deep if self.features else None

    def read(self, x: Tensor, seen: Seen) -> Tensor:
        """Logits at 1 m of the input and its images."""
        images, deep = self.inputs(x, seen)
        logits: Tensor = self.reader(images) if deep is None else self.reader(images, deep)
        return enlarged(logits, K) if self.through == "coarse" else logits

    def loss(self, x: Tensor, seen: Seen, labels: Tensor, dice: float = 0.0) -> Tensor:
        """The segmenter's loss against labels (n, 10y, 10x); see its own class."""
        if isinstance(self.reader, Mask2Former):
            return self.reader.loss(self.inputs(x, seen)[0], labels)
        logits = self.read(x, seen)
        return cross_entropy(logits, labels) + (dice * soft_dice(logits, labels) if dice else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(x, self.picture(x))
