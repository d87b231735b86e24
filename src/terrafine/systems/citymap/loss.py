"""Loss of partial labels: cross-entropy of each head over the cells where it is known."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn
from torch.nn import functional

from terrafine.nn.task import Discriminators, Losses, SceneBatch, Settings
from terrafine.schema.types import Weight
from terrafine.systems.citymap.net import HEADS, QUARTER

__all__ = ["LOSS_TABLE", "forward", "losses", "predict"]

LOSS_TABLE = {"impervious": Annotated[float, Weight], "building": Annotated[float, Weight]}


def forward(network: nn.Module, batch: SceneBatch, settings: Settings) -> Tensor:
    """Compute the logits of a batch.

    Parameters
    ----------
    network
        A CityMap.
    batch
        Batch of images and partial labels.
    settings
        Not used.

    Returns
    -------
    Tensor
        Logits, (n, 2, 4·y, 4·x), of the labelled part of the images.
    """
    out: Tensor = network(batch.image, batch.infrared, _border(batch))
    return out


def losses(discriminators: Discriminators, batch: SceneBatch, output: Tensor, settings: Settings) -> Losses:
    """Compute the cross-entropy of each head, weighted by how well each cell is known.

    Parameters
    ----------
    discriminators
        Not used.
    batch
        Batch of images and partial labels.
    output
        Logits of `forward`.
    settings
        Settings of the recipe; `loss` holds the weight of each head, 1 where none is given.

    Returns
    -------
    Losses
        `total` and the loss of each head.
    """
    weights = settings["loss"]
    out: Losses = {}
    total = output.new_zeros((), dtype=batch.share.dtype)
    for i, head in enumerate(HEADS):
        every = functional.binary_cross_entropy_with_logits(output[:, i].float(), batch.share[:, i], reduction="none")
        known = batch.known[:, i]
        out[head] = (every * known).sum() / known.sum().clamp_min(1.0)
        total = total + float(weights.get(head, 1.0)) * out[head]
    return {"total": total, **out}


def predict(network: nn.Module, batch: SceneBatch, settings: Settings) -> dict[str, Tensor]:
    """Compute the logits that the task scores.

    Parameters
    ----------
    network
        A CityMap in evaluation mode.
    batch
        Batch of images and partial labels.
    settings
        Not used.

    Returns
    -------
    dict[str, Tensor]
        `logits`, (n, 2, 4·y, 4·x).
    """
    return {"logits": network(batch.image, batch.infrared, _border(batch)).float()}


def _border(batch: SceneBatch) -> int:
    """Cells along each edge of the images that have no labels."""
    return (batch.image.shape[-1] - batch.share.shape[-1] // QUARTER) // 2
