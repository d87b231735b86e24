"""Coarse cells as products have them: point spread, noise that is correlated and grows with slope, and rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from terrafine.errors import RecipeError
from terrafine.nn.system import GROWTH_SLOPE, REFERENCE_SLOPE
from terrafine.raster.warp.resample import block_mean
from terrafine.schema.types import Interval, Items, Matches, Share, Weight

__all__ = ["ProductDegradation", "ProductFamily"]

F64 = NDArray[np.float64]
_Step = Annotated[str, Matches(r"\d{1,3}(\.\d{1,3})?", "a step in metres")]
_LAKE = (0.1, 1.2)  # share of a patch below the level of a lake; from 1 on, nothing but water
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
    """

    psf_cells: float = 0.0
    noise_share: float = 0.0
    correlation_cells: float = 0.0
    noise_growth: float = 0.0
    rounding_m: float = 0.0
    exact: bool = True
    lake: float = 0.0
    edited: bool = False

    def ground(self, fine: F64) -> F64:
        """Flood the ground up to the level of the lake.

        Parameters
        ----------
        fine
            Heights in metres, (y, x).

        Returns
        -------
        ndarray
            Heights in metres, (y, x).
        """
        return np.maximum(fine, np.quantile(fine, self.lake)) if self.lake else fine

    def __call__(self, fine: F64, k: int, rng: np.random.Generator, pixel_size_m: tuple[float, float]) -> F64:
        """Degrade heights.

        Parameters
        ----------
        fine
            (k·y, k·x) metres, with a margin of 6·k cells on each side.
        k
            Fine cells along a coarse one.
        rng
            Source of the noise.
        pixel_size_m
            Metres along y and x of a coarse cell.

        Returns
        -------
        ndarray
            (y, x) metres, without the margin.
        """
        level = fine.min() if self.lake and self.edited else None
        water = fine == level
        if self.psf_cells:
            fine = gaussian_filter(fine, self.psf_cells * k, mode="nearest", truncate=3.0)
        y, x = fine.shape[0] // k, fine.shape[1] // k
        coarse = block_mean(fine, None, k)[0].astype(np.float64).reshape(y, x)
        if self.noise_share:
            coarse = coarse + self._noise(coarse, rng, pixel_size_m)
        if level is not None:
            coarse = np.where(water[: y * k, : x * k].reshape(y, k, x, k).all(axis=(1, 3)), level, coarse)
        if self.rounding_m:
            coarse = np.round(coarse / self.rounding_m) * self.rounding_m
        return np.asarray(coarse[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])

    def _noise(self, coarse: F64, rng: np.random.Generator, pixel_size_m: tuple[float, float]) -> F64:
        noise = gaussian_filter(rng.normal(size=coarse.shape), self.correlation_cells, mode="wrap")
        noise = noise / noise.std()
        dy, dx = np.gradient(coarse, *pixel_size_m)
        relative = (1 + self.noise_growth * np.hypot(dy, dx) / GROWTH_SLOPE) / (
            1 + self.noise_growth * REFERENCE_SLOPE / GROWTH_SLOPE
        )
        return np.asarray(self.noise_share * math.sqrt(math.prod(pixel_size_m)) * relative * noise)

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
        return [
            self.psf_cells,
            self.noise_share,
            self.correlation_cells if noisy else 0.0,
            self.noise_growth if noisy else 0.0,
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
