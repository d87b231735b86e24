"""One block of a comparison: a candidate and its reference on the same cells, and what is derived from both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.elevation.lines import LINE_HALO, valleys_and_ridges
from terrafine.evaluation.elevation.terrain import HALO, Method, derive

__all__ = ["BLOCK_HALO", "Block", "Derived"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK_HALO = max(HALO, LINE_HALO)
"""Cells around a block that its measures depend on."""


@dataclass(frozen=True)
class Derived:
    """One block of one surface with its halo, and what is derived from it.

    Attributes
    ----------
    z
        Metres (y, x), NaN where not compared.
    terrain
        Derived surfaces by name.
    valleys, ridges
        Line cells, and the cells where that is known.
    """

    z: F64
    terrain: Mapping[str, F64]
    valleys: tuple[Mask, Mask]
    ridges: tuple[Mask, Mask]

    @classmethod
    def of(cls, z: F64, pixel_size_m: F64, method: Method) -> Derived:
        """Derive terrain and lines from elevations.

        Parameters
        ----------
        z
            Metres (y, x), NaN where not compared.
        pixel_size_m
            Metres along y and x of a cell in each row, (2, y).
        method
            Slope method.

        Returns
        -------
        Derived
            The block with its derived surfaces.
        """
        return cls(z, derive(z, pixel_size_m, method), *valleys_and_ridges(z))


@dataclass(frozen=True)
class Block:
    """Candidate and reference with their halos.

    Attributes
    ----------
    candidate, reference
        The two surfaces.
    classes, sigma
        Class number and standard error of the same cells, if given.
    """

    candidate: Derived
    reference: Derived
    classes: NDArray[np.int64] | None = None
    sigma: F64 | None = None

    @property
    def inner(self) -> tuple[slice, slice]:
        """The block without its halo, as rows and columns."""
        return slice(BLOCK_HALO, -BLOCK_HALO), slice(BLOCK_HALO, -BLOCK_HALO)

    @cached_property
    def compared(self) -> Mask:
        """Cells of the block (y, x) on which the surfaces are compared."""
        return np.isfinite(self.candidate.z[self.inner]) & np.isfinite(self.reference.z[self.inner])

    @cached_property
    def error(self) -> F64:
        """Candidate minus reference (y, x), metres; 0 where not compared."""
        return np.where(self.compared, self.candidate.z[self.inner] - self.reference.z[self.inner], 0.0)

    @cached_property
    def pairs(self) -> tuple[F64, F64]:
        """Elevations (n,) of candidate and reference on the compared cells."""
        return self.of_compared(self.candidate.z), self.of_compared(self.reference.z)

    def of_compared(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the compared cells.

        Parameters
        ----------
        values
            Array of the block's shape with halo.

        Returns
        -------
        ndarray, (n,)
            The values.
        """
        inside: NDArray[Any] = values[self.inner]
        return inside[self.compared]
