"""Interface between a system and the training loop: batches, forward pass, losses and predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["Discriminators", "ImageBatch", "Losses", "SampleBatch", "SceneBatch", "Settings", "Training"]

Discriminators = Mapping[str, nn.Module]
Losses = dict[str, Tensor]
Settings = Mapping[str, Any]
"""The recipe's `network`, `loss`, `adversary`, `scale`, `phases`; `data_root`, the folder of the data; `frozen`, the
networks of `Training.frozen`."""


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Batch of images and the heights under them.

    Attributes
    ----------
    image
        Image in the bands' units, (n, band, y, x); the band's mean over the scene where not valid.
    target
        Heights in metres, (n, c, k·y, k·x); 0 where not valid.
    valid
        1 where the target is known, else 0, (n, 1, k·y, k·x).
    """

    image: Tensor
    target: Tensor
    valid: Tensor


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Batch of coarse images, fine images and labels.

    Attributes
    ----------
    coarse
        Coarse reflectance, (n, band, y, x).
    fine
        Fine reflectance, (n, band, k·y, k·x).
    label
        Class numbers, (n, k·y, k·x), 255 where not known.
    phase
        Weights of losses by name, from the recipe's phase of this step.
    """

    coarse: Tensor
    fine: Tensor
    label: Tensor
    phase: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Batch of images of a real sensor and partial labels, for several classes that do not exclude each other.

    Attributes
    ----------
    image
        Reflectance of red, green, blue and near infrared, (n, 4, y + 2·b, x + 2·b): it may reach b cells beyond the
        labels on each side, so that features of a cell's surroundings are right up to their edge.
    infrared
        1 where near infrared was observed, else 0, (n, 1, 1, 1).
    share
        Share of each cell that each class covers, (n, class, q·y, q·x), 0 to 1.
    known
        How much each cell counts, (n, class, q·y, q·x): 0 where nothing is known, in validation 1 where a label states
        the class; in training times a factor by which every scene and class counts the same.
    weight
        How much a whole scene counts beside others where a system is prepared on whole scenes.
    """

    image: Tensor
    infrared: Tensor
    share: Tensor
    known: Tensor
    weight: float = 1.0


def _no_networks(settings: Settings) -> dict[str, nn.Module]:
    return {}


def _no_losses(discriminators: Discriminators, batch: Any, output: Any, settings: Settings) -> Losses:
    return {}


def _nothing_to_prepare(network: nn.Module, scenes: Iterable[Any], settings: Settings) -> None:
    return None


def _nothing_to_check() -> None:
    return None


def _full_rate(batch: Any) -> Mapping[str, float]:
    return {}


def _any_size(network: Mapping[str, Any], size: int, adversary: Mapping[str, Any]) -> str:
    return ""


def unfit_size(size: int, step: int, least: int = 0, why: str = "") -> str:
    """Return what to say of a patch whose sides must be multiples of a number of cells.

    Parameters
    ----------
    size
        Cells along the patch.
    step
        Cells of which it must be a multiple.
    least
        Fewest cells.
    why
        The reason, for the message.

    Returns
    -------
    str
        Empty for a size that fits.
    """
    if size % step == 0 and size >= least:
        return ""
    first = max(size // step, -(-max(least, step) // step)) * step
    reason = f"{why}; " if why else ""
    return f"[patches] size = {size}: {reason}expected a multiple of {step} cells, such as {first} or {first + step}"


@dataclass(frozen=True, slots=True)
class Training:
    """How a system is trained, as plain functions of its folder.

    Only the first four members are needed for regression.

    Attributes
    ----------
    task
        Folder of `terrafine.training` that reads the recipe and the data and scores the result: `dem`, `height`,
        `segmentation` or `scenes`.
    forward
        Function (network, batch, settings) -> the network's output, with its graph.
    loss
        Function (discriminators, batch, output, settings) -> {"total": scalar, and parts to log}. A part that `[loss]`
        names enters the total with the weight given there.
    predict
        Function (network, batch, settings) -> what the task scores. `dem` and `height`: `elevation` (n, 1, k·y, k·x) in
        metres and optionally `elevation_sigma`; `segmentation`: `image` (n, band, k·y, k·x) and `logits` (n, 2, k·y,
        k·x); `scenes`: `logits` (n, class, q·y, q·x).
    discriminators
        Function (settings) -> discriminators by name, each trained by its own optimiser.
    discriminator_losses
        Function (discriminators, batch, output, settings) -> loss of each discriminator; the output is detached.
    frozen
        Function (settings) -> networks that the loss uses and that are neither trained nor saved.
    rate_factors
        Function (batch) -> factor of the learning rate for each child of the network; 1 for a child that is not named.
    prepare
        Function (network, scenes, settings) that sets what gradients do not train, before the first step; `scenes` are
        whole scenes, as batches of the task. Only `scenes` calls it.
    check_extras
        Function that raises MissingExtraError where a package that `prepare` needs is not installed.
    refuses_size
        Function (`[network]`, size, `[adversary]`) -> why patches of that many cells cannot be trained on, and which
        can; empty where they can.
    loss_table, adversary_table
        What `[loss]` and `[adversary]` may hold, as `terrafine.schema.types.declared` takes it; None where that is not
        declared.
    """

    task: str
    forward: Callable[[nn.Module, Any, Settings], Any]
    loss: Callable[[Discriminators, Any, Any, Settings], Losses]
    predict: Callable[[nn.Module, Any, Settings], dict[str, Tensor]]
    discriminators: Callable[[Settings], dict[str, nn.Module]] = _no_networks
    discriminator_losses: Callable[[Discriminators, Any, Any, Settings], Losses] = _no_losses
    frozen: Callable[[Settings], dict[str, nn.Module]] = _no_networks
    rate_factors: Callable[[Any], Mapping[str, float]] = _full_rate
    prepare: Callable[[nn.Module, Iterable[Any], Settings], None] = _nothing_to_prepare
    check_extras: Callable[[], None] = _nothing_to_check
    refuses_size: Callable[[Mapping[str, Any], int, Mapping[str, Any]], str] = _any_size
    loss_table: Any = None
    adversary_table: Any = None

    @property
    def adversarial(self) -> bool:
        """Whether the system has discriminators, which `[adversary]` describes."""
        return self.discriminators is not _no_networks

    def losses(self, network: nn.Module, batch: Any, settings: Settings) -> Losses:
        """Compute the losses of one batch without discriminators.

        Parameters
        ----------
        network
            Network of the system.
        batch
            Batch of the task.
        settings
            Settings of the recipe.

        Returns
        -------
        Losses
            `total` and its parts by name.
        """
        return self.loss({}, batch, self.forward(network, batch, settings), settings)
