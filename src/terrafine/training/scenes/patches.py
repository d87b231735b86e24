"""Patches of scenes and of simulated samples, with light, haze, scale and orientation varied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from terrafine.errors import DataError
from terrafine.nn.dihedral import COUNT, transform
from terrafine.nn.task import SceneBatch
from terrafine.raster.warp.resample import block_mean
from terrafine.training.batches import Domain
from terrafine.training.domain import band_quantiles
from terrafine.training.scenes.data import BANDS, TRAIN, DatedScene
from terrafine.training.scenes.labels import QUARTER, SURE, weighed
from terrafine.training.scenes.recipe import ScenePatches
from terrafine.training.segmentation.data import Sample

__all__ = ["SceneSampler", "disturbed", "surface_reflectance", "whole_scenes"]

F32 = NDArray[np.float32]
_TRIES = 200  # windows drawn before a scene counts as without usable ground
_THINNED = 7  # one in so many cells gives the quantiles of a date
_LEAST_VALID, _LEAST_KNOWN = 0.95, 0.02
_PATH = (0.035, 0.05, 0.085, 0.012)  # reflectance of clear air in red, green, blue and near infrared, level 1C
_AIR = 1.3  # loss of light on both ways through the air for each unit of that
_HAZE = (0.7, 0.85, 1.1, 0.4)  # how much haze adds to red, green, blue and near infrared


@dataclass(frozen=True, slots=True)
class SceneSampler:
    """Sampler of batches; the same seed and step give the same batch.

    Attributes
    ----------
    places
        Dates of scenes; each is drawn as often as any other.
    samples
        Simulated samples, possibly none.
    share
        Share of patches drawn from the samples.
    patches
        Size and augmentation.
    seed
        Seed of everything random.
    factors
        Of each place the factor of each head's class and of other ground, (head, 2); empty for 1.
    """

    places: Sequence[DatedScene]
    samples: Sequence[Sample]
    share: float
    patches: ScenePatches
    seed: int
    factors: Sequence[F32] = ()

    def __call__(self, step: int) -> SceneBatch:
        """The batch of that step."""
        rng = np.random.default_rng([self.seed, step])
        images, flags, labels = zip(*(self._one(rng) for _ in range(self.patches.batch)), strict=True)
        image, infrared, label = torch.stack(images), torch.stack(flags), torch.stack(labels)
        return SceneBatch(disturbed(image, infrared, self.patches, rng), infrared, label[:, :2], label[:, 2:])

    def domain(self) -> Domain:
        """Compute quantiles of reflectance over the training ground of all dates."""
        seen = [place.image[:, (place.purpose == TRAIN) & place.valid][:, ::_THINNED] for place in self.places]
        return band_quantiles(np.concatenate(seen, axis=1), BANDS)

    def _one(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Image (4, y, x), presence of near infrared (1, 1, 1), and shares and certainties (4, 4·y, 4·x)."""
        p = self.patches
        full = p.size + 2 * p.border
        side = 4 * max(4, round(full * float(np.exp(rng.uniform(-p.stretch, p.stretch))) / 4))
        simulated = self.samples and rng.random() < self.share
        image, label, infrared = self._sample(rng, side) if simulated else self._scene(rng, side)
        found = [torch.from_numpy(np.ascontiguousarray(a))[None] for a in (image, label)]
        if image.shape[-1] != full:
            found = [
                functional.interpolate(a, size=(s, s), mode="bilinear", antialias=True)
                for a, s in zip(found, (full, full * QUARTER), strict=True)
            ]
        turn = int(rng.integers(COUNT))
        inner = slice(QUARTER * p.border, QUARTER * (p.border + p.size))
        turned = [transform(a, turn)[0].contiguous() for a in (found[0], found[1][..., inner, inner])]
        present = infrared and rng.random() >= p.no_infrared
        if p.surface and not simulated and rng.random() < p.surface / (1 + p.surface):
            turned[0] = surface_reflectance(turned[0][None])[0]
        return turned[0], torch.full((1, 1, 1), float(present)), turned[1]

    def _scene(self, rng: np.random.Generator, side: int) -> tuple[F32, F32, bool]:
        for _ in range(_TRIES):
            number = int(rng.integers(len(self.places)))
            place = self.places[number]
            height, width = place.valid.shape
            if min(height, width) <= side:
                continue
            y, x = int(rng.integers(height - side)), int(rng.integers(width - side))
            at = np.s_[y : y + side, x : x + side]
            fine = np.s_[:, QUARTER * y : QUARTER * (y + side), QUARTER * x : QUARTER * (x + side)]
            usable = (place.purpose[at] == TRAIN).all() and place.valid[at].mean() >= _LEAST_VALID
            if usable and (place.targets.known[fine] > 0).mean() >= _LEAST_KNOWN:
                share, known = _parts(place.targets.share[fine]), _parts(place.targets.known[fine])
                if len(self.factors):
                    known = weighed(share, known, self.factors[number])
                return place.image[:, at[0], at[1]], np.concatenate((share, known)), True
        raise DataError(
            f"no window of {side} × {side} cells of training ground with labels was found in {_TRIES} draws; expected "
            "a smaller [patches] size, smaller held-out and validation ground, or more labels"
        )

    def _sample(self, rng: np.random.Generator, side: int) -> tuple[F32, F32, bool]:
        sample = self.samples[int(rng.integers(len(self.samples)))]
        height, width = (n // 4 * 4 for n in sample.coarse.shape[-2:])
        side = min(side, height, width)
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        image = sample.coarse[:, y : y + side, x : x + side] * np.float32(sample.unit)
        label = sample.label[10 * y : 10 * (y + side), 10 * x : 10 * (x + side)]
        ones, known = (_tenths((label == 1).astype(np.float32)), _tenths((label != 255).astype(np.float32)))
        share = ones / np.maximum(known, 1e-6)
        none = np.zeros_like(share)
        bands = np.concatenate((image, np.zeros_like(image[:1]))) if len(image) == 3 else image
        return bands, np.stack((share, none, (known > 0.6).astype(np.float32), none)), len(image) > 3


def whole_scenes(
    places: Sequence[DatedScene], factors: Sequence[F32], no_infrared: float, surface: float = 0.0
) -> Iterator[SceneBatch]:
    """Yield every place as one batch, with and without near infrared and the light of the air; training ground counts.

    Parameters
    ----------
    places
        Dates of scenes.
    factors
        Of each place the factor of each head's class and of other ground, (head, 2).
    no_infrared
        Weight of the copy without near infrared beside the scene itself; 0 for no copy.
    surface
        Weight of copies by `surface_reflectance` beside those; 0 for none.

    Yields
    ------
    SceneBatch
        A scene.
    """
    for place, factor in zip(places, factors, strict=True):
        used = np.kron((place.purpose == TRAIN) & place.valid, np.ones((QUARTER, QUARTER), np.bool_))
        share, known = _parts(place.targets.share), _parts(place.targets.known) * used
        label = [torch.from_numpy(a)[None] for a in (share, weighed(share, known, factor))]
        image = torch.from_numpy(np.ascontiguousarray(place.image))[None]
        for present, weight in ((1.0, 1.0), (0.0, no_infrared)):
            for through, part in ((image, 1.0), (surface_reflectance(image), surface)):
                if weight * part:
                    seen = through * torch.tensor([1.0, 1.0, 1.0, present]).view(1, 4, 1, 1)
                    yield SceneBatch(seen, torch.full((1, 1, 1, 1), present), label[0], label[1], weight * part)


def surface_reflectance(image: Tensor) -> Tensor:
    """Remove the light that clear air scatters from reflectance at the top of the atmosphere.

    The same path reflectance everywhere, no model of the atmosphere: it makes level 1C about as level 2A looks, so that
    training sees both.

    Parameters
    ----------
    image
        Reflectance of red, green, blue and near infrared, (n, 4, y, x); 0 where not observed.

    Returns
    -------
    Tensor
        Reflectance, (n, 4, y, x), 0.001 or more; 0 where not observed.
    """
    path = torch.tensor(_PATH).view(1, -1, 1, 1)
    return torch.where(image > 0, ((image - path) / (1 - _AIR * path)).clamp_min(1e-3), torch.zeros(()))


def disturbed(image: Tensor, infrared: Tensor, patches: ScenePatches, rng: np.random.Generator) -> Tensor:
    """Vary light, haze, contrast and noise of a batch, each band by itself and all together.

    Parameters
    ----------
    image
        Reflectance, (n, 4, y, x).
    infrared
        1 where near infrared is present, else 0, (n, 1, 1, 1).
    patches
        How much.
    rng
        Random numbers.

    Returns
    -------
    Tensor
        Reflectance, (n, 4, y, x); near infrared is 0 where it is not present.
    """
    n, bands = image.shape[:2]

    def normal(spread: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(0, 1, shape).astype(np.float32)) * spread

    gain = torch.exp(normal(patches.light, n, 1, 1, 1) + normal(patches.light * 2 / 3, n, bands, 1, 1))
    power = torch.exp(normal(patches.gamma, n, bands, 1, 1))
    veil = torch.from_numpy(rng.uniform(-patches.haze / 2, patches.haze, (n, 1, 1, 1)).astype(np.float32))
    veil = veil * torch.tensor(_HAZE).view(1, bands, 1, 1) + normal(patches.haze / 6, n, bands, 1, 1)
    out = 0.2 * (image.clamp_min(1e-3) / 0.2) ** power * gain + veil
    out = (out + normal(patches.noise, *image.shape)).clamp_min(1e-3)
    out[:, 3:] = out[:, 3:] * infrared
    return out


def _parts(values: NDArray[np.uint8]) -> F32:
    """Bytes as parts of 1."""
    return np.asarray(values / np.float32(SURE), np.float32)


def _tenths(values: F32) -> F32:
    """Means on cells of 2.5 of values on cells of 1; sides are multiples of 10."""
    halves = np.repeat(np.repeat(values, 2, axis=0), 2, axis=1)
    return np.asarray(block_mean(halves, None, 5)[0])
