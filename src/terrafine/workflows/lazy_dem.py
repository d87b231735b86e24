"""Dask-backed DataArrays stay lazy: each chunk of the result is one shard of the plan, run when it is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from terrafine.workflows.dem_request import DemRequest
from terrafine.workflows.options import ReadOptions, TargetGrid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.plan import Plan
    from terrafine.nn.model import Model
    from terrafine.raster.read.lazy import LazyHeights
    from terrafine.systems import ModelRef

__all__ = ["sharpen_lazily"]


def sharpen_lazily(source: Any, reading: ReadOptions, asked: DemRequest, grid: TargetGrid, guided: bool) -> Any:
    """Super-resolve a dask-backed DataArray without computing it.

    The chunks are the shards of the plan that the same heights in memory have, so the numbers are equal to theirs. To
    recognise the product and to measure its noise, up to 30 windows of 64 × 64 cells are computed, unless it is stated
    by a file or a Product.

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
        properties of the file, a target grid, guides, and models whose tiles are blended.

    Raises
    ------
    UsageError, GridError, BandError, NoModelError, WeightsError, ResourceError
        As `sharpen_dem`; heights are checked when they are computed.
    """
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.lazy import LazyHeights, is_lazy

    stated = (reading.vertical_datum, reading.elevation_unit, reading.assume_crs, reading.pixel_size_m)
    if any(v is not None for v in stated) or grid or guided or asked.run.dask is not None or not is_lazy(source):
        return None
    heights = LazyHeights(source, reading.nodata)
    if not heights.plain:
        return None
    asked.refuse_early()
    settled = asked.settled(resolve_product(heights, asked.product), guided=False)
    ref = settled.find(settled.scale_or(4), settled.run.threads)
    plan = settled.plan(heights.shape, ref)
    if plan.overlap or ref.spec.inputs != ("elevation",):
        return None
    data = _blocks(heights, ref, plan)
    return heights.finer(data if settled.uncertainty else data[0], plan.scale)


def _blocks(heights: LazyHeights, ref: ModelRef, plan: Plan) -> Any:
    """The output (band, y, x) as a dask array of one chunk for each shard."""
    import dask.array
    import numpy as np
    from dask.delayed import delayed

    from terrafine.systems import load_model

    array: Any = dask.array
    run: Any = delayed(_run, pure=True)
    rows: list[list[Any]] = []
    for index in range(plan.shards):
        window = tuple(slice(s.start - plan.margin, s.stop + plan.margin) for s in plan.window(index))
        place = max(window[0].start, 0), max(window[1].start, 0)
        made = run(heights.window(*window), heights, place, partial(load_model, ref), ref, plan, index)
        y, x = ((s.stop - s.start) * plan.scale for s in plan.inner(index))
        if index % plan.shards_in_row == 0:
            rows.append([])
        rows[-1].append(array.from_delayed(made, (len(ref.spec.outputs), y, x), np.float32))
    return array.block(rows)


def _run(
    raw: NDArray[Any],
    heights: LazyHeights,
    place: tuple[int, int],
    open_model: Callable[[], Model],
    ref: ModelRef,
    plan: Plan,
    index: int,
) -> NDArray[np.float32]:
    """Run one shard on the window that it reads."""
    import numpy as np

    from terrafine.inference.shard import run_shard_in_memory

    source = heights.block(np.asarray(raw), *place)
    return run_shard_in_memory(plan, ref.spec, source, open_model, index, residual_limit=ref.options.residual_limit_m)
