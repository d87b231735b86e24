"""Losses of JointSeg by phase: images, then adversarial losses, then images and classes as one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.nn.system import network_of
from terrafine.nn.task import Discriminators, Losses, SampleBatch, Settings
from terrafine.schema.types import Weight, Within
from terrafine.systems.jointseg.net import JointSeg, StageImages
from terrafine.systems.jointseg.segmenters import UNetSegmenter
from terrafine.systems.jointseg.unet_discriminator import UnetDiscriminator

__all__ = [
    "ADVERSARY_TABLE",
    "LOSS_TABLE",
    "WHITE",
    "Output",
    "discriminator_losses",
    "discriminators",
    "forward",
    "frozen",
    "network_losses",
    "predict",
    "rate_factors",
]

WHITE = 0.35
"""Reflectance that is white for the perceptual features."""


LOSS_TABLE: Mapping[str, Any] = {"dice": Weight, "perceptual": Literal["lite", "own"]}
"""Keys of `[loss]` and the types of their values."""
ADVERSARY_TABLE: Mapping[str, Any] = {
    "kind": Literal["none", "unet"],
    "width": Annotated[int, Within(1, 512)],
    "bands": Annotated[int, Within(3, 4)],
}
"""Keys of `[adversary]` and the types of their values."""
_LOSS = tuple(LOSS_TABLE)
_TERMS = ("l1", "perceptual", "gan", "segment")
_SWITCHES = ("joint", "truth", "images_rate")


@dataclass(frozen=True, slots=True)
class Output:
    """Output of the forward pass that the losses use.

    Attributes
    ----------
    network
        Network that generated the images.
    images
        Images of the batch at both stages.
    """

    network: JointSeg
    images: StageImages


def discriminators(settings: Settings) -> dict[str, nn.Module]:
    """Build a U-Net discriminator for each stage, in runs with a phase that has `gan`.

    Parameters
    ----------
    settings
        Settings of the recipe; `[adversary]` has `kind` (none, unet), `width` and `bands`.

    Returns
    -------
    dict[str, nn.Module]
        Discriminators of the stages `quarter` and `fine`; empty where none is needed.

    Raises
    ------
    RecipeError
        For another kind or an unknown key of `[adversary]`, `[loss]` or a phase, and for a phase that trains nothing.
    """
    options = {"bands": settings.get("network", {}).get("bands", 3), **settings.get("adversary", {})}
    phases = settings.get("phases")
    _check_terms(settings.get("loss", {}), phases or {})
    kind = options.pop("kind", "unet")
    if kind not in ("none", "unet"):
        raise RecipeError(f"[adversary] kind = {kind!r}; expected none or unet")
    bands, width = int(options.pop("bands", 3)), int(options.pop("width", 64))
    if options:
        raise RecipeError(f"[adversary] {', '.join(options)}: not known; expected kind, width, bands")
    unused = phases is not None and not any(phase.get("gan") for phase in phases.values())
    return {} if kind == "none" or unused else {n: UnetDiscriminator(bands, width) for n in ("quarter", "fine")}


def _check_terms(loss: Settings, phases: Settings) -> None:
    """Raise RecipeError for an unknown key of [loss] or of a phase, and for a phase that trains nothing."""
    if unknown := sorted(set(loss) - set(_LOSS)):
        raise RecipeError(f"[loss] {unknown}: no such terms; known are {', '.join(_LOSS)}")
    for name, phase in phases.items():
        if unknown := sorted(set(phase) - {"steps", *_TERMS, *_SWITCHES}):
            raise RecipeError(f"[phases.{name}] {unknown}: not known; known are {', '.join((*_TERMS, *_SWITCHES))}")
        if not any(phase.get(term) for term in _TERMS):
            raise RecipeError(f"[phases.{name}] trains nothing; expected one of {', '.join(_TERMS)} above 0")


def forward(network: nn.Module, batch: SampleBatch, settings: Settings) -> Output:
    """Generate the images of a batch, with a graph only where the phase trains them.

    Parameters
    ----------
    network
        A JointSeg.
    batch
        Batch; where its phase has `truth`, the true images are used.
    settings
        Settings of the recipe.

    Returns
    -------
    Output
        The network and the images.

    Raises
    ------
    TypeError
        For a network of another type.
    """
    joint = network_of(network, JointSeg)
    if _weight(batch, "truth"):
        return Output(joint, StageImages(None, batch.fine, None))
    trained = any(_weight(batch, name) for name in ("l1", "perceptual", "gan", "joint"))
    with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
        return Output(joint, joint.generate_images(batch.coarse))


def discriminator_losses(networks: Discriminators, batch: SampleBatch, output: Output, settings: Settings) -> Losses:
    """Compute half the sum of the cross entropies of true and generated images, cell by cell, in phases with `gan`.

    Parameters
    ----------
    networks
        Discriminators by stage.
    batch, output
        Batch, and output of `forward`.
    settings
        Settings of the recipe.

    Returns
    -------
    Losses
        Loss of each discriminator; empty in a phase without `gan`.
    """
    if not _weight(batch, "gan"):
        return {}
    return {
        name: (_cross(networks[name](truth), 1.0) + _cross(networks[name](image.detach()), 0.0)) / 2
        for name, (image, truth) in _pairs(batch, output).items()
        if name in networks
    }


def network_losses(networks: Discriminators, batch: SampleBatch, output: Output, settings: Settings) -> Losses:
    """Compute the network's loss with the weights of the phase; a part of weight 0 is not computed.

    The parts are:

    - `l1`: mean absolute difference of reflectance, of both stages.
    - `perceptual`: distance in features of EfficientNet-Lite0, or of the network's own segmenter.
    - `gan`: cross entropy of the discriminators' output for both stages.
    - `segment`: the segmenter's loss, with `dice` of `[loss]`. With `joint` it also trains the network of the images.

    Parameters
    ----------
    networks
        Discriminators by stage.
    batch, output
        Batch, and output of `forward`.
    settings
        Settings of the recipe.

    Returns
    -------
    Losses
        `total` and its parts by name.

    Raises
    ------
    RecipeError
        For a phase that trains nothing.
    """
    pairs, parts = _pairs(batch, output), dict[str, Tensor]()
    if _weight(batch, "l1"):
        parts["l1"] = torch.stack([functional.l1_loss(*pair) for pair in pairs.values()]).sum()
    if _weight(batch, "perceptual"):
        parts["perceptual"] = _perceptual(batch, output, settings)
    if _weight(batch, "gan") and networks:
        verdicts = [_cross(networks[name](pairs[name][0]), 1.0) for name in pairs if name in networks]
        parts["gan"] = torch.stack(verdicts).mean()
    if _weight(batch, "segment"):
        images = output.images if _weight(batch, "joint") else _detached(output.images)
        parts["segment"] = output.network.loss(
            batch.coarse, images, batch.label, float(settings["loss"].get("dice", 0.0))
        )
    if not parts:
        raise RecipeError(f"a phase of {dict(batch.phase)} trains nothing; expected l1, perceptual, gan or segment")
    return {"total": torch.stack([_weight(batch, name) * value for name, value in parts.items()]).sum(), **parts}


def predict(network: nn.Module, batch: SampleBatch, settings: Settings) -> dict[str, Tensor]:
    """Generate the 1 m image of a batch and segment it.

    Parameters
    ----------
    network
        A JointSeg.
    batch
        Batch.
    settings
        Settings of the recipe.

    Returns
    -------
    dict[str, Tensor]
        `image` (n, band, 10y, 10x), reflectance at 1 m, and `logits` (n, 2, 10y, 10x) of other and impervious.

    Raises
    ------
    TypeError
        For a network of another type.
    """
    joint = network_of(network, JointSeg)
    images = joint.generate_images(batch.coarse)
    return {"image": images.fine, "logits": joint.segment(batch.coarse, images)}


def rate_factors(batch: SampleBatch) -> dict[str, float]:
    """Multiply the learning rate of the network of the images by the phase's `images_rate`.

    Parameters
    ----------
    batch
        Batch with its phase.

    Returns
    -------
    dict[str, float]
        Factor of the learning rate for the child `images`.
    """
    return {"images": float(batch.phase.get("images_rate", 1.0))}


def frozen(settings: Settings) -> dict[str, nn.Module]:
    """Load EfficientNet-Lite0 with public weights, for a `perceptual` loss that is not set to `own`.

    Parameters
    ----------
    settings
        Settings of the recipe.

    Returns
    -------
    dict[str, nn.Module]
        The network under the name `perceptual`; empty where it is not needed.

    Raises
    ------
    MissingExtraError
        Where the package with the weights is not installed.
    WeightsError
        For weights that do not fit.
    """
    wanted = any(phase.get("perceptual") for phase in settings.get("phases", {}).values())
    if not wanted or _is_own(settings):
        return {}
    from terrafine.systems.jointseg.perceptual import LiteFeatures
    from terrafine.systems.jointseg.pretrained import LITE_FILE, efficientnet_lite0, load_exactly

    features = LiteFeatures()
    load_exactly(features, efficientnet_lite0(Path(settings.get("data_root", ".")) / LITE_FILE), allow_unused=True)
    return {"perceptual": features}


def _perceptual(batch: SampleBatch, output: Output, settings: Settings) -> Tensor:
    if _is_own(settings):
        return _own_features_distance(batch, output)
    features: Any = settings["frozen"]["perceptual"]
    from terrafine.systems.jointseg.perceptual import feature_distance

    image, truth = ((bands[:, :3] / WHITE).clamp(0, 1) for bands in (output.images.fine, batch.fine))
    return feature_distance(features, image, truth)


def _is_own(settings: Settings) -> bool:
    return bool(settings.get("loss", {}).get("perceptual", "lite") == "own")


def _own_features_distance(batch: SampleBatch, output: Output) -> Tensor:
    """Distance in the features of the segmenter's levels, with the rest of its input unchanged."""
    network, segmenter = output.network, output.network.reader
    if not isinstance(segmenter, UNetSegmenter):
        raise RecipeError(
            "[loss] perceptual = 'own' needs a U-Net; expected segmenter = 'unet', or perceptual = 'lite'"
        )
    fixed = replace(output.images, deep=None if output.images.deep is None else output.images.deep.detach())
    training, parts = segmenter.training, []
    segmenter.eval()
    wanted = segmenter.encode(*network.inputs(batch.coarse, replace(fixed, fine=batch.fine)))
    for a, b in zip(segmenter.encode(*network.inputs(batch.coarse, fixed)), wanted, strict=True):
        parts.append((a - b.detach()).abs().mean() / (b.detach().std() + 1e-6))
    segmenter.train(training)
    return torch.stack(parts).mean()


def _pairs(batch: SampleBatch, output: Output) -> dict[str, tuple[Tensor, Tensor]]:
    """(generated, true) of each stage; the true 2.5 m image is the area mean of the 1 m one."""
    pairs = {"fine": (output.images.fine, batch.fine)}
    if output.images.quarter is not None:
        quarter = functional.interpolate(batch.fine, size=list(output.images.quarter.shape[-2:]), mode="area")
        pairs["quarter"] = (output.images.quarter, quarter)
    return pairs


def _detached(images: StageImages) -> StageImages:
    def free(image: Tensor | None) -> Tensor | None:
        return None if image is None else image.detach()

    return StageImages(free(images.quarter), images.fine.detach(), free(images.deep))


def _cross(logits: Tensor, real: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def _weight(batch: SampleBatch, name: str) -> float:
    return float(batch.phase.get(name, 0.0))
