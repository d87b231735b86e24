"""Surfaces with known properties: heights (y, x) in metres, rows running south."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F64 = NDArray[np.float64]


def terrain(side: int = 128, seed: int = 0, rough: float = 1.6, relief: float = 100.0) -> F64:
    """A fractal surface (power-law spectrum), periodic, (side, side)."""
    rng = np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    f[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal((side, side))) / f**rough
    spectrum[0, 0] = 0
    z = np.fft.ifft2(spectrum).real
    return np.asarray(z / z.std() * relief + 500.0)


def rough(seed: int = 0, side: int = 32, relief: float = 60.0) -> Tensor:
    """A small fractal surface as a tensor: no flats, no symmetry."""
    return torch.from_numpy(terrain(side, seed, 1.6, relief))


def cells(side: int, size: float = 30.0) -> F64:
    """Square cells of `size` metres as `pixel_size_m`, (2, side)."""
    return np.full((2, side), size)


def hills(rows: int = 24, columns: int = 32) -> NDArray[np.float32]:
    """Heights of 300 to 700 m without any symmetry."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return np.asarray(500 + 120 * np.sin(x / 5) * np.cos(y / 4) + 3 * x - 2 * y, np.float32)


def plane(east: float, north: float, side: int = 12, size: tuple[float, float] = (30.0, 30.0)) -> Tensor:
    """Rises `east` metres per metre toward east and `north` toward north; cells of size (y, x)."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return 500.0 + east * size[1] * x.double() - north * size[0] * y.double()


def cone(slope_deg: float, side: int = 81, size: float = 10.0) -> tuple[Tensor, Tensor, Tensor]:
    """A cone of that slope in the middle; heights, and how far each cell is east and north of the top, metres."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    east, north = (x - side // 2).double() * size, (side // 2 - y).double() * size
    return -math.tan(math.radians(slope_deg)) * torch.hypot(east, north), east, north


def block_means(z: F64, k: int) -> F64:
    """The mean of each k×k block of cells, float64."""
    y, x = (n // k for n in z.shape)
    return np.asarray(z.astype(np.float64).reshape(y, k, x, k).mean(axis=(1, 3)))
