"""Patches: seed and step determine terrain, window, transform, scale and degradation of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terrafine.errors import DataError
from terrafine.nn.dihedral import COUNT, transform
from terrafine.nn.system import TrainingBatch
from terrafine.training.dem.degrade import Degradation, Family, sample
from terrafine.training.dem.hdf5 import Samples
from terrafine.training.dem.misfit import MisfitFamily
from terrafine.training.dem.operators import on_device
from terrafine.training.dem.optical import OpticalFamily
from terrafine.training.dem.pair_patches import is_real, pair_patch, with_errors
from terrafine.training.dem.products import ProductDegradation, ProductFamily
from terrafine.training.dem.radar import RadarFamily
from terrafine.training.dem.real_pair import PairCells
from terrafine.training.dem.resampled import ResampleFamily, Resampling
from terrafine.training.dem.terrain import Terrain

__all__ = ["Batch", "Sampler"]

F32 = NDArray[np.float32]
_Patch = tuple[Tensor, Tensor, F32, dict[str, F32], F32 | None, Tensor | None]
_TRIES = 64
_MAX_FLAT = 0.3  # a patch with more cells at exactly one height (sea, lake) carries no information


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch of patches of coarse and fine heights.

    Attributes
    ----------
    coarse
        Coarse heights in metres, (n, 1, y, x).
    fine
        Fine heights in metres, (n, 1, k·y, k·x).
    pixel_size_m
        Metres along y and x of the coarse cells, (n, 2, y, 1).
    guides
        Band -> (n, 2, k·y, k·x): value, and 1 where observed.
    sensor
        Conditions of each patch's product, (n, 6, 1, 1); None for a family without products.
    known
        1 where a coarse cell was observed and not filled, (n, 1, y, x); None where all were.
    """

    coarse: F32
    fine: F32
    pixel_size_m: F32
    guides: Mapping[str, F32] = field(default_factory=dict)
    sensor: F32 | None = None
    known: F32 | None = None


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampler of training batches from terrains.

    Attributes
    ----------
    terrains
        Terrains that patches are drawn from.
    scale
        Fine cells along a coarse one.
    size, batch
        Coarse cells along a patch, and patches in a batch.
    family
        Distribution of the degradations from fine to coarse heights.
    seed
        Seed of everything random.
    coarsen
        Factors and their probabilities, by which the terrain is averaged first (scale augmentation).
    exaggerate
        Largest logarithm of the factor of the heights, drawn uniformly; 0 keeps them.
    mirror
        Whether patches are reflected and rotated at random.
    radar, optical
        Simulation of backscatter and of an image over the fine heights, or None.
    misfit
        Distribution of the departures from the product that is stated to the network, or None.
    pair
        A real pair whose patches and errors take the place of some simulated ones, or None.
    resample
        Distribution of the resamplings that patches are drawn through, after `coarsen`, or None.
    """

    terrains: Sequence[Terrain]
    scale: int
    size: int
    batch: int
    family: Family | ProductFamily
    seed: int
    coarsen: tuple[tuple[int, float], ...] = ((1, 1.0),)
    exaggerate: float = 0.0
    mirror: bool = True
    radar: RadarFamily | None = None
    optical: OpticalFamily | None = None
    misfit: MisfitFamily | None = None
    pair: PairCells | None = None
    resample: ResampleFamily | None = None

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step; the same seed and step give the same batch, in any order, on any worker.

        Raises
        ------
        DataError
            Where no usable patch is found, or samples have another size or scale.
        """
        made = self.tensors(step, torch.device("cpu"))
        guides = {name: values.numpy() for name, values in made.guides.items()}
        sensor, known = (None if t is None else t.numpy() for t in (made.sensor, made.known))
        return Batch(made.coarse.numpy(), made.fine.numpy(), made.pixel_size_m.numpy(), guides, sensor, known)

    def tensors(self, step: int, device: torch.device) -> TrainingBatch:
        """Return the batch of a step, degraded on a device with float64.

        Every random number is drawn on the CPU, and every sum is in float64, so that devices differ by rounding alone.
        Guides are simulated on the CPU.

        Parameters
        ----------
        step
            Number of steps done.
        device
            Where the patches are degraded, and where they stay.

        Returns
        -------
        TrainingBatch
            The batch, float32.

        Raises
        ------
        DataError
            As in a call.
        """
        rng = np.random.default_rng([self.seed, step])
        drawn = [self._one(rng, device) for _ in range(self.batch)]
        coarse, fine, size, guides, sensors, known = zip(*drawn, strict=True)
        whole = torch.ones_like(coarse[0])
        stated = [s for s in sensors if s is not None]

        def put(values: Sequence[F32]) -> Tensor:
            return torch.from_numpy(np.stack(values)).to(device)

        return TrainingBatch(
            torch.stack(coarse),
            torch.stack(fine),
            put(size),
            self.scale,
            {name: put([g[name] for g in guides]) for name in guides[0]},
            put(stated)[:, :, None, None] if len(stated) == len(sensors) else None,
            None if self.misfit is None else torch.stack([whole if k is None else k for k in known]),
        )

    def _one(self, rng: np.random.Generator, device: torch.device) -> _Patch:
        if self.pair is not None and is_real(self.pair, self.scale, rng):
            stated_cells = 0.0 if self.misfit is None else self.misfit.stated_cells
            return pair_patch(self.pair, self.size, self.exaggerate, stated_cells, rng, device, mirror=self.mirror)
        weights = np.cumsum([t.weight for t in self.terrains])
        for _ in range(_TRIES):
            terrain = self.terrains[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
            factor = self._factor(rng)
            if terrain.samples is not None:
                return self._sample(terrain, terrain.samples, rng, device)
            found = self._window(terrain, factor, rng)
            if found is not None:
                break
        else:
            raise DataError(f"no usable patch in {_TRIES} draws: too much nodata or sea, or patches too large")
        values, pixel = found
        heights = on_device(values, device)
        if self.exaggerate:
            heights = heights * math.exp(rng.uniform(-self.exaggerate, self.exaggerate))
        turn = int(rng.integers(COUNT)) if self.mirror else 0
        product, known = self._product(rng), None
        if isinstance(product, ProductDegradation):
            heights = product.ground(heights)
        coarse = product(heights, self.scale, rng, pixel)
        sensor = None
        if isinstance(product, ProductDegradation):
            coarse, known = product.misfit.voids(coarse, rng)
            sensor = np.asarray(product.conditions(pixel), np.float32)
        coarse = transform(coarse, turn)
        if turn & 1:  # a transpose exchanges rows and columns, and so the pixel sizes
            pixel = pixel[::-1]
        edge = self.family.margin * self.scale
        fine = transform(heights[edge:-edge, edge:-edge], turn)
        size = np.broadcast_to(np.asarray(pixel, np.float32)[:, None, None], (2, coarse.shape[0], 1))
        cell = (pixel[0] / self.scale, pixel[1] / self.scale)
        guides: dict[str, F32] = {}
        for family in (self.radar, self.optical):
            if family is not None:
                guides |= family.simulate(np.ascontiguousarray(fine.cpu().numpy()), cell, rng)
        observed = None if known is None else transform(known, turn)[None].float()
        return coarse[None].float(), fine[None].float(), size.astype(np.float32), guides, sensor, observed

    def _product(self, rng: np.random.Generator) -> Degradation | ProductDegradation:
        """A degradation of the family; a product may depart from what is stated, or have errors of a real sensor."""
        product = self.family.draw(rng)
        if isinstance(product, ProductDegradation):
            if self.misfit is not None:
                product = replace(product, misfit=self.misfit.draw(rng, noisy=product.noise_share > 0))
            if self.pair is not None:
                product = with_errors(product, self.pair, self.size + 2 * self.family.margin, rng)
        return product

    def _sample(self, terrain: Terrain, samples: Samples, rng: np.random.Generator, device: torch.device) -> _Patch:
        """A part of one sample with its own coarse heights and radar, neither transformed nor degraded."""
        k, size, (_, rows, cols) = self.scale, self.size, samples.coarse.shape
        if samples.scale != k or min(rows, cols) < size:
            raise DataError(
                f"{terrain.name}: samples of {rows} × {cols} coarse cells at ×{samples.scale}; this recipe asks for "
                f"patches of {size} at ×{k}: change [patches] size or scale, or leave the file out"
            )
        i = terrain.draw_sample(samples, rng)
        y, x = int(rng.integers(rows - size + 1)), int(rng.integers(cols - size + 1))
        fine = np.s_[..., k * y : k * (y + size), k * x : k * (x + size)]
        guides: dict[str, F32] = {}
        if self.radar is not None:
            guides = {name: values[fine] for name, values in samples.guides(i).items()}
            lost = self.radar.draw_missing(rng)
            gone = (*lost, "look_east", "look_north") if len(lost) > 1 else lost
            guides = {name: 0 * values if name in gone else values for name, values in guides.items()}
        if self.optical is not None:  # the layout has no image
            blank = np.zeros((2, k * size, k * size), np.float32)
            guides |= dict.fromkeys(("optical", "sun_east", "sun_north"), blank)
        pixel = np.full((2, size, 1), k * samples.pixel_size_m, np.float32)
        coarse = samples.coarse[i, y : y + size, x : x + size]
        heights = (
            torch.from_numpy(np.ascontiguousarray(part, np.float32)[None]) for part in (coarse, samples.fine[i][fine])
        )
        z, truth = (part.to(device) for part in heights)
        return z, truth, pixel, guides, None, None

    def _factor(self, rng: np.random.Generator) -> int:
        edges = np.cumsum([p for _, p in self.coarsen])
        i = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
        return self.coarsen[min(i, len(self.coarsen) - 1)][0]

    def _window(
        self, terrain: Terrain, factor: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], tuple[float, float]] | None:
        cells = (self.size + 2 * self.family.margin) * self.scale
        resampling = Resampling() if self.resample is None else self.resample.draw(rng)
        side = factor * max(resampling.side(cells, pixel) for pixel in _extreme_pixels(terrain))
        spot = terrain.draw_window(side, rng)
        if spot is None:
            return None
        y, x = spot
        window = terrain.heights[y : y + side, x : x + side]
        if not terrain.usable(window):
            return None
        values = window.astype(np.float64)
        edge = (side - cells * factor) // 2  # a resampled patch is smaller than its window, and may lie in a flat part
        if _flat(values) or (edge and _flat(values[edge:-edge, edge:-edge])):
            return None
        pixel = terrain.pixel_at(y + side // 2)
        py, px = resampling.pixel_size_m(pixel)
        heights = resampling(sample(values, factor), cells, pixel)
        return heights, (py * self.scale * factor, px * self.scale * factor)


def _flat(values: NDArray[np.float64]) -> bool:
    """Whether too many cells have one height."""
    return bool(np.mean(values == np.median(values)) > _MAX_FLAT)


def _extreme_pixels(terrain: Terrain) -> list[tuple[float, float]]:
    """Pixel sizes of the rows whose cells are narrowest and widest; no other row needs a larger window."""
    ratio = terrain.pixel_size_m[1] / terrain.pixel_size_m[0]
    return [terrain.pixel_at(int(row)) for row in (ratio.argmin(), ratio.argmax())]
