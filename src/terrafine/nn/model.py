"""Protocol of a model as the engine runs it: numpy arrays in physical units in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from terrafine.nn.spec import ModelSpec

__all__ = ["RESIDUAL", "Model", "Tiles"]

RESIDUAL = "residual"
"""Name of an optional output, float32 (tile, y, x) on the input's grid: largest difference of all bands, in their unit,
between the input and the output passed through the sensor model."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Batch of equally large tiles of one grid, halo included, nodata filled.

    Attributes
    ----------
    bands
        Name -> float32 (tile, y, x), finite everywhere, in the band's unit.
    valid
        Bool (tile, y, x), False where the value was filled, not observed.
    pixel_size_m
        float64 (tile, 2, y): metres along y and x of one cell, for each row.
    guides
        Name -> float32 (tile, 2, k·y, k·x) on the fine grid: value, and 1 where observed; elsewhere both are 0.
    """

    bands: Mapping[str, NDArray[np.float32]]
    valid: NDArray[np.bool_]
    pixel_size_m: NDArray[np.float64]
    guides: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of tiles, rows and columns."""
        n, y, x = self.valid.shape
        return n, y, x


@runtime_checkable
class Model(Protocol):
    """Protocol of a model that turns tiles into finer tiles, such as interpolation, a network or an ONNX file.

    Attributes
    ----------
    spec
        Declaration of the model for the engine.
    """

    @property
    def spec(self) -> ModelSpec:
        """Declaration of the model for the engine."""
        ...

    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """Compute every band of `spec.outputs`, without cropping the halo.

        Values under a cell that was not valid are finite but meaningless; the engine masks them. A model that keeps its
        output consistent with the input by other means than block means reports the difference under RESIDUAL.

        Parameters
        ----------
        tiles
            Tiles with the bands of `spec.inputs`.

        Returns
        -------
        dict[str, ndarray]
            Band -> float32 (tile, y * scale, x * scale); optionally RESIDUAL.
        """
        ...
