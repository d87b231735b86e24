"""Degradation of a fine DEM to a coarse one, by a family of sampling kernels, noise and rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terrafine.errors import RecipeError
from terrafine.physics.sensor_model import gaussian
from terrafine.raster.warp.kernels import cubic
from terrafine.raster.warp.resample import block_mean
from terrafine.schema.types import Interval, Share, Weight, Within
from terrafine.training.dem.operators import on_device

__all__ = ["KERNELS", "Degradation", "Family", "kernel", "sample"]

F64 = NDArray[np.float64]
Kernel = Literal["mean", "bicubic", "gaussian"]
KERNELS = get_args(Kernel)
MARGIN = 2  # coarse cells of margin that a fine patch needs on each side, for the widest kernel


@dataclass(frozen=True, slots=True)
class Degradation:
    """One degradation from fine to coarse heights.

    Attributes
    ----------
    kernel
        `mean` of the block; `bicubic`, antialiased; `gaussian`, a point spread function of `width`.
    width
        Width of the point spread function, coarse cells (1σ).
    noise_m
        Standard deviation of white noise added to each coarse cell, metres.
    rounded
        Whether heights are rounded to whole metres, as most products ship them.
    """

    kernel: str = "mean"
    width: float = 0.5
    noise_m: float = 0.0
    rounded: bool = False

    def __call__(
        self, fine: Tensor, k: int, rng: np.random.Generator, pixel_size_m: tuple[float, float] = (1.0, 1.0)
    ) -> Tensor:
        """Degrade heights on the device that they are on.

        Parameters
        ----------
        fine
            Heights in metres, (k·y, k·x), float64, with a margin of MARGIN·k cells on each side.
        k
            Fine cells along a coarse one.
        rng
            Source of the noise; it is drawn on the CPU, so that every device gets the same.
        pixel_size_m
            Not used: this noise is in metres.

        Returns
        -------
        Tensor
            Heights in metres, (y, x), without the margin.
        """
        taps = kernel(self.kernel, k, self.width)
        coarse = _along(_along(fine, taps, k, 0), taps, k, 1)
        if self.noise_m:
            coarse = coarse + on_device(rng.normal(0.0, self.noise_m, tuple(coarse.shape)), coarse.device)
        return coarse.round() if self.rounded else coarse


@dataclass(frozen=True, slots=True)
class Family:
    """Probability distribution of degradations, as a recipe's `[degrade]` gives it.

    Attributes
    ----------
    kernels
        Weight of each kernel.
    noise, noise_m
        Probability of noise, and its largest standard deviation in metres, drawn uniformly.
    rounded
        Probability that heights are whole metres.
    width
        Range of the point spread function, coarse cells (1σ).

    Raises
    ------
    RecipeError
        For unknown kernels, and weights that are negative or all 0.
    """

    kernels: Mapping[str, Weight]
    noise: Share = 0.0
    noise_m: Annotated[float, Within(0, 1_000)] = 0.0
    rounded: Share = 0.0
    width: Annotated[tuple[float, float], Interval(0.05, 2)] = (0.3, 0.6)

    def __post_init__(self) -> None:
        unknown = set(self.kernels) - set(KERNELS)
        if unknown or not self.kernels or min(self.kernels.values()) < 0 or sum(self.kernels.values()) <= 0:
            raise RecipeError(f"[degrade] kernels = {dict(self.kernels)}: expected positive weights of {KERNELS}")

    @property
    def margin(self) -> int:
        """Coarse cells of margin that a fine patch needs on each side."""
        return MARGIN

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Draw one degradation; the number of random values used is always the same.

        Parameters
        ----------
        rng
            Random number generator.

        Returns
        -------
        Degradation
            The degradation.
        """
        pick, width, noisy, level, whole = rng.random(5)
        names = sorted(self.kernels)
        edges = np.cumsum([self.kernels[n] for n in names])
        name = names[int(np.searchsorted(edges, pick * edges[-1], side="right").clip(0, len(names) - 1))]
        return Degradation(
            kernel=name,
            width=self.width[0] + width * (self.width[1] - self.width[0]),
            noise_m=self.noise_m * level if noisy < self.noise else 0.0,
            rounded=bool(whole < self.rounded),
        )


def kernel(name: str, k: int, width: float = 0.5) -> F64:
    """Compute the weights of the fine cells along 2·MARGIN + 1 coarse cells.

    Parameters
    ----------
    name
        One of KERNELS.
    k
        Fine cells along a coarse one.
    width
        Width of `gaussian`, coarse cells (1σ).

    Returns
    -------
    ndarray
        ((2·MARGIN + 1)·k,), centred on the middle coarse cell; the sum is one.

    Raises
    ------
    RecipeError
        For another kernel.
    """
    reach = (2 * MARGIN + 1) * k
    t = (np.arange(reach) + 0.5) / k - (MARGIN + 0.5)  # distance from the coarse centre, coarse cells
    if name == "mean":
        taps = (np.abs(t) < 0.5).astype(np.float64)
    elif name == "gaussian":
        taps = gaussian(t, width)
    elif name == "bicubic":
        taps = cubic(t)
    else:
        raise RecipeError(f"no degradation kernel is called {name!r}; expected one of {KERNELS}")
    return np.asarray(taps / taps.sum())


def sample(fine: F64, k: int) -> F64:
    """Compute the block mean of heights, without a margin.

    Parameters
    ----------
    fine
        Heights, (k·y, k·x).
    k
        Fine cells along a coarse one.

    Returns
    -------
    ndarray
        Heights, (y, x).
    """
    y, x = fine.shape[0] // k, fine.shape[1] // k
    return block_mean(fine[: y * k, : x * k], None, k)[0].astype(np.float64)


def _along(values: Tensor, taps: F64, k: int, axis: int) -> Tensor:
    n = values.shape[axis] // k - 2 * MARGIN
    total = torch.zeros_like(values[:n] if axis == 0 else values[:, :n])
    for i, tap in enumerate(taps.tolist()):
        if tap:
            part = values[i : i + (n - 1) * k + 1 : k] if axis == 0 else values[:, i : i + (n - 1) * k + 1 : k]
            total = total + tap * part
    return total
