"""Executors of the shards of a job: in this process (`serial`) or on a Dask cluster (`dask`), with the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

from terrafine.inference.context import JobContext

__all__ = ["ExecutorStats", "shard_pixels"]


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """Statistics of an executor.

    Attributes
    ----------
    shards
        Number of shards run.
    retries
        Number of failed tries that were repeated.
    seconds_model
        Seconds in the model, summed over all workers.
    """

    shards: int
    retries: int
    seconds_model: float


def shard_pixels(context: JobContext, index: int) -> int:
    """Count the output pixels of a shard.

    Parameters
    ----------
    context
        The job.
    index
        Index of the shard.

    Returns
    -------
    int
        Number of pixels.
    """
    shard, plan = context.plan.shard(index), context.plan
    first, last = plan.tile_at(shard.row, shard.first).inner, plan.tile_at(shard.row, shard.last - 1).inner
    rows, cols = first[0].stop - first[0].start, last[1].stop - first[1].start
    return int(rows) * int(cols) * plan.scale**2
