"""Where the shards of a job run: in this process (`serial`) or on a Dask cluster (`dask`). The bytes are the same."""

from __future__ import annotations

from dataclasses import dataclass

from terrafine.inference.shard import JobContext

__all__ = ["ExecutorStats", "shard_pixels"]


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """What an executor did: shards run, failed tries that were repeated, and seconds in the model over all workers."""

    shards: int
    retries: int
    seconds_model: float


def shard_pixels(context: JobContext, index: int) -> int:
    """Output pixels of one shard."""
    shard, plan = context.plan.shard(index), context.plan
    first, last = plan.tile_at(shard.row, shard.first).inner, plan.tile_at(shard.row, shard.last - 1).inner
    rows, cols = first[0].stop - first[0].start, last[1].stop - first[1].start
    return int(rows) * int(cols) * plan.scale**2
