"""Patches of terrain drawn through one resampling: larger cells, any direction, unequal axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, correlate

from terrafine.raster.warp.kernels import cubic
from terrafine.schema.types import Interval, Share, Within

__all__ = ["ResampleFamily", "Resampling"]

F64 = NDArray[np.float64]
_EDGE = 12  # cells around a patch, at which the prefilter of the spline has forgotten the border (0.27**12)
_POINTS = 16  # points along each axis of the blur


@dataclass(frozen=True, slots=True)
class Resampling:
    """One resampling of terrain to a patch.

    Attributes
    ----------
    factor
        Cells of the terrain along a cell of the patch, along the patch's y and x; at least 1.
    angle
        From the terrain's y axis to that of the patch, positive towards the terrain's x axis, radians.
    """

    factor: tuple[float, float] = (1.0, 1.0)
    angle: float = 0.0

    def pixel_size_m(self, terrain_m: tuple[float, float]) -> tuple[float, float]:
        """Return the cell size of the patch: the factors times the terrain's cell along the patch's axes.

        Parameters
        ----------
        terrain_m
            Metres along y and x of a cell of the terrain.

        Returns
        -------
        tuple[float, float]
            Metres along y and x of a cell of the patch.
        """
        (y, x), c, s = terrain_m, math.cos(self.angle), math.sin(self.angle)
        return self.factor[0] * math.hypot(y * c, x * s), self.factor[1] * math.hypot(y * s, x * c)

    def side(self, cells: int, terrain_m: tuple[float, float]) -> int:
        """Return the side of the window of terrain that a patch needs.

        Parameters
        ----------
        cells
            Cells along the patch.
        terrain_m
            Metres along y and x of a cell of the terrain.

        Returns
        -------
        int
            Cells of the terrain; `cells` plus an even number, so that both centres agree.
        """
        a = self._matrix(terrain_m)
        if np.array_equal(a, np.eye(2)):
            return cells
        reach = float(np.abs(a).sum(axis=1).max()) * (cells - 1) / 2 + len(_blur(a, self.factor)) // 2 + _EDGE
        return cells + 2 * max(0, math.ceil(reach - (cells - 1) / 2))

    def __call__(self, window: F64, cells: int, terrain_m: tuple[float, float]) -> F64:
        """Resample a window: blurred to the size of the patch's cells, then interpolated by cubic splines.

        A cell of the terrain is the mean over itself, and a cell of the patch the mean over a cell that is larger by
        the factors. The blur is a box along the axes of the patch whose variance is the difference of the two; there
        is none along an axis of factor 1.

        Parameters
        ----------
        window
            Heights of the terrain, `side` cells along y and x, none void.
        cells
            Cells along the patch.
        terrain_m
            Metres along y and x of a cell of the terrain.

        Returns
        -------
        ndarray
            Heights of the patch around the window's centre, (y, x).
        """
        a = self._matrix(terrain_m)
        if np.array_equal(a, np.eye(2)):
            return window
        centre = (np.asarray(window.shape) - 1) / 2
        offset = centre - a @ np.full(2, (cells - 1) / 2)
        low = float(window.mean())  # heights far from 0 lose no digits in the filters
        blurred = correlate(window - low, _blur(a, self.factor), mode="nearest")
        return np.asarray(affine_transform(blurred, a, offset, (cells, cells), order=3, mode="mirror") + low)

    def _matrix(self, terrain_m: tuple[float, float]) -> F64:
        """Cells of the terrain along y and x (rows) for one cell of the patch along y and x (columns)."""
        (y, x), c, s = self.pixel_size_m(terrain_m), math.cos(self.angle), math.sin(self.angle)
        return np.asarray(np.array([[c * y, -s * x], [s * y, c * x]]) / np.asarray(terrain_m)[:, None])


@dataclass(frozen=True, slots=True)
class ResampleFamily:
    """Probability distribution of resamplings, as a recipe's `[resample]` gives it.

    Cells are never made smaller, so no detail is invented. Samples of HDF5 files and patches of `[pair]` have their own
    coarse heights and are not resampled.

    Attributes
    ----------
    rescaled, rescale
        Probability of larger cells, and the range of their factor, drawn uniformly in its logarithm.
    rotated
        Probability of a rotation by any angle, drawn uniformly.
    stretched, stretch
        Probability that one axis, drawn at random, has larger cells than the other, and the largest ratio, drawn
        uniformly in its logarithm.
    """

    rescaled: Share = 0.0
    rescale: Annotated[tuple[float, float], Interval(1, 4)] = (1.0, 1.6)
    rotated: Share = 0.0
    stretched: Share = 0.0
    stretch: Annotated[float, Within(1, 2)] = 1.3

    def draw(self, rng: np.random.Generator) -> Resampling:
        """Draw one resampling; the number of random values used is always the same.

        Parameters
        ----------
        rng
            Random number generator.

        Returns
        -------
        Resampling
            The resampling.
        """
        larger, factor, turned, angle, unequal, ratio, axis = rng.random(7)
        low, high = self.rescale
        f = low * (high / low) ** factor if larger < self.rescaled else 1.0
        r = self.stretch**ratio if unequal < self.stretched else 1.0
        along = (f * r, f) if axis < 0.5 else (f, f * r)
        return Resampling(along, 2 * math.pi * angle if turned < self.rotated else 0.0)


def _blur(matrix: F64, factor: tuple[float, float]) -> F64:
    """Weights of the cells around one: a box along the patch's axes, with what its cell's variance has above 1."""
    spread = matrix * np.sqrt((1 - np.asarray(factor, np.float64) ** -2) / 12)
    t = np.arange(_POINTS) - (_POINTS - 1) / 2
    t /= t.std()
    y, x = spread @ np.stack(np.meshgrid(t, t, indexing="ij")).reshape(2, -1)
    reach = math.ceil(float(max(np.abs(y).max(), np.abs(x).max()))) + 2 if spread.any() else 0
    at = np.arange(-reach, reach + 1, dtype=np.float64)[:, None]
    weights = cubic(at - y) @ cubic(at - x).T
    return np.asarray(weights / weights.sum())
