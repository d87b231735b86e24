"""Surfaces with known slopes, for the tests of physics: heights (y, x) float64 in metres, rows running south."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def plane(east: float, north: float, side: int = 12, size: tuple[float, float] = (30.0, 30.0)) -> Tensor:
    """Rises `east` metres per metre toward east and `north` toward north; cells of size (y, x)."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return 500.0 + east * size[1] * x.double() - north * size[0] * y.double()


def rough(seed: int = 0, side: int = 32, relief: float = 60.0) -> Tensor:
    """A smooth random surface: no flats, no symmetry."""
    rng = np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    f[0, 0] = 1.0
    z = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / f**1.6).real
    return torch.from_numpy(z / z.std() * relief + 500.0)


def cone(slope_deg: float, side: int = 81, size: float = 10.0) -> tuple[Tensor, Tensor, Tensor]:
    """A cone of that slope in the middle; heights, and how far each cell is east and north of the top, metres."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    east, north = (x - side // 2).double() * size, (side // 2 - y).double() * size
    return -math.tan(math.radians(slope_deg)) * torch.hypot(east, north), east, north
