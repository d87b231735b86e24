"""Registration-exact cubic interpolation of heights in torch, relative to each cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from terrafine.nn.precision import fixed_correlation
from terrafine.nn.subcell import (
    F64,
    consistent_cubic,
    cubic_taps,
    forward_differences,
    linear_taps,
    nearest_taps,
    on_differences,
)

__all__ = ["METHODS", "assemble", "interpolation_radius", "relief_of"]


METHODS: dict[str, Callable[[int], F64]] = {
    "nearest": nearest_taps,
    "bilinear": linear_taps,
    "bicubic": cubic_taps,
    "backprojected": consistent_cubic,
}


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # cached for training too, whoever calls first
def _kernel(k: int, method: str) -> Tensor:
    taps = METHODS[method](k)
    return torch.from_numpy(on_differences(taps, taps, taps.shape[1] // 2)).float()


def interpolation_radius(k: int, method: str) -> int:
    """Return how many coarse cells around a cell an interpolation depends on.

    Parameters
    ----------
    k
        Fine cells along a coarse cell.
    method
        One of METHODS.

    Returns
    -------
    int
        Coarse cells.
    """
    return int(METHODS[method](k).shape[1]) // 2 + 1


def relief_of(heights: Tensor, k: int, method: str) -> Tensor:
    """Interpolate heights relative to the height of their cell.

    Beyond the edge the terrain is assumed to continue level.

    Parameters
    ----------
    heights
        Coarse heights in metres, (n, 1, y, x).
    k
        Fine cells along a coarse cell.
    method
        One of METHODS. `backprojected` is the cubic surface whose block means are the heights (the limit of repeated
        back-projection); `bicubic` is plain Keys cubic.

    Returns
    -------
    Tensor
        (n, k², y, x), metres.
    """
    kernel = _kernel(k, method).to(heights.device)
    return fixed_correlation(forward_differences(heights), kernel)


def assemble(heights: Tensor, relief: Tensor, k: int) -> Tensor:
    """Add relief to the heights of the cells and arrange the result as a fine surface.

    Parameters
    ----------
    heights
        Coarse heights in metres, (n, 1, y, x).
    relief
        Subcell minus cell height, (n, k², y, x), metres.
    k
        Fine cells along a coarse cell.

    Returns
    -------
    Tensor
        float32 (n, 1, k·y, k·x), metres.
    """
    return functional.pixel_shuffle(heights.double() + relief.double(), k).float()
