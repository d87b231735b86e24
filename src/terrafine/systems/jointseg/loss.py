"""Losses of JointSeg, phase by phase: images first, then adversarial losses, then images and classes as one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.nn.task import Discriminators, Losses, SampleBatch, Settings
from terrafine.schema.types import Weight, Within
from terrafine.systems.jointseg.net import JointSeg, Seen
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
"""The reflectance that perceptual features take for white."""


LOSS_TABLE: Mapping[str, Any] = {"dice": Weight, "perceptual": Literal["lite", "own"]}
"""What `[loss]` may hold."""
ADVERSARY_TABLE: Mapping[str, Any] = {
    "kind": Literal["none", "unet"],
    "width": Annotated[int, Within(1, 512)],
    "bands": Annotated[int, Within(3, 4)],
}
"""What `[adversary]` may hold."""
_LOSS = tuple(LOSS_TABLE)
_TERMS = ("l1", "perceptual", "gan", "segment")
_SWITCHES = ("joint", "truth", "images_rate")


@dataclass(frozen=True, slots=True)
class Output:
    """The images of a batch, and the network that they come from."""

    network: JointSeg
    seen: Seen


def discriminators(settings: Settings) -> dict[str, nn.Module]:
    """A U-Net discriminator for each stage, in runs with `gan`; [adversary] `kind` (none, unet), `width`, `bands`."""
    said = {"bands": settings.get("network", {}).get("bands", 3), **settings.get("adversary", {})}
    phases = settings.get("phases")
    _check_terms(settings.get("loss", {}), phases or {})
    kind = said.pop("kind", "unet")
    if kind not in ("none", "unet"):
        raise RecipeError(f"[adversary] kind = {kind!r}; expected none or unet")
    bands, width = int(said.pop("bands", 3)), int(said.pop("width", 64))
    if said:
        raise RecipeError(f"[adversary] {', '.join(said)}: not known; expected kind, width, bands")
    unused = phases is not None and not any(phase.get("gan") for phase in phases.values())
    return {} if kind == "none" or unused else {n: UnetDiscriminator(bands, width) for n in ("quarter", "fine")}


def _check_terms(loss: Settings, phases: Settings) -> None:
    """Raise RecipeError for a key of [loss] or of a phase that nothing reads, and for a phase that trains nothing."""
    if unknown := sorted(set(loss) - set(_LOSS)):
        raise RecipeError(f"[loss] {unknown}: no such terms; known are {', '.join(_LOSS)}")
    for name, phase in phases.items():
        if unknown := sorted(set(phase) - {"steps", *_TERMS, *_SWITCHES}):
            raise RecipeError(f"[phases.{name}] {unknown}: not known; known are {', '.join((*_TERMS, *_SWITCHES))}")
        if not any(phase.get(term) for term in _TERMS):
            raise RecipeError(f"[phases.{name}] trains nothing; expected one of {', '.join(_TERMS)} above 0")


def forward(network: nn.Module, batch: SampleBatch, settings: Settings) -> Output:
    """The images, with a graph only where this phase trains them; the true ones where the phase has `truth`."""
    joint = _network(network)
    if _of(batch, "truth"):
        return Output(joint, Seen(None, batch.fine, None))
    trained = any(_of(batch, name) for name in ("l1", "perceptual", "gan", "joint"))
    with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
        return Output(joint, joint.picture(batch.coarse))


def discriminator_losses(found: Discriminators, batch: SampleBatch, output: Output, settings: Settings) -> Losses:
    """Half the cross entropies of true and generated images, cell by cell, in phases with `gan`."""
    if not _of(batch, "gan"):
        return {}
    return {
        name: (_cross(found[name](truth), 1.0) + _cross(found[name](image.detach()), 0.0)) / 2
        for name, (image, truth) in _pairs(batch, output).items()
        if name in found
    }


def network_losses(found: Discriminators, batch: SampleBatch, output: Output, settings: Settings) -> Losses:
    """The network's loss; weights are the phase's, and what is 0 is not computed.

    l1          mean absolute difference of reflectance, of both stages
    perceptual  distance in features of EfficientNet-Lite0, or of the network's own segmenter
    gan         cross entropy of the discriminators' verdict on both stages
    segment     the segmenter's own loss, with [loss] `dice`; under `joint` it reaches the images' network
    """
    pairs, parts = _pairs(batch, output), dict[str, Tensor]()
    if _of(batch, "l1"):
        parts["l1"] = torch.stack([functional.l1_loss(*pair) for pair in pairs.values()]).sum()
    if _of(batch, "perceptual"):
        parts["perceptual"] = _perceptual(batch, output, settings)
    if _of(batch, "gan") and found:
        verdicts = [_cross(found[name](pairs[name][0]), 1.0) for name in pairs if name in found]
        parts["gan"] = torch.stack(verdicts).mean()
    if _of(batch, "segment"):
        seen = output.seen if _of(batch, "joint") else _detached(output.seen)
        parts["segment"] = output.network.loss(
            batch.coarse, seen, batch.label, float(settings["loss"].get("dice", 0.0))
        )
    if not parts:
        raise RecipeError(f"a phase of {dict(batch.phase)} trains nothing; expected l1, perceptual, gan or segment")
    return {"total": torch.stack([_of(batch, name) * value for name, value in parts.items()]).sum(), **parts}


def predict(network: nn.Module, batch: SampleBatch, settings: Settings) -> dict[str, Tensor]:
    """`image` (n, band, 10y, 10x) at 1 m, and `logits` (n, 2, 10y, 10x) of other and impervious."""
    joint = _network(network)
    seen = joint.picture(batch.coarse)
    return {"image": seen.fine, "logits": joint.read(batch.coarse, seen)}


def rate_factors(batch: SampleBatch) -> dict[str, float]:
    """The images' network is trained at `images_rate` of the rate, so that finished images stay as they are."""
    return {"images": float(batch.phase.get("images_rate", 1.0))}


def frozen(settings: Settings) -> dict[str, nn.Module]:
    """EfficientNet-Lite0 with public weights, where a phase has `perceptual` and [loss] `perceptual` is not `own`."""
    wanted = any(phase.get("perceptual") for phase in settings.get("phases", {}).values())
    if not wanted or _is_own(settings):
        return {}
    from terrafine.systems.jointseg.perceptual import LiteFeatures
    from terrafine.systems.jointseg.pretrained import efficientnet_lite0, load_exactly

    features = LiteFeatures()
    load_exactly(features, efficientnet_lite0(), more=True)
    return {"perceptual": features}


def _perceptual(batch: SampleBatch, output: Output, settings: Settings) -> Tensor:
    if _is_own(settings):
        return _own(batch, output)
    features: Any = settings["frozen"]["perceptual"]
    from terrafine.systems.jointseg.perceptual import feature_distance

    picture, truth = ((image[:, :3] / WHITE).clamp(0, 1) for image in (output.seen.fine, batch.fine))
    return feature_distance(features, picture, truth)


def _is_own(settings: Settings) -> bool:
    return bool(settings.get("loss", {}).get("perceptual", "lite") == "own")


def _own(batch: SampleBatch, output: Output) -> Tensor:
    """Distance in the features of the segmenter's levels, all else of its input being the same."""
    network, reader = output.network, output.network.reader
    if not isinstance(reader, UNetSegmenter):
        raise RecipeError("[loss] perceptual = 'own' is that of a U-Net; expected segmenter = 'unet', or 'lite'")
    fixed = replace(output.seen, deep=None if output.seen.deep is None else output.seen.deep.detach())
    training, parts = reader.training, []
    reader.eval()
    wanted = reader.encode(*network.inputs(batch.coarse, replace(fixed, fine=batch.fine)))
    for a, b in zip(reader.encode(*network.inputs(batch.coarse, fixed)), wanted, strict=True):
        parts.append((a - b.detach()).abs().mean() / (b.detach().std() + 1e-6))
    reader.train(training)
    return torch.stack(parts).mean()


def _pairs(batch: SampleBatch, output: Output) -> dict[str, tuple[Tensor, Tensor]]:
    """(generated, true) of each stage; the true 2.5 m image is the area mean of the 1 m one."""
    pairs = {"fine": (output.seen.fine, batch.fine)}
    if output.seen.quarter is not None:
        quarter = functional.interpolate(batch.fine, size=list(output.seen.quarter.shape[-2:]), mode="area")
        pairs["quarter"] = (output.seen.quarter, quarter)
    return pairs


def _detached(seen: Seen) -> Seen:
    def free(image: Tensor | None) -> Tensor | None:
        return None if image is None else image.detach()

    return Seen(free(seen.quarter), seen.fine.detach(), free(seen.deep))


def _cross(logits: Tensor, real: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def _of(batch: SampleBatch, name: str) -> float:
    return float(batch.phase.get(name, 0.0))


def _network(network: nn.Module) -> JointSeg:
    if not isinstance(network, JointSeg):
        raise TypeError(f"expected a JointSeg, found {type(network).__name__}")
    return network
