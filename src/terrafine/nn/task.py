"""What a system offers the adversarial loop: its batches, discriminators, and who is told what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["Adversarial", "Discriminators", "Game", "ImageBatch", "JointGame", "SampleBatch", "Settings"]

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
class SampleBatch:
    """coarse (n, bands, y, x) and fine (n, bands, k·y, k·x) reflectance · label (n, k·y, k·x), 255 where not known.

    phase  what is learnt at this step: weights of losses by name, as the recipe's phase states them
    """

    coarse: Tensor
    fine: Tensor
    label: Tensor
    phase: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Game:
    """Plain functions of a system's folder; without discriminators the same loop is ordinary regression.

    build           (network arguments) -> the generator
    discriminators  (settings) -> name -> discriminator; may be empty
    make            (generator, batch, settings) -> what the generator makes of the batch, graph attached
    judge           (discriminators, batch, made, settings) -> name -> that discriminator's loss; it detaches `made`
    please          (discriminators, batch, made, settings) -> {"total": the generator's loss, and parts to log}
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    discriminators: Callable[[Settings], dict[str, nn.Module]]
    make: Callable[[nn.Module, Any, Settings], Any]
    judge: Callable[[Discriminators, Any, Any, Settings], dict[str, Tensor]]
    please: Callable[[Discriminators, Any, Any, Settings], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Adversarial(Game):
    """Heights from images: batches are `ImageBatch`.

    metres  (made, settings) -> the surface in metres, to be scored and drawn
    """

    metres: Callable[[Any, Settings], Tensor]


@dataclass(frozen=True, slots=True)
class JointGame(Game):
    """Fine images and classes from coarse images: batches are `SampleBatch`.

    show    (generator, coarse) -> the fine image (n, bands, k·y, k·x) and the logits (n, 2, k·y, k·x)
    shares  (batch) -> child of the generator -> what the rate is multiplied by for it at this step
    """

    show: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]
    shares: Callable[[SampleBatch], Mapping[str, float]]
