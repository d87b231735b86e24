"""Shards in memory, one at a time: the parts of a shard's tiles, and the shard's own cells from the parts around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrafine.inference.assemble import blend_weights
from terrafine.inference.context import JobContext
from terrafine.inference.plan import Plan
from terrafine.inference.shard import open_once, run_tiles
from terrafine.nn.model import Model
from terrafine.nn.spec import ModelSpec
from terrafine.raster.protocol import RasterSource

__all__ = ["Parts", "joined_tiles", "shard_tiles"]

Parts = list[NDArray[np.float32] | None]
"""The published part of each tile of a shard, (band, y, x), NaN where nodata; None where every cell is nodata."""


def shard_tiles(
    plan: Plan,
    spec: ModelSpec,
    source: RasterSource,
    open_model: Callable[[], Model],
    index: int,
    *,
    residual_limit: float | None = None,
) -> Parts:
    """Run one shard of a plan in memory; the model is opened once in a process.

    Parameters
    ----------
    plan
        Plan of the run.
    spec
        Spec of the model.
    source
        The coarse raster; the window of the shard is read of it, with the margin.
    open_model
        Opens the model.
    index
        Index of the shard.
    residual_limit
        Largest difference between block means of the output and the input, in the input's unit; None for any.

    Returns
    -------
    Parts
        Every output of the spec for each tile.
    """
    context = JobContext(plan, spec, source, open_model, spec.outputs, Path(), "", residual_limit)
    return [tile.values for tile in run_tiles(context, open_once(open_model), index)]


def joined_tiles(
    plan: Plan, index: int, shards: Sequence[int], parts: Sequence[Parts], count: int
) -> NDArray[np.float32]:
    """Join the parts around a shard to its own cells, blended where they overlap, as `assemble_rows` does.

    Parameters
    ----------
    plan
        Plan of the run.
    index
        Index of the shard.
    shards
        Indices of `Plan.neighbours`.
    parts
        The parts of each of them.
    count
        Number of bands.

    Returns
    -------
    ndarray of float32, (band, y, x)
        The cells that are in no other shard, NaN where nodata.
    """
    k, own = plan.scale, plan.inner(index)
    empty = np.zeros if plan.overlap else np.empty
    out = empty((count, *((s.stop - s.start) * k for s in own)), np.float32)
    for shard, values in zip(shards, parts, strict=True):
        for tile, part in zip(plan.tiles(shard), values, strict=True):
            rows, cols = (
                slice(max(p.start, o.start), min(p.stop, o.stop)) for p, o in zip(tile.part, own, strict=True)
            )
            if rows.start >= rows.stop or cols.start >= cols.stop:
                continue
            target = out[(slice(None), *_finer((rows, cols), own, k))]
            inside = _finer((rows, cols), tile.part, k)
            if part is None:
                target[...] = np.nan
            elif not plan.overlap:
                target[...] = part[(slice(None), *inside)]
            else:
                target += part[(slice(None), *inside)] * blend_weights(plan, tile, rows)[:, inside[1]]
    return out


def _finer(span: tuple[slice, slice], within: tuple[slice, slice], k: int) -> tuple[slice, slice]:
    """Coarse rows and columns as fine ones of a window."""
    rows, cols = (slice((s.start - w.start) * k, (s.stop - w.start) * k) for s, w in zip(span, within, strict=True))
    return rows, cols
