"""Context of a job and the values that its shards pass from step to step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrafine.inference.plan import Plan, Tile
from terrafine.inference.window import Window
from terrafine.nn.model import Model, Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.raster.protocol import RasterSource

__all__ = ["Batch", "Commit", "JobContext", "Outputs", "TileOutput"]

Outputs = dict[str, NDArray[np.float32]]
"""Band -> float32 (tile, y, x) on the fine grid."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """Description of a job that any worker needs to run a shard; picklable and small.

    Attributes
    ----------
    plan
        Plan of the run.
    spec
        Spec of the model.
    source
        The coarse raster.
    open_model
        Zero-argument callable, picklable; the opened model is kept for the life of the process.
    outputs
        Bands to keep, in the order of the file; all are among the spec's outputs.
    folder
        The job folder, on a file system that every worker shares.
    key
        Digest of the job, so that a shard of another job is never used.
    residual_limit
        Largest residual that may be committed, in the input's unit; None for any.
    """

    plan: Plan
    spec: ModelSpec
    source: RasterSource
    open_model: Callable[[], Model]
    outputs: tuple[str, ...]
    folder: Path
    key: str
    residual_limit: float | None = None

    def path(self, index: int) -> Path:
        """Return the path of a finished shard.

        Parameters
        ----------
        index
            Index of the shard.

        Returns
        -------
        Path
            Path in the job folder.
        """
        return self.folder / f"shard-{index:07d}.bin"


@dataclass(frozen=True, slots=True)
class Batch:
    """Tiles that the model processes together.

    Attributes
    ----------
    tiles
        The tiles.
    window
        Window of their shard.
    inputs
        Input of the model; None where all tiles are nodata.
    """

    tiles: list[Tile]
    window: Window
    inputs: Tiles | None


@dataclass(frozen=True, slots=True)
class TileOutput:
    """Published cells of one tile.

    Attributes
    ----------
    tile
        The tile.
    values
        float32 (band, y, x), NaN where nodata; None where every cell is nodata.
    residual_m, residual_mean
        Largest and mean residual, in the input's unit.
    """

    tile: Tile
    values: NDArray[np.float32] | None
    residual_m: float
    residual_mean: float = 0.0


@dataclass(frozen=True, slots=True)
class Commit:
    """Result of a committed shard.

    Attributes
    ----------
    index
        Index of the shard.
    bytes
        Size on disk.
    seconds_model
        Seconds in the model.
    """

    index: int
    bytes: int
    seconds_model: float
