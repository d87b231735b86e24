"""What a long run will take, stated before it starts: time, memory and disk."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from terrafine.inference.context import JobContext
from terrafine.inference.shard import open_once
from terrafine.nn.model import Model, Tiles
from terrafine.nn.spec import ModelSpec

__all__ = ["LONG_TILES", "Projection", "duration", "project", "seconds_of_batch"]

LONG_TILES = 256
"""Tiles from which a run is projected: two batches more are less than a hundredth of it for most models."""

_WRITTEN = 20e6  # output cells that are assembled, compressed and verified in a second; assumed, not measured
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Projection:
    """Time, memory and disk of a run.

    Attributes
    ----------
    seconds
        Time of the unfinished shards and of writing, without cells of nodata it may be less; None on a cluster.
    memory_bytes
        Ceiling of the resident memory of a process.
    shard_bytes, output_bytes
        Most that the shards and the published files can take on the disk.
    """

    seconds: float | None
    memory_bytes: int
    shard_bytes: int
    output_bytes: int

    def __str__(self) -> str:
        """One line."""
        took = "" if self.seconds is None else f"about {duration(self.seconds)} if no part is nodata, "
        return (
            f"{took}{self.memory_bytes / _GB:.1f} GB of memory, up to {self.shard_bytes / _GB:.1f} GB of disk for "
            f"shards and {self.output_bytes / _GB:.1f} GB for the output"
        )


def project(context: JobContext, unfinished: int, output_bytes: int, *, here: bool) -> Projection:
    """Project a run; in this process the model is timed on one batch, after another one that warms it up.

    Parameters
    ----------
    context
        The job.
    unfinished
        Number of shards to run.
    output_bytes
        Upper limit of the size of the published files.
    here
        Whether the shards are run in this process.

    Returns
    -------
    Projection
        The projection.
    """
    plan = context.plan
    seconds = None
    if here:
        model, batch = open_once(context.open_model), _batch(context)
        model(batch)
        start = time.perf_counter()
        model(batch)
        of_tile = (time.perf_counter() - start) / plan.batch
        tiles = plan.tile_grid[0] * plan.tile_grid[1] * unfinished / plan.shards
        seconds = tiles * of_tile + plan.output_shape[0] * plan.output_shape[1] * plan.outputs / _WRITTEN
    return Projection(seconds, plan.memory_bytes, plan.shard_bytes, output_bytes)


def seconds_of_batch(model: Model, spec: ModelSpec, side: int, pixel_m: float) -> float:
    """Time a model on one square tile of level ground, after another one that warms it up.

    Parameters
    ----------
    model, spec
        The open model, and its spec.
    side
        Cells along a side of the tile, halo included.
    pixel_m
        Side of a cell in metres.

    Returns
    -------
    float
        Seconds.
    """
    fine = (1, 2, side * spec.scale, side * spec.scale)
    batch = Tiles(
        bands={name: np.zeros((1, side, side), np.float32) for name in spec.inputs},
        valid=np.ones((1, side, side), bool),
        pixel_size_m=np.full((1, 2, side), pixel_m),
        guides={name: np.zeros(fine, np.float32) for name in spec.guides},
    )
    model(batch)
    start = time.perf_counter()
    model(batch)
    return time.perf_counter() - start


def _batch(context: JobContext) -> Tiles:
    """A batch of level ground, or of an image without light."""
    plan, spec = context.plan, context.spec
    n, y, x = plan.batch, plan.tile[0] + 2 * plan.halo, plan.tile[1] + 2 * plan.halo
    fine = (n, 2, y * plan.scale, x * plan.scale)
    return Tiles(
        bands={name: np.zeros((n, y, x), np.float32) for name in spec.inputs},
        valid=np.ones((n, y, x), bool),
        pixel_size_m=np.full((n, 2, y), 30.0),
        guides={name: np.zeros(fine, np.float32) for name in spec.guides if name in context.source.guides},
    )


def duration(seconds: float) -> str:
    """Return a time in words.

    Parameters
    ----------
    seconds
        The time.

    Returns
    -------
    str
        Such as `12 s`, `40 min` or `6.5 h`.
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
