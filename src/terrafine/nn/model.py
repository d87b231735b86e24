"""A network as the engine sees it: dict of numpy arrays in, dict of numpy arrays out, in physical units."""

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
"""What a model may give besides its outputs: float32 (tile, y, x) on the input's grid, how far its output, seen again
as the input was seen, is from the input; the largest of all bands, in their unit."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Batch of equally large tiles of one grid, halo included, nodata filled.

    Attributes
    ----------
    bands
        Name -> float32 (tile, y, x), finite everywhere, in the band's unit.
    valid
        bool (tile, y, x), False where the value was filled, not observed.
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
        """(tile, y, x)."""
        n, y, x = self.valid.shape
        return n, y, x


@runtime_checkable
class Model(Protocol):
    """Protocol of anything that turns tiles into finer tiles: bicubic interpolation, a network, an ONNX file.

    Attributes
    ----------
    spec
        What the engine must know.
    """

    @property
    def spec(self) -> ModelSpec:
        """What the engine must know."""
        ...

    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """Compute every band of `spec.outputs`, without cropping the halo.

        Values under a cell that was not valid are finite but meaningless; the engine masks them. A model that holds its
        output to the input by other means than block means reports how closely under RESIDUAL.

        Parameters
        ----------
        tiles
            With the bands of `spec.inputs`.

        Returns
        -------
        dict[str, ndarray]
            Band -> float32 (tile, y * scale, x * scale).
        """
        ...
