"""Losses of Sat2DEM: distances in height and slope, and the adversarial losses of pix2pix and DRPAN."""

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
    "ADVERSARIES",
    "ADVERSARY_TABLE",
    "LOSS_TABLE",
    "discriminator_losses",
    "discriminators",
    "forward",
    "generator_losses",
    "gradient_penalty",
    "predict",
    "surface_terms",
]

Adversary = Literal["none", "pix2pix", "drpan"]
ADVERSARIES = get_args(Adversary)
_DISTANCES = ("l1", "gradient", "rms", "band", "sigma")
_ADVERSARIAL = ("gan", "reviser", "region")
ADVERSARY_TABLE: Mapping[str, Any] = {
    "kind": Adversary,
    "inputs": Literal[4],
    "width": Annotated[int, Within(1, 512)],
    "layers": Annotated[int, Within(1, 6)],
    "attend": Attention,
}
"""Keys of `[adversary]` and the types of their values."""
LOSS_TABLE: Mapping[str, Any] = dict.fromkeys((*_DISTANCES, *_ADVERSARIAL, "penalty"), Weight)
"""Keys of `[loss]` and the types of their values."""
_TINY = 1e-3  # units below which the gradient of an RMS is not useful


def discriminators(settings: Settings) -> dict[str, nn.Module]:
    """Build the discriminators that `[adversary]` describes.

    Raises RecipeError for another kind, and for a [loss] that has unknown terms or none.

    Parameters
    ----------
    settings
        Settings of the recipe; `[adversary]` has `kind` (none, pix2pix, drpan), `inputs`, `width`, `layers` and
        `attend`.

    Returns
    -------
    dict[str, nn.Module]
        `patch`, and with DRPAN `reviser`, which has no attention; empty for `none`.

    Raises
    ------
    RecipeError
        For another kind, and for a `[loss]` that has unknown terms or none.

    References
    ----------
    pix2pix: Isola et al. 2017, https://arxiv.org/abs/1611.07004. DRPAN: Wang et al. 2018,
    https://arxiv.org/abs/1711.07554.
    """
    options: dict[str, Any] = {"width": 64, "layers": 3, "inputs": 4, "attend": "none", **settings.get("adversary", {})}
    kind, attend = options.pop("kind", "none"), options.pop("attend")
    if kind not in ADVERSARIES:
        raise RecipeError(f"[adversary] kind = {kind!r}: expected one of {', '.join(ADVERSARIES)}")
    _check_loss(settings, kind)
    if kind == "none":
        return {}
    networks: dict[str, nn.Module] = {"patch": PatchGan(attend=attend, **options)}
    if kind == "drpan":
        networks["reviser"] = PatchGan(**options)
    for network in networks.values():
        network.apply(_start)
    return networks


def _check_loss(settings: Settings, kind: str) -> None:
    """Raise RecipeError for an unknown key of [loss], and where no term has a weight above 0."""
    weights = settings.get("loss", {})
    known = (*_DISTANCES, *_ADVERSARIAL, "penalty")
    if unknown := sorted(set(weights) - set(known)):
        raise RecipeError(f"[loss] {unknown}: no such terms; known are {', '.join(known)}")
    if "loss" in settings and kind == "none" and not any(_weight(settings, name, 0.0) for name in _DISTANCES):
        raise RecipeError(f"[loss] trains nothing; expected a weight above 0 for one of {', '.join(_DISTANCES)}")


def forward(generator: nn.Module, batch: ImageBatch, settings: Settings) -> Tensor:
    """Compute the generator's output in its units.

    Parameters
    ----------
    generator
        A UNet.
    batch
        Batch of images.
    settings
        Settings of the recipe.

    Returns
    -------
    Tensor
        Heights and optionally log σ, (n, 1 or 2, y, x).
    """
    output: Tensor = generator(batch.image)
    return output


def predict(generator: nn.Module, batch: ImageBatch, settings: Settings) -> dict[str, Tensor]:
    """Estimate the heights of a batch in metres.

    Parameters
    ----------
    generator
        A UNet.
    batch
        Batch of images.
    settings
        Settings of the recipe.

    Returns
    -------
    dict[str, Tensor]
        `elevation` (n, 1, y, x), and `elevation_sigma` where the generator has it.
    """
    output, kind = forward(generator, batch, settings), _kind(settings)
    heights = {"elevation": from_units(output[:, :1], kind)}
    if output.shape[1] > 1:
        one, zero = (from_units(fill(1, 1, 1, 1), kind) for fill in (torch.ones, torch.zeros))
        heights["elevation_sigma"] = output[:, 1:2].exp() * float(one - zero)
    return heights


def discriminator_losses(networks: Discriminators, batch: ImageBatch, output: Tensor, settings: Settings) -> Losses:
    """Compute half the sum of the cross entropies of real and generated pairs.

    The reviser gets real surfaces whose proposed region is generated, and a gradient penalty.

    Parameters
    ----------
    networks
        Discriminators by name.
    batch
        Batch of images.
    output
        Output of the generator.
    settings
        Settings of the recipe.

    Returns
    -------
    Losses
        Loss of each discriminator.
    """
    if not networks:
        return {}
    real, fake = _pairs(batch, output.detach(), settings)
    logits = networks["patch"](fake)
    losses = {"patch": (_cross(networks["patch"](real), 1.0) + _cross(logits, 0.0)) / 2}
    if "reviser" in networks:
        mixed = compose(fake, real, *_region(logits, networks, batch))
        reviser, weight = networks["reviser"], _weight(settings, "penalty", 10.0)
        loss = (_cross(reviser(real), 1.0) + _cross(reviser(mixed), 0.0)) / 2
        losses["reviser"] = loss + weight * gradient_penalty(reviser, real, mixed)
    return losses


def generator_losses(networks: Discriminators, batch: ImageBatch, output: Tensor, settings: Settings) -> Losses:
    """Compute the generator's loss: distances between the surfaces, and adversarial losses.

    [loss] l1, gradient, rms, band, sigma weigh the distances of `surface_terms`; gan, reviser and region weigh the
    adversarial losses.

    Parameters
    ----------
    networks
        Discriminators by name.
    batch
        Batch of images.
    output
        Output of the generator.
    settings
        Settings of the recipe. In `[loss]`, l1, gradient, rms, band and sigma weight the distances of `surface_terms`;
        gan, reviser and region weight the adversarial losses.

    Returns
    -------
    Losses
        `total` and its parts by name.
    """
    kind = _kind(settings)
    parts = surface_terms(output, to_units(batch.target, batch.valid, kind), batch.valid, level=kind != "relief")
    weighted = [parts[name] * _weight(settings, name, 0.0) for name in parts]
    if networks:
        real, fake = _pairs(batch, output, settings)
        logits = networks["patch"](fake)
        adversarial = {"gan": _cross(logits, 1.0)}
        if "reviser" in networks:
            corner, region = _region(logits, networks, batch)
            adversarial["reviser"] = _cross(networks["reviser"](compose(fake, real, corner, region)), 1.0)
            there, truth = (roi_align(surface[:, -1:], corner, region) for surface in (fake, real))
            adversarial["region"] = functional.l1_loss(there, truth)
        weighted += [adversarial[n] * _weight(settings, n, 10.0 if n == "region" else 1.0) for n in adversarial]
        parts |= adversarial
    return {"total": torch.stack(weighted).sum(), **parts}


def surface_terms(output: Tensor, truth: Tensor, valid: Tensor, *, level: bool, block: int = 30) -> dict[str, Tensor]:
    """Compute the distances between two surfaces over the valid cells.

    The terms are:

    - `l1`: mean absolute difference.
    - `gradient`: mean absolute difference of forward differences, along y plus along x.
    - `rms`: root mean square over each tile, then the mean.
    - `band`: the same after subtracting the mean of each block: relief that a coarse DEM does not contain.
    - `sigma`: negative log likelihood of a Laplace distribution, if the output has a second channel, its log scale.
      The gradient of this term reaches only that channel.

    Parameters
    ----------
    output
        Predicted surface and optionally the log scale, (n, 1 or 2, y, x).
    truth
        True surface, (n, 1, y, x).
    valid
        1 where the truth is known, else 0, (n, 1, y, x).
    level
        Whether the level counts. If not, the tile's mean difference is subtracted first, and the surfaces are compared
        as relief.
    block
        Side of a block of `band`, in cells.

    Returns
    -------
    dict[str, Tensor]
        Scalars by name, in the units of the surfaces.
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
    """Compute the mean of (‖∇ critic‖ - 1)² at random points between real and generated samples.

    Parameters
    ----------
    critic
        Discriminator.
    real, fake
        Samples, (n, c, y, x).

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028.
    """
    mix = torch.rand(real.shape[0], 1, 1, 1, device=real.device)
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def _pairs(batch: ImageBatch, output: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """Image with the true surface, and image with the generated one; both are generated where the truth is unknown."""
    truth = to_units(batch.target, batch.valid, _kind(settings))
    fake, network = output[:, :1], settings.get("network", {})
    real = batch.valid * truth + (1 - batch.valid) * fake.detach()
    image = stretch(batch.image, network.get("sees", "linear"), network.get("white", 0.3))
    return torch.cat((image, real), dim=1), torch.cat((image, fake), dim=1)


def _region(logits: Tensor, networks: Discriminators, batch: ImageBatch) -> tuple[Tensor, int]:
    """Corners and side of the proposed regions; the side is the receptive field of a logit, at most half the tile."""
    side = batch.image.shape[-1]
    patch = networks["patch"]
    region = min(patch.receptive_field if isinstance(patch, PatchGan) else side, side // 2)
    return propose(logits, side, region), region


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
