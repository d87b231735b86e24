"""What a system offers the adversarial loop: pairs of image and target, discriminators, and who is told what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["Adversarial", "Discriminators", "ImageBatch", "Settings"]

Discriminators = Mapping[str, nn.Module]
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """image (n, bands, y, x) in the bands' units · target (n, c, k·y, k·x) · valid (n, 1, k·y, k·x), 1 where known.

    Where not valid, target holds 0 and image its band's mean over the scene.
    """

    image: Tensor
    target: Tensor
    valid: Tensor


@dataclass(frozen=True, slots=True)
class Adversarial:
    """Plain functions of a system's folder; without discriminators the same loop is ordinary regression.

    build           (network arguments) -> the generator
    discriminators  (adversary settings) -> name -> discriminator; may be empty
    make            (generator, batch, settings) -> what the generator makes of the batch, graph attached
    judge           (discriminators, batch, made, settings) -> name -> that discriminator's loss; `made` is detached
    please          (discriminators, batch, made, settings) -> {"total": the generator's loss, and parts to log}
    metres          (made, settings) -> the surface in metres, to be scored and drawn
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    discriminators: Callable[[Settings], dict[str, nn.Module]]
    make: Callable[[nn.Module, ImageBatch, Settings], Tensor]
    judge: Callable[[Discriminators, ImageBatch, Tensor, Settings], dict[str, Tensor]]
    please: Callable[[Discriminators, ImageBatch, Tensor, Settings], dict[str, Tensor]]
    metres: Callable[[Tensor, Settings], Tensor]
