"""Dask-backed DataArrays stay lazy: each chunk of the result is one shard of the plan, run when it is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from terrafine.workflows.dem_request import DemRequest
from terrafine.workflows.inputs.arrays import warn_of
from terrafine.workflows.options import ReadOptions, TargetGrid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.in_memory import Parts
    from terrafine.inference.plan import Plan
    from terrafine.nn.model import Model
    from terrafine.raster.read.lazy import LazyHeights
    from terrafine.systems import ModelRef

__all__ = ["sharpen_lazily"]


def sharpen_lazily(source: Any, reading: ReadOptions, asked: DemRequest, grid: TargetGrid, guided: bool) -> Any:
    """Super-resolve a dask-backed DataArray without computing it.

    The chunks are the shards of the plan that the same heights in memory have, so the numbers are equal to theirs. To
    recognise the product and to measure its noise, up to 30 windows of 64 × 64 cells are computed, unless it is stated
    by a file or a Product. What a report would note of the product is warned of at once, as a UserWarning that names
    the array.

    Parameters
    ----------
    source
        A DataArray, or a Dataset with one.
    reading
        How it is read.
    asked
        The request.
    grid
        The grid to write.
    guided
        Whether guides are given.

    Returns
    -------
    DataArray or None
        None where the run is not lazy: for an array in memory, heights in another unit or with a datum, stated
        properties of the file, a target grid, guides, `report` or `progress`, and models whose tiles are levelled
        among each other.

    Raises
    ------
    UsageError, GridError, BandError, NoModelError, WeightsError, ResourceError
        As `sharpen_dem`; heights are checked when they are computed.
    """
    from terrafine.inference.lazy import lazy_shards
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.lazy import LazyHeights, is_lazy
    from terrafine.systems import load_model

    stated = (reading.vertical_datum, reading.elevation_unit, reading.assume_crs, reading.pixel_size_m)
    if any(v is not None for v in stated) or grid or guided or asked.run.dask is not None or asked.run.followed:
        return None
    if not is_lazy(source):
        return None
    heights = LazyHeights(source, reading.nodata)
    if not heights.plain:
        return None
    asked.refuse_early()
    kind = resolve_product(heights, asked.product)
    settled = asked.settled(kind, guided=False)
    ref = settled.find(settled.scale_or(4), settled.run.threads)
    plan = settled.plan(heights.shape, ref)
    if (plan.overlap and ref.spec.relative) or ref.spec.inputs != ("elevation",):
        return None
    warn_of(heights.name, (*heights.notes, *([kind.note] if kind.note else [])))
    run = partial(_run, heights, partial(load_model, ref), ref, plan)
    count = len(ref.spec.outputs)
    data = lazy_shards(heights.numbers, plan, run, count, _as_it_is, count, "float32")
    return heights.finer(data if settled.uncertainty else data[0], plan.scale)


def _run(
    heights: LazyHeights,
    open_model: Callable[[], Model],
    ref: ModelRef,
    plan: Plan,
    raw: NDArray[Any],
    place: tuple[int, int],
    index: int,
) -> Parts:
    """Run one shard on the window that it reads."""
    from terrafine.inference.in_memory import shard_tiles

    source = heights.block(raw, *place)
    return shard_tiles(plan, ref.spec, source, open_model, index, residual_limit=ref.options.residual_limit_m)


def _as_it_is(block: NDArray[np.float32]) -> NDArray[np.float32]:
    return block
