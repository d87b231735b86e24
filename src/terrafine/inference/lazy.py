"""A plan over a dask array as a dask array: each chunk of the result is one shard, run when it is computed."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.inference.in_memory import Parts, joined_tiles
from terrafine.inference.plan import Plan

__all__ = ["Run", "lazy_shards"]

Run = Callable[[NDArray[Any], tuple[int, int], int], Parts]
"""(numbers of a window, its first row and column, index of the shard) -> the parts of the shard's tiles; picklable."""
_Piece = tuple[tuple[slice, ...], tuple[slice, ...]]  # where a block lies in a window, and which part of the block


def lazy_shards(
    data: Any,
    plan: Plan,
    run: Run,
    count: int,
    finish: Callable[[NDArray[np.float32]], NDArray[Any]],
    bands: int | None,
    dtype: Any,
) -> Any:
    """Return the output of a plan as a dask array; nothing is computed.

    A shard depends on the blocks that its window touches, with the halo and the margin of the plan, and on the shards
    around it where tiles are blended. The graph is made in time that grows with the number of shards and blocks alone.

    Parameters
    ----------
    data
        Dask array (y, x) or (band, y, x), north up.
    plan
        Plan of the run.
    run
        Runs one shard.
    count
        Number of the outputs of the model.
    finish
        Makes the chunk of the result from (output, y, x); picklable.
    bands
        Number of bands of the result; None for (y, x).
    dtype
        Type of the result.

    Returns
    -------
    dask array
        (band, y, x) or (y, x) on the grid of the output.
    """
    import dask.array
    from dask.highlevelgraph import HighLevelGraph

    name, around = (f"terrafine-{what}-{uuid.uuid4().hex}" for what in ("shards", "parts"))
    tasks: dict[Any, Any] = {}
    for index in range(plan.shards):
        keys, reading = _reading(data, plan, index)
        tasks[around, index] = (partial(_part, run, reading, index), keys)
    for index in range(plan.shards):
        near = plan.neighbours(index)
        place = (*(() if bands is None else (0,)), *divmod(index, plan.shards_in_row))
        tasks[(name, *place)] = (partial(_shard, plan, index, near, count, finish), [(around, n) for n in near])
    inner = [plan.inner(index) for index in range(plan.shards)]
    across, down = inner[: plan.shards_in_row], inner[:: plan.shards_in_row]
    chunks: tuple[tuple[int, ...], ...] = (
        *(() if bands is None else ((bands,),)),
        tuple((rows.stop - rows.start) * plan.scale for rows, _ in down),
        tuple((cols.stop - cols.start) * plan.scale for _, cols in across),
    )
    array: Any = dask.array.Array
    return array(HighLevelGraph.from_collections(name, tasks, dependencies=[data]), name, chunks, np.dtype(dtype))


class _Reading:
    """How the blocks around a shard become its window: picklable, without the blocks."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, place: tuple[int, int], pieces: Sequence[_Piece]) -> None:
        self._shape, self._dtype, self._pieces = shape, dtype, tuple(pieces)
        self.place = place

    def window(self, blocks: Sequence[Any]) -> NDArray[Any]:
        """The numbers of the window."""
        out = np.empty(self._shape, self._dtype)
        for block, (there, here) in zip(blocks, self._pieces, strict=True):
            out[there] = np.asarray(block)[here]
        return out


def _reading(data: Any, plan: Plan, index: int) -> tuple[list[Any], _Reading]:
    """Keys of the blocks that a shard reads, and what becomes of them."""
    rows, cols = (
        slice(max(s.start - plan.margin, 0), min(s.stop + plan.margin, n))
        for s, n in zip(plan.window(index), plan.shape, strict=True)
    )
    spans = [*(slice(0, n) for n in data.shape[:-2]), rows, cols]
    keys: list[Any] = []
    pieces: list[_Piece] = []
    for blocks in itertools.product(*(_touched(sizes, span) for sizes, span in zip(data.chunks, spans, strict=True))):
        keys.append((data.name, *(number for number, _, _ in blocks)))
        pieces.append((tuple(there for _, there, _ in blocks), tuple(here for _, _, here in blocks)))
    shape = tuple(s.stop - s.start for s in spans)
    return keys, _Reading(shape, data.dtype, (rows.start, cols.start), pieces)


def _touched(sizes: Sequence[int], span: slice) -> Iterator[tuple[int, slice, slice]]:
    """Number of each block along an axis that a span touches, and the shared part in the span and in the block."""
    ends = np.cumsum(sizes)
    for number in range(int(np.searchsorted(ends, span.start, side="right")), len(sizes)):
        end = int(ends[number])
        start = end - sizes[number]
        if start >= span.stop:
            return
        low, high = max(start, span.start), min(end, span.stop)
        if low < high:
            yield number, slice(low - span.start, high - span.start), slice(low - start, high - start)


def _part(run: Run, reading: _Reading, index: int, blocks: Sequence[Any]) -> Parts:
    return run(reading.window(blocks), reading.place, index)


def _shard(
    plan: Plan,
    index: int,
    near: Sequence[int],
    count: int,
    finish: Callable[[NDArray[np.float32]], NDArray[Any]],
    parts: Sequence[Parts],
) -> NDArray[Any]:
    return finish(joined_tiles(plan, index, near, parts, count))
