"""Losses: distance in height and slope, and the adversarial losses of pix2pix and DRPAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.nn.attention import Attention
from terrafine.nn.task import Discriminators, ImageBatch, Losses, Settings
from terrafine.schema.types import Weight, Within
from terrafine.systems.sat2dem.discriminators import PatchGan
from terrafine.systems.sat2dem.drpan import compose, propose, roi_align
from terrafine.systems.sat2dem.net import stretch
from terrafine.systems.sat2dem.normalise import from_units, to_units

__all__ = [
    "ADVERSARY_TABLE",
    "GAMES",
    "LOSS_TABLE",
    "discriminator_losses",
    "discriminators",
    "forward",
    "generator_losses",
    "gradient_penalty",
    "predict",
    "surface_terms",
]

Game = Literal["none", "pix2pix", "drpan"]
GAMES = get_args(Game)
_DISTANCES = ("l1", "gradient", "rms", "band", "sigma")
_VERDICTS = ("gan", "reviser", "region")
ADVERSARY_TABLE: Mapping[str, Any] = {
    "kind": Game,
    "inputs": Literal[4],
    "width": Annotated[int, Within(1, 512)],
    "layers": Annotated[int, Within(1, 6)],
    "attend": Attention,
}
"""What `[adversary]` may hold."""
LOSS_TABLE: Mapping[str, Any] = dict.fromkeys((*_DISTANCES, *_VERDICTS, "penalty"), Weight)
"""What `[loss]` may hold."""
_TINY = 1e-3  # units below which an RMS has no slope worth following


def discriminators(settings: Settings) -> dict[str, nn.Module]:
    """[adversary] kind none, pix2pix or drpan; inputs, width, layers, attend. The reviser has no attention.

    Raises RecipeError for another kind, and for a [loss] that has unknown terms or none.
    """
    said: dict[str, Any] = {"width": 64, "layers": 3, "inputs": 4, "attend": "none", **settings.get("adversary", {})}
    kind, attend = said.pop("kind", "none"), said.pop("attend")
    if kind not in GAMES:
        raise RecipeError(f"[adversary] kind = {kind!r}: expected one of {', '.join(GAMES)}")
    _check_loss(settings, kind)
    if kind == "none":
        return {}
    found: dict[str, nn.Module] = {"patch": PatchGan(attend=attend, **said)}
    if kind == "drpan":
        found["reviser"] = PatchGan(**said)
    for network in found.values():
        network.apply(_start)
    return found


def _check_loss(settings: Settings, kind: str) -> None:
    """Raise RecipeError for a key of [loss] that no term has, and where no term is left."""
    weights = settings.get("loss", {})
    known = (*_DISTANCES, *_VERDICTS, "penalty")
    if unknown := sorted(set(weights) - set(known)):
        raise RecipeError(f"[loss] {unknown}: no such terms; known are {', '.join(known)}")
    if "loss" in settings and kind == "none" and not any(_weight(settings, name, 0.0) for name in _DISTANCES):
        raise RecipeError(f"[loss] trains nothing; expected a weight above 0 for one of {', '.join(_DISTANCES)}")


def forward(generator: nn.Module, batch: ImageBatch, settings: Settings) -> Tensor:
    """The generator's output, in its units; (n, 1 or 2, y, x): heights and optionally log σ."""
    output: Tensor = generator(batch.image)
    return output


def predict(generator: nn.Module, batch: ImageBatch, settings: Settings) -> dict[str, Tensor]:
    """`elevation` (n, 1, y, x) in metres, and `elevation_sigma` where the generator has it."""
    output, kind = forward(generator, batch, settings), _kind(settings)
    found = {"elevation": from_units(output[:, :1], kind)}
    if output.shape[1] > 1:
        one, zero = (from_units(fill(1, 1, 1, 1), kind) for fill in (torch.ones, torch.zeros))
        found["elevation_sigma"] = output[:, 1:2].exp() * float(one - zero)
    return found


def discriminator_losses(found: Discriminators, batch: ImageBatch, output: Tensor, settings: Settings) -> Losses:
    """Half the cross entropies of real and generated pairs; the reviser sees generated cells in the region alone."""
    if not found:
        return {}
    real, fake = _pairs(batch, output.detach(), settings)
    looked = found["patch"](fake)
    losses = {"patch": (_cross(found["patch"](real), 1.0) + _cross(looked, 0.0)) / 2}
    if "reviser" in found:
        mixed = compose(fake, real, *_region(looked, found, batch))
        reviser, weight = found["reviser"], _weight(settings, "penalty", 10.0)
        loss = (_cross(reviser(real), 1.0) + _cross(reviser(mixed), 0.0)) / 2
        losses["reviser"] = loss + weight * gradient_penalty(reviser, real, mixed)
    return losses


def generator_losses(found: Discriminators, batch: ImageBatch, output: Tensor, settings: Settings) -> Losses:
    """The generator's loss: distances, and the discriminators' verdicts on it.

    [loss] l1, gradient, rms, band, sigma weigh the distances of `surface_terms`; gan, reviser and region weigh the
    adversarial losses.
    """
    kind = _kind(settings)
    parts = surface_terms(output, to_units(batch.target, batch.valid, kind), batch.valid, level=kind != "relief")
    weighed = [parts[name] * _weight(settings, name, 0.0) for name in parts]
    if found:
        real, fake = _pairs(batch, output, settings)
        looked = found["patch"](fake)
        verdicts = {"gan": _cross(looked, 1.0)}
        if "reviser" in found:
            corner, region = _region(looked, found, batch)
            verdicts["reviser"] = _cross(found["reviser"](compose(fake, real, corner, region)), 1.0)
            there, truth = (roi_align(surface[:, -1:], corner, region) for surface in (fake, real))
            verdicts["region"] = functional.l1_loss(there, truth)
        weighed += [verdicts[n] * _weight(settings, n, 10.0 if n == "region" else 1.0) for n in verdicts]
        parts |= verdicts
    return {"total": torch.stack(weighed).sum(), **parts}


def surface_terms(output: Tensor, truth: Tensor, valid: Tensor, *, level: bool, block: int = 30) -> dict[str, Tensor]:
    """Distances between two surfaces (n, 1, y, x) where valid, in their units.

    l1        mean absolute difference
    gradient  mean absolute difference of forward differences, along y plus along x
    rms       root mean square over each tile, then their mean
    band      rms of what is left when each block×block has lost its mean: the relief that a coarse DEM does not have
    sigma     negative log likelihood of a Laplace distribution, where there is a second channel, its log scale; its
              gradient reaches that channel alone
    Without `level` the tile's mean difference is first taken out: the surfaces are compared as relief.
    """
    error = (output[:, :1] - truth) * valid
    count = valid.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    if not level:
        error = (error - error.sum(dim=(2, 3), keepdim=True) / count) * valid
    share = valid.mean().clamp_min(_TINY)
    down, across = valid[..., 1:, :] * valid[..., :-1, :], valid[..., 1:] * valid[..., :-1]
    dy, dx = (error[..., 1:, :] - error[..., :-1, :]) * down, (error[..., 1:] - error[..., :-1]) * across
    terms = {
        "l1": error.abs().mean() / share,
        "gradient": dy.abs().mean() / share + dx.abs().mean() / share,
        "rms": _rms(error, valid),
    }
    if min(error.shape[-2:]) >= block:
        y, x = (n // block * block for n in error.shape[-2:])
        inner, known = error[..., :y, :x], valid[..., :y, :x]
        mean = functional.avg_pool2d(inner, block) / functional.avg_pool2d(known, block).clamp_min(_TINY)
        terms["band"] = _rms((inner - functional.interpolate(mean, scale_factor=block)) * known, known)
    if output.shape[1] > 1:
        log_sigma = output[:, 1:2]
        terms["sigma"] = ((log_sigma + error.detach().abs() * torch.exp(-log_sigma)) * valid).mean() / share
    return terms


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean (‖∇ critic‖ - 1)² at random points between real and fake; Gulrajani et al. 2017, arXiv 1704.00028."""
    mix = torch.rand(real.shape[0], 1, 1, 1, device=real.device)
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def _pairs(batch: ImageBatch, output: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """Image with the true surface, image with the generated one, which both hold where the truth is not known."""
    truth = to_units(batch.target, batch.valid, _kind(settings))
    fake, network = output[:, :1], settings.get("network", {})
    real = batch.valid * truth + (1 - batch.valid) * fake.detach()
    image = stretch(batch.image, network.get("sees", "linear"), network.get("white", 0.3))
    return torch.cat((image, real), dim=1), torch.cat((image, fake), dim=1)


def _region(looked: Tensor, found: Discriminators, batch: ImageBatch) -> tuple[Tensor, int]:
    """Corners and side of the proposed regions; the side is what one logit sees, at most half the tile."""
    side = batch.image.shape[-1]
    field = getattr(found["patch"], "field", side)
    region = min(int(field), side // 2)
    return propose(looked, side, region), region


def _cross(logits: Tensor, real: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def _rms(error: Tensor, valid: Tensor) -> Tensor:
    square = error.square().sum(dim=(1, 2, 3)) / valid.sum(dim=(1, 2, 3)).clamp_min(1)
    return (square + _TINY**2).sqrt().mean()


def _kind(settings: Settings) -> str:
    return str(settings["network"].get("normalisation", "shift"))


def _weight(settings: Settings, name: str, default: float) -> float:
    return float(settings.get("loss", {}).get(name, default))


def _start(module: nn.Module) -> None:
    """N(0, 0.02), as published."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
