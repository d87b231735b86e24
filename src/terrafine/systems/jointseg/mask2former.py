"""Mask2Former, built from its configuration only, as a segmenter of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import MissingExtraError, UsageError
from terrafine.schema.types import Within
from terrafine.systems.jointseg.segmenters import UNKNOWN

__all__ = ["SMALL_MASK2FORMER", "Mask2Former", "Transformer"]

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
    """Sizes of a Mask2Former, as a recipe's table gives them.

    Attributes
    ----------
    embed
        Channels of the Swin backbone's first stage.
    depths, heads
        Blocks and attention heads of each stage of the backbone.
    window
        Side of an attention window.
    hidden
        Channels of the decoders.
    queries
        Number of mask queries.
    decoder_layers, encoder_layers
        Layers of the transformer decoder and of the pixel decoder.
    """

    embed: _Width
    depths: tuple[_Few, _Few, _Few, _Few]
    heads: tuple[_Few, _Few, _Few, _Few]
    window: _Few
    hidden: _Width
    queries: _Width
    decoder_layers: _Few
    encoder_layers: _Few


class Mask2Former(nn.Module):
    """Mask2Former that computes the logarithm of each class's score, by masks and their classes.

    The network is built by `transformers` from a configuration, without pretrained weights and without its image
    processor. The input is (n, inputs, y, x), the output (n, classes, y, x); sides are padded inside to multiples of
    32. Every class has a mask, including the background: without it, training collapses to empty masks. The score of a
    class is the sum over queries of its probability times the mask's, interpolated bilinearly to full size. Its
    logarithm can be used as a logit in softmax and argmax.

    Parameters
    ----------
    inputs
        Number of bands, 3 or 4.
    classes
        Number of classes.
    size
        Sizes of the network, with the keys of SMALL_MASK2FORMER.

    Raises
    ------
    MissingExtraError
        Where transformers is not installed.
    UsageError
        For other inputs than 3 or 4.

    References
    ----------
    Cheng et al. 2022, arXiv:2112.01527.
    """

    def __init__(self, inputs: int = 3, classes: int = 2, size: Mapping[str, Any] = SMALL_MASK2FORMER) -> None:
        super().__init__()
        if inputs not in (3, 4):
            raise UsageError(f"{inputs} bands; expected red, green, blue, with or without nir")
        self.classes = classes
        self.network = _mask2former(inputs, classes, size)

    @property
    def multiple(self) -> int:
        """Number that the sides are padded to a multiple of."""
        return 32

    def _padded(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return functional.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logarithm of each class's score.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).

        Returns
        -------
        Tensor
            (n, classes, y, x).
        """
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
        """Compute the sum over the layers of class, mask and dice losses.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).
        labels
            Class numbers, (n, y, x), UNKNOWN where not known.

        Returns
        -------
        Tensor
            A scalar.
        """
        labels = functional.pad(
            labels, (0, -labels.shape[-1] % self.multiple, 0, -labels.shape[-2] % self.multiple), value=UNKNOWN
        )
        masks, classes = zip(*(_targets(one, self.classes) for one in labels), strict=True)
        out = self.network(pixel_values=self._padded(x), mask_labels=list(masks), class_labels=list(classes))
        loss: Tensor = out.loss
        return loss.squeeze()


def _targets(labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Masks (m, y, x) and numbers (m,) of the classes present; one empty background where nothing is known."""
    present = [c for c in range(classes) if bool((labels == c).any())] or [0]
    masks = torch.stack([(labels == c).float() for c in present])
    return masks, torch.tensor(present, device=labels.device)


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
    swin: Any = SwinConfig  # its signatures are made at run time
    whole: Any = Mask2FormerConfig
    backbone = swin(
        num_channels=inputs,
        image_size=256,
        embed_dim=size["embed"],
        depths=list(size["depths"]),
        num_heads=list(heads),
        window_size=size["window"],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    hidden = size["hidden"]
    config = whole(
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
