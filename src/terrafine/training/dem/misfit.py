"""How real cells depart from the sensor model that is stated for them: canopy, shifts, uneven noise, voids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terrafine.raster.warp.resample import fill_voids
from terrafine.schema.types import Interval, Share, Within
from terrafine.training.dem.operators import blur, enlarge, move, on_device

__all__ = ["Misfit", "MisfitFamily"]

_TAILS = 4  # degrees of freedom of Student's t: outliers as in radar elevation
_DRIFT = (2.0, 8.0)  # cells over which the level of uneven noise varies
_VOID = (0.8, 4.0)  # cells: size of voids


@dataclass(frozen=True, slots=True)
class Misfit:
    """One departure from the stated sensor model.

    Attributes
    ----------
    canopy_share
        Height of patches of canopy and roofs that the sensor sees and the ground has not, as a share of the cell size.
    canopy_cover, canopy_cells
        Share of the ground under them, and their size in cells.
    shift_cells
        Shift of the sensor's heights along y and x, in cells.
    sampled
        Whether cells hold the height near their centre instead of their mean.
    uneven
        Standard deviation of the logarithm of the noise's level over a patch.
    heavy
        Whether the noise has heavy tails.
    void
        Share of the cells without an observation, which are filled as at inference.
    stated
        Logarithm of the stated noise over the true one, and differences of the stated point spread, correlation and
        growth.
    """

    canopy_share: float = 0.0
    canopy_cover: float = 0.0
    canopy_cells: float = 1.0
    shift_cells: tuple[float, float] = (0.0, 0.0)
    sampled: bool = False
    uneven: float = 0.0
    heavy: bool = False
    void: float = 0.0
    stated: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def seen(self, fine: Tensor, k: int, rng: np.random.Generator, cell_m: float) -> Tensor:
        """Return the surface that the sensor sees.

        Parameters
        ----------
        fine
            Ground in metres, (k·y, k·x), float64.
        k
            Fine cells along a coarse one.
        rng
            Source of the canopy.
        cell_m
            Size of a coarse cell, metres.

        Returns
        -------
        Tensor
            Metres, (k·y, k·x).
        """
        if self.canopy_share:
            y, x = fine.shape[0] // k, fine.shape[1] // k
            patches = enlarge(_field((y, x), self.canopy_cells, rng, fine.device), k)
            rough = (1.0 + 0.3 * _field((k * y, k * x), 0.5 * k, rng, fine.device)).clamp_min(0.2)
            under = patches > torch.quantile(patches.flatten(), 1.0 - self.canopy_cover)
            fine = fine + under * rough * (self.canopy_share * cell_m)
        if any(self.shift_cells):
            fine = move(fine, (k * self.shift_cells[0], k * self.shift_cells[1]))
        return fine

    def white(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw uncorrelated noise, normal or with heavy tails.

        Parameters
        ----------
        shape
            Rows and columns.
        rng
            Source of the noise.

        Returns
        -------
        ndarray
            (y, x).
        """
        return np.asarray(rng.standard_t(_TAILS, shape) if self.heavy else rng.normal(size=shape))

    def level(self, shape: tuple[int, ...], rng: np.random.Generator, device: torch.device) -> Tensor | float:
        """Draw the local level of the noise; its mean square is 1.

        Parameters
        ----------
        shape
            Rows and columns.
        rng
            Source of the level.
        device
            Where it is needed.

        Returns
        -------
        Tensor or float
            (y, x), or 1 where the noise is even.
        """
        if not self.uneven:
            return 1.0
        found = torch.exp(self.uneven * _field(shape, rng.uniform(*_DRIFT), rng, device))
        return found / found.square().mean().sqrt()

    def voids(self, coarse: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor | None]:
        """Punch voids and fill them as inference does, on the host.

        Parameters
        ----------
        coarse
            Metres, (y, x).
        rng
            Source of the voids.

        Returns
        -------
        tuple[Tensor, Tensor | None]
            Heights, and 1 where they are observed; None where they are everywhere.
        """
        if not self.void:
            return coarse, None
        found = _field(tuple(coarse.shape), rng.uniform(*_VOID), rng, coarse.device)
        known = found <= torch.quantile(found.flatten(), 1.0 - self.void)
        filled = fill_voids(coarse.float().cpu().numpy(), known.cpu().numpy())
        return torch.where(known, coarse, on_device(filled, coarse.device)), known.to(coarse.dtype)


@dataclass(frozen=True, slots=True)
class MisfitFamily:
    """Table `[misfit]` of a recipe: how patches with noise depart from the product that is stated to the network.

    Attributes
    ----------
    stated_noise
        Standard deviation of the logarithm of the stated noise over the true one.
    stated_cells
        Standard deviation of the stated point spread and correlation about the true ones, in cells.
    canopy, canopy_share, canopy_cover, canopy_cells
        Probability of canopy; ranges of its height as a share of the cell size, drawn on a logarithmic scale, of the
        share of the ground under it, and of the size of its patches in cells, both on a logarithmic scale.
    shifted, shift_cells
        Probability of a shift, and its largest value in cells; small ones are likelier.
    sampled
        Probability of cells that hold the height near their centre.
    uneven, uneven_spread
        Probability that the level of the noise varies, and the largest standard deviation of its logarithm.
    heavy
        Probability of heavy tails.
    voids, void_share
        Probability of voids, and the largest share of the cells in them. They occur in block means too.
    """

    stated_noise: Annotated[float, Within(0, 3)] = 0.5
    stated_cells: Annotated[float, Within(0, 2)] = 0.15
    canopy: Share = 0.3
    canopy_share: Annotated[tuple[float, float], Interval(1e-4, 1)] = (0.01, 0.3)
    canopy_cover: Annotated[tuple[float, float], Interval(0.001, 0.999)] = (0.02, 0.5)
    canopy_cells: Annotated[tuple[float, float], Interval(0.1, 30)] = (0.4, 5.0)
    shifted: Share = 0.2
    shift_cells: Annotated[float, Within(0, 1)] = 0.5
    sampled: Share = 0.15
    uneven: Share = 0.5
    uneven_spread: Annotated[float, Within(0, 2)] = 0.7
    heavy: Share = 0.3
    voids: Share = 0.1
    void_share: Annotated[float, Within(0, 0.5)] = 0.15

    def draw(self, rng: np.random.Generator, *, noisy: bool) -> Misfit:
        """Draw one departure; the number of random values it takes is always the same.

        Parameters
        ----------
        rng
            Source of the draw.
        noisy
            Whether the product has noise; others get voids alone.

        Returns
        -------
        Misfit
            One departure.
        """
        canopy, height, cover, size, moved, sampled, uneven, spread, heavy, voids, void = rng.random(11)
        way = rng.triangular(-1.0, 0.0, 1.0, 2)
        off = rng.normal(size=4)
        lost = void * self.void_share if voids < self.voids else 0.0
        if not noisy:
            return Misfit(void=lost)
        has_canopy, is_moved = canopy < self.canopy, moved < self.shifted
        return Misfit(
            canopy_share=_between(self.canopy_share, height) if has_canopy else 0.0,
            canopy_cover=_between(self.canopy_cover, cover),
            canopy_cells=_between(self.canopy_cells, size),
            shift_cells=(self.shift_cells * float(way[0]), self.shift_cells * float(way[1]))
            if is_moved
            else (0.0, 0.0),
            sampled=bool(sampled < self.sampled),
            uneven=self.uneven_spread * spread if uneven < self.uneven else 0.0,
            heavy=bool(heavy < self.heavy),
            void=lost,
            stated=(
                self.stated_noise * float(off[0]),
                self.stated_cells * float(off[1]),
                self.stated_cells * float(off[2]),
                self.stated_noise * float(off[3]),
            ),
        )


def _field(shape: tuple[int, ...], length: float, rng: np.random.Generator, device: torch.device) -> Tensor:
    """White noise smoothed over a length in cells, with mean 0 and variance 1."""
    found = blur(on_device(rng.normal(size=shape), device), length, wrap=True)
    return (found - found.mean()) / (found.std(correction=0) + 1e-12)


def _between(bounds: tuple[float, float], share: float) -> float:
    """Between bounds on a logarithmic scale."""
    return float(bounds[0] * (bounds[1] / bounds[0]) ** share)
