"""JointSeg: a 10 m image to 2.5 m and 1 m, and a segmenter of the 1 m image, as one network.

The design is that of Deng et al. 2025, arXiv:2505.05367. Backbone, sizes, fusion and the connection of the two networks
are not published; those of this module are ours.
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
from terrafine.systems.jointseg.mask2former import SMALL_MASK2FORMER, Mask2Former, Transformer
from terrafine.systems.jointseg.rrdb import COMPACT, SLIM, ProgEsrgan, Stage
from terrafine.systems.jointseg.segmenters import UNetSegmenter, cross_entropy, soft_dice

__all__ = ["THROUGH", "JointSeg", "StageImages", "upsample_bilinear"]

K = 10
Through = Literal["fine", "quarter", "bilinear", "coarse"]
Segmenter = Literal["unet", "mask2former"]
THROUGH, _SEGMENTERS = get_args(Through), get_args(Segmenter)
_Sizes = Annotated[Mapping[str, int], Table(Stage)]
_GAIN, _LEVEL = 8.0, 0.12  # reflectance to about unit spread about zero


def upsample_bilinear(x: Tensor, k: float) -> Tensor:
    """Interpolate an image bilinearly, with exact registration.

    Parameters
    ----------
    x
        Image, (n, c, y, x).
    k
        Fine cells along a coarse cell.

    Returns
    -------
    Tensor
        (n, c, k·y, k·x).
    """
    return functional.interpolate(x, scale_factor=float(k), mode="bilinear", align_corners=False)


@dataclass(frozen=True, slots=True)
class StageImages:
    """Images of a batch at both stages.

    Attributes
    ----------
    quarter
        Image at 2.5 m, (n, band, 4y, 4x); None where it is not generated.
    fine
        Image at 1 m, (n, band, 10y, 10x), or the input interpolated to it.
    deep
        Features of the trunk of stage 2, (n, c, 4y, 4x); None where there is no stage 2.
    """

    quarter: Tensor | None
    fine: Tensor
    deep: Tensor | None


class JointSeg(nn.Module):
    """Network from reflectance at 10 m to logits of other and impervious at 1 m.

    The input is (n, bands, y, x), the output (n, 2, 10y, 10x).

    Parameters
    ----------
    bands
        Number of bands.
    through
        Input of the segmenter: `fine`, the 1 m image of both stages; `quarter`, the 2.5 m image of stage 1 interpolated
        to 1 m; `bilinear`, the input interpolated to 1 m; `coarse`, the input itself, with logits interpolated to 1 m.
    features
        Whether the interpolated input and, with `fine`, the features of stage 2 are inputs of the segmenter too.
    first, second
        Sizes of the stages, {"blocks", "features", "growth"}.
    segmenter
        `unet`, or `mask2former`, which takes images only.
    width, depth, fold
        Sizes of the U-Net, as in `segmenters.UNetSegmenter`.
    transformer
        Sizes of the Mask2Former.
    rounds, mtf
        Back-projection of the images, as in `rrdb.ProgEsrgan`.

    Raises
    ------
    UsageError
        For another value of `through` or `segmenter`, or `features` with a Mask2Former.

    References
    ----------
    Deng et al. 2025, arXiv:2505.05367.
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
            raise UsageError("mask2former takes images only; expected features = false with it")
        self.bands, self.through, self.features = bands, through, features
        generated = through in ("fine", "quarter")
        self.images = ProgEsrgan(bands, first, second=second, mtf=mtf, rounds=rounds) if generated else None
        deep = int(second["features"]) if features and through == "fine" else 0
        channels = 2 * bands if features and generated else bands
        if segmenter == "unet":
            self.reader: nn.Module = UNetSegmenter(channels, 2, width, depth, fold if through != "coarse" else 1, deep)
        else:
            self.reader = Mask2Former(bands, 2, transformer)

    def generate_images(self, x: Tensor, rounds: int | None = None) -> StageImages:
        """Generate the 2.5 m and 1 m images of the input.

        Parameters
        ----------
        x
            Reflectance at 10 m, (n, band, y, x).
        rounds
            Rounds of back-projection; those of the network where None.

        Returns
        -------
        StageImages
            Images of both stages.
        """
        if self.images is None:
            return StageImages(None, upsample_bilinear(x, K), None)
        if self.through == "quarter":
            quarter = self.images.to_quarter(x, rounds)
            return StageImages(quarter, upsample_bilinear(quarter, K / 4), None)
        return StageImages(*self.images.stages(x, rounds))

    def inputs(self, x: Tensor, images: StageImages) -> tuple[Tensor, Tensor | None]:
        """Prepare the input of the segmenter.

        Parameters
        ----------
        x
            Reflectance at 10 m, (n, band, y, x).
        images
            Images of both stages.

        Returns
        -------
        tuple[Tensor, Tensor | None]
            Images shifted and scaled to about unit variance, and the features of stage 2, or None.
        """
        if self.through == "coarse":
            return (x - _LEVEL) * _GAIN, None
        parts = [images.fine]
        if self.features and self.images is not None:
            parts.append(upsample_bilinear(x, K))
        return (torch.cat(parts, dim=1) - _LEVEL) * _GAIN, images.deep if self.features else None

    def segment(self, x: Tensor, images: StageImages) -> Tensor:
        """Compute the logits at 1 m.

        Parameters
        ----------
        x
            Reflectance at 10 m, (n, band, y, x).
        images
            Images of both stages.

        Returns
        -------
        Tensor
            Logits of other and impervious, (n, 2, 10y, 10x).
        """
        stacked, deep = self.inputs(x, images)
        logits: Tensor = self.reader(stacked) if deep is None else self.reader(stacked, deep)
        return upsample_bilinear(logits, K) if self.through == "coarse" else logits

    def loss(self, x: Tensor, images: StageImages, labels: Tensor, dice: float = 0.0) -> Tensor:
        """Compute the segmenter's loss.

        Parameters
        ----------
        x
            Reflectance at 10 m, (n, band, y, x).
        images
            Images of both stages.
        labels
            Class numbers, (n, 10y, 10x), 255 where not known.
        dice
            Weight of `soft_dice`; a Mask2Former ignores it.

        Returns
        -------
        Tensor
            A scalar.
        """
        if isinstance(self.reader, Mask2Former):
            return self.reader.loss(self.inputs(x, images)[0], labels)
        logits = self.segment(x, images)
        return cross_entropy(logits, labels) + (dice * soft_dice(logits, labels) if dice else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of an input at 1 m.

        Parameters
        ----------
        x
            Reflectance at 10 m, (n, band, y, x).

        Returns
        -------
        Tensor
            Logits of other and impervious, (n, 2, 10y, 10x).
        """
        return self.segment(x, self.generate_images(x))
