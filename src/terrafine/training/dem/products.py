"""Coarse cells as products have them: point spread, noise that is correlated and grows with slope, and rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from terrafine.errors import RecipeError
from terrafine.nn.system import GROWTH_SLOPE, REFERENCE_SLOPE
from terrafine.schema.types import Interval, Items, Matches, Share, Weight
from terrafine.training.dem.misfit import Misfit
from terrafine.training.dem.operators import block_means, blur, on_device
from terrafine.training.dem.real_error import RealError

__all__ = ["ProductDegradation", "ProductFamily"]

_Step = Annotated[str, Matches(r"\d{1,3}(\.\d{1,3})?", "a step in metres")]
_LAKE = (0.1, 1.2)  # share of a patch below the level of a lake; from 1 on, nothing but water
_WIDEST = 1.2  # largest stated point spread in cells
_MARGIN = 6  # coarse cells of margin: three deviations of the widest point spread and of the widest correlation


@dataclass(frozen=True, slots=True)
class ProductDegradation:
    """One product: from fine heights to its coarse cells.

    Attributes
    ----------
    psf_cells
        Gaussian blur beyond the mean over the cell, standard deviation in cells.
    noise_share
        Standard deviation of the noise on a slope of 15 %, as a share of the cell size.
    correlation_cells
        Gaussian smoothing of that noise, standard deviation in cells.
    noise_growth
        How much the noise grows from level ground to a slope of 30 %, as a share of that on level ground.
    rounding_m
        Step of the stored heights, metres; 0 for none.
    exact
        Exact block means: nothing else applies.
    lake
        Share of the fine heights that lie below the level of a lake; 0 for none.
    edited
        Whether cells wholly in the lake have its level, as edited water bodies do, and not the noise of the product.
    misfit
        How the cells depart from all this, which is not stated to the network.
    error
        Errors of real cells in place of the noise, or None.
    """

    psf_cells: float = 0.0
    noise_share: float = 0.0
    correlation_cells: float = 0.0
    noise_growth: float = 0.0
    rounding_m: float = 0.0
    exact: bool = True
    lake: float = 0.0
    edited: bool = False
    misfit: Misfit = field(default_factory=Misfit)
    error: RealError | None = None

    def ground(self, fine: Tensor) -> Tensor:
        """Flood the ground up to the level of the lake.

        Parameters
        ----------
        fine
            Heights in metres, (y, x).

        Returns
        -------
        Tensor
            Heights in metres, (y, x).
        """
        return fine.clamp_min(torch.quantile(fine.flatten(), self.lake)) if self.lake else fine

    def __call__(self, fine: Tensor, k: int, rng: np.random.Generator, pixel_size_m: tuple[float, float]) -> Tensor:
        """Degrade heights on the device that they are on.

        Parameters
        ----------
        fine
            (k·y, k·x) metres, float64, with a margin of 6·k cells on each side.
        k
            Fine cells along a coarse one.
        rng
            Source of the noise; it is drawn on the CPU, so that every device gets the same.
        pixel_size_m
            Metres along y and x of a coarse cell.

        Returns
        -------
        Tensor
            (y, x) metres, without the margin.
        """
        level = fine.min() if self.lake and self.edited else None
        water = fine == level if level is not None else None
        fine = self.misfit.seen(fine, k, rng, math.sqrt(math.prod(pixel_size_m)))
        if self.psf_cells:
            fine = blur(fine, self.psf_cells * k)
        if self.misfit.sampled:
            y, x = fine.shape[0] // k, fine.shape[1] // k
            inner = slice((k - 1) // 2, k // 2 + 1)
            coarse = fine[: y * k, : x * k].reshape(y, k, x, k)[:, inner, :, inner].mean(dim=(1, 3))
        else:
            coarse = block_means(fine, k)
        if self.error is not None:
            coarse = coarse + self._real(coarse, self.error, pixel_size_m)
        elif self.noise_share:
            coarse = coarse + self._noise(coarse, rng, pixel_size_m)
        if water is not None and level is not None:
            coarse = torch.where(block_means(water.to(coarse.dtype), k) == 1, level, coarse)
        if self.rounding_m:
            coarse = torch.round(coarse / self.rounding_m) * self.rounding_m
        return coarse[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]

    def _noise(self, coarse: Tensor, rng: np.random.Generator, pixel_size_m: tuple[float, float]) -> Tensor:
        shape, device = tuple(coarse.shape), coarse.device
        noise = blur(on_device(self.misfit.white(shape, rng), device), self.correlation_cells, wrap=True, truncate=4.0)
        noise = noise / noise.std(correction=0) * self.misfit.level(shape, rng, device)
        dy, dx = torch.gradient(coarse, spacing=pixel_size_m)
        relative = (1 + self.noise_growth * torch.hypot(dy, dx) / GROWTH_SLOPE) / (
            1 + self.noise_growth * REFERENCE_SLOPE / GROWTH_SLOPE
        )
        return self.noise_share * math.sqrt(math.prod(pixel_size_m)) * relative * noise

    def _real(self, coarse: Tensor, error: RealError, pixel_size_m: tuple[float, float]) -> Tensor:
        dy, dx = torch.gradient(coarse, spacing=pixel_size_m)
        relative = error.relative(torch.hypot(dy, dx).cpu().numpy())
        return on_device(error.share * relative * math.sqrt(math.prod(pixel_size_m)), coarse.device)

    def conditions(self, pixel_size_m: tuple[float, float]) -> list[float]:
        """Return the conditions for the network, in the order of `terrafine.systems.ridgeline2.network.CONDITIONS`.

        Parameters
        ----------
        pixel_size_m
            Metres along y and x of a coarse cell.

        Returns
        -------
        list[float]
            Six numbers.
        """
        noisy = self.noise_share > 0
        noise, blur, correlation, growth = self.misfit.stated
        return [
            min(max(self.psf_cells + blur, 0.0), _WIDEST),
            self.noise_share * math.exp(noise),
            min(max(self.correlation_cells + correlation, 0.0), _MARGIN / 3) if noisy else 0.0,
            self.noise_growth * math.exp(growth) if noisy else 0.0,
            self.rounding_m / math.sqrt(math.prod(pixel_size_m)),
            float(self.exact),
        ]


@dataclass(frozen=True, slots=True)
class ProductFamily:
    """Ranges from which every patch draws its product, as a recipe states them.

    Attributes
    ----------
    exact
        Probability of exact block means.
    psf_cells, sharp
        Range of the point spread, drawn uniformly, and the probability that there is none.
    noise_share, clean
        Range of the noise as a share of the cell size, drawn on a logarithmic scale, and the probability of none.
    correlation_cells, noise_growth
        Ranges, drawn uniformly.
    rounding_m
        Step of the stored heights in metres, as text -> weight.
    lakes, edited
        Probability that the lowest heights of a patch are a lake of one level, and that its cells have exactly that
        level in a product with noise.

    Raises
    ------
    RecipeError
        For weights of the steps that are all 0.
    """

    exact: Share = 0.35
    psf_cells: Annotated[tuple[float, float], Interval(0, _MARGIN / 3)] = (0.2, 0.95)
    sharp: Share = 0.2
    noise_share: Annotated[tuple[float, float], Interval(1e-6, 1)] = (0.002, 0.2)
    clean: Share = 0.15
    correlation_cells: Annotated[tuple[float, float], Interval(0, _MARGIN / 3)] = (0.0, 1.5)
    noise_growth: Annotated[tuple[float, float], Interval(0, 10)] = (0.0, 2.0)
    rounding_m: Annotated[Mapping[_Step, Weight], Items(1, 16)] = field(
        default_factory=lambda: {"0": 0.25, "1": 0.5, "0.25": 0.25}
    )

    lakes: Share = 0.0
    edited: Share = 0.8

    def __post_init__(self) -> None:
        if not sum(self.rounding_m.values()) > 0:
            raise RecipeError(f"[products] rounding_m = {dict(self.rounding_m)}: expected a weight above 0")

    @property
    def margin(self) -> int:
        """Coarse cells of margin that a fine patch needs on each side."""
        return _MARGIN

    def draw(self, rng: np.random.Generator) -> ProductDegradation:
        """Draw one product; the number of random values it takes is always the same.

        Parameters
        ----------
        rng
            Source of the draw.

        Returns
        -------
        ProductDegradation
            One product.
        """
        exact, sharp, psf, clean, noise, correlation, growth, step, flooded, share, edited = rng.random(11)
        lake = min(1.0, _LAKE[0] + share * (_LAKE[1] - _LAKE[0])) if flooded < self.lakes else 0.0
        if exact < self.exact:
            return ProductDegradation(lake=lake)
        low, high = self.noise_share
        steps = list(self.rounding_m)
        edges = np.cumsum([self.rounding_m[s] for s in steps])
        i = int(np.searchsorted(edges, step * edges[-1], side="right").clip(0, len(steps) - 1))
        return ProductDegradation(
            psf_cells=0.0 if sharp < self.sharp else _between(self.psf_cells, psf),
            noise_share=0.0 if clean < self.clean else low * (high / low) ** noise,
            correlation_cells=_between(self.correlation_cells, correlation),
            noise_growth=_between(self.noise_growth, growth),
            rounding_m=float(steps[i]),
            exact=False,
            lake=lake,
            edited=bool(edited < self.edited),
        )


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])
