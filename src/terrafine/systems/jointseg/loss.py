"""What JointSeg learns from, phase by phase: images first, then a game about them, then images and classes as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.nn.task import Discriminators, SampleBatch, Settings
from terrafine.systems.jointseg.net import JointSeg, Seen
from terrafine.systems.jointseg.segmenters import UNetSegmenter
from terrafine.systems.jointseg.unet_discriminator import UnetDiscriminator

__all__ = ["WHITE", "Made", "discriminators", "judge", "make", "please", "shares", "show"]

WHITE = 0.35
"""The reflectance that perceptual features take for white."""


@dataclass(frozen=True, slots=True)
class Made:
    """The images of a batch, and the network that made them."""

    network: JointSeg
    seen: Seen


def discriminators(settings: Settings) -> dict[str, nn.Module]:
    """A U-Net discriminator for each stage; [adversary] `kind` none or unet, `width`, `bands`."""
    said = dict(settings.get("adversary", {}))
    kind = said.pop("kind", "unet")
    if kind not in ("none", "unet"):
        raise RecipeError(f"[adversary] kind = {kind!r}; expected none or unet")
    bands, width = int(said.pop("bands", 3)), int(said.pop("width", 64))
    if said:
        raise RecipeError(f"[adversary] {', '.join(said)}: not known; expected kind, width, bands")
    return {} if kind == "none" else {n: UnetDiscriminator(bands, width) for n in ("quarter", "fine")}


def make(generator: nn.Module, batch: SampleBatch, settings: Settings) -> Made:
    """The images, with a graph only where this phase teaches them; the true ones where the phase shows those."""
    network = _network(generator)
    if _of(batch, "truth"):
        return Made(network, Seen(None, batch.fine, None))
    taught = any(_of(batch, name) for name in ("l1", "perceptual", "gan", "joint"))
    with torch.set_grad_enabled(taught and torch.is_grad_enabled()):
        return Made(network, network.picture(batch.coarse))


def judge(found: Discriminators, batch: SampleBatch, made: Made, settings: Settings) -> dict[str, Tensor]:
    """Half the cross entropies of true and made images, cell by cell, in phases with `gan`."""
    if not _of(batch, "gan"):
        return {}
    return {
        name: (_cross(found[name](truth), 1.0) + _cross(found[name](image.detach()), 0.0)) / 2
        for name, (image, truth) in _pairs(batch, made).items()
        if name in found
    }


def please(found: Discriminators, batch: SampleBatch, made: Made, settings: Settings) -> dict[str, Tensor]:
    """The network's loss; weights are the phase's, and what is 0 is not computed.

    l1          mean absolute difference of reflectance, of both stages
    perceptual  distance in features of EfficientNet-Lite0, or of the network's own segmenter
    gan         what the discriminators say of both stages
    segment     the segmenter's own loss, with [loss] `dice`; under `joint` it reaches the images' network
    """
    pairs, parts = _pairs(batch, made), dict[str, Tensor]()
    if _of(batch, "l1"):
        parts["l1"] = torch.stack([functional.l1_loss(*pair) for pair in pairs.values()]).sum()
    if _of(batch, "perceptual"):
        parts["perceptual"] = _perceptual(batch, made, settings)
    if _of(batch, "gan") and found:
        told = [_cross(found[name](pairs[name][0]), 1.0) for name in pairs if name in found]
        parts["gan"] = torch.stack(told).mean()
    if _of(batch, "segment"):
        seen = made.seen if _of(batch, "joint") else _detached(made.seen)
        parts["segment"] = made.network.loss(batch.coarse, seen, batch.label, float(settings["loss"].get("dice", 0.0)))
    if not parts:
        raise RecipeError(f"a phase of {dict(batch.phase)} teaches nothing; expected l1, perceptual, gan or segment")
    return {"total": torch.stack([_of(batch, name) * value for name, value in parts.items()]).sum(), **parts}


def show(generator: nn.Module, coarse: Tensor) -> tuple[Tensor, Tensor]:
    """The 1 m image and the logits."""
    network = _network(generator)
    seen = network.picture(coarse)
    return seen.fine, network.read(coarse, seen)


def shares(batch: SampleBatch) -> dict[str, float]:
    """The images' network learns at `images_rate` of the rate: finished images are not to be learnt anew."""
    return {"images": float(batch.phase.get("images_rate", 1.0))}


def _perceptual(batch: SampleBatch, made: Made, settings: Settings) -> Tensor:
    features: Any = settings["perceptual"]
    if features == "own":
        return _own(batch, made)
    from terrafine.systems.jointseg.perceptual import feature_distance

    picture, truth = ((image[:, :3] / WHITE).clamp(0, 1) for image in (made.seen.fine, batch.fine))
    return feature_distance(features, picture, truth)


def _own(batch: SampleBatch, made: Made) -> Tensor:
    """Distance in what the segmenter's levels say of the image, all else of its input being the same."""
    network, reader = made.network, made.network.reader
    if not isinstance(reader, UNetSegmenter):
        raise RecipeError("[loss] perceptual = 'own' is that of a U-Net; expected segmenter = 'unet', or 'lite'")
    fixed = replace(made.seen, deep=None if made.seen.deep is None else made.seen.deep.detach())
    training, parts = reader.training, []
    reader.eval()
    wanted = reader.encode(*network.inputs(batch.coarse, replace(fixed, fine=batch.fine)))
    for a, b in zip(reader.encode(*network.inputs(batch.coarse, fixed)), wanted, strict=True):
        parts.append((a - b.detach()).abs().mean() / (b.detach().std() + 1e-6))
    reader.train(training)
    return torch.stack(parts).mean()


def _pairs(batch: SampleBatch, made: Made) -> dict[str, tuple[Tensor, Tensor]]:
    """(made, true) of each stage; the true 2.5 m image is the area mean of the 1 m one."""
    pairs = {"fine": (made.seen.fine, batch.fine)}
    if made.seen.quarter is not None:
        quarter = functional.interpolate(batch.fine, size=list(made.seen.quarter.shape[-2:]), mode="area")
        pairs["quarter"] = (made.seen.quarter, quarter)
    return pairs


def _detached(seen: Seen) -> Seen:
    def free(image: Tensor | None) -> Tensor | None:
        return None if image is None else image.detach()

    return Seen(free(seen.quarter), seen.fine.detach(), free(seen.deep))


def _cross(logits: Tensor, real: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def _of(batch: SampleBatch, name: str) -> float:
    return float(batch.phase.get(name, 0.0))


def _network(generator: nn.Module) -> JointSeg:
    if not isinstance(generator, JointSeg):
        raise TypeError(f"expected a JointSeg, found {type(generator).__name__}")
    return generator
