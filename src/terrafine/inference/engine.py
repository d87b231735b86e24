"""Any model over a raster of any size: plan, claim or resume the job, run its shards, publish, remove the job."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrafine.inference.assemble import Residuals, assemble_rows, place, residuals
from terrafine.inference.executors import Ran, run_dask, run_serial
from terrafine.inference.job import Job, job_folder
from terrafine.inference.plan import Plan
from terrafine.inference.progress import Progress, Silent
from terrafine.inference.shard import Work, batches, parts, read_shard, run_batch
from terrafine.nn.model import Model
from terrafine.nn.spec import ModelSpec
from terrafine.raster.protocol import RasterSource
from terrafine.raster.write.cog_writer import check_free_space

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Publish", "RunReport", "run_in_memory", "run_job"]

# Called with the row blocks of the output from the top, how far each tile is from the observation, and the job folder,
# where it may keep a file called `scratch-*`; must publish the output whole or raise.
Publish = Callable[[Iterator[NDArray[np.float32]], Residuals, Path], None]

_OUTPUT_SHARE = 1.4  # output file with overviews, if nothing can be compressed, per byte of pixels


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run cost and how it went.

    plan               what was run
    shards_run         shards of this run
    shards_resumed     shards taken over from an earlier run
    retries            tries repeated on Dask
    seconds_total      from the claim to the published file
    seconds_model      inside the model, summed over all workers
    seconds_publish    from the last shard to the published file
    peak_memory_bytes  largest resident size of this process so far
    residual_m         largest |block mean of the output − input|, before any warp; for images in reflectance
    warped_to          shape of the output where it was then warped to another grid
    notes              what the user should know of the input
    findings           what the output comes to
    """

    plan: Plan
    shards_run: int
    shards_resumed: int
    retries: int
    seconds_total: float
    seconds_model: float
    seconds_publish: float
    peak_memory_bytes: int
    residual_m: float
    warped_to: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def run_job(
    destination: Path,
    plan: Plan,
    spec: ModelSpec,
    source: RasterSource,
    open_model: Callable[[], Model],
    publish: Publish,
    *,
    outputs: tuple[str, ...],
    request: Mapping[str, Any],
    restart: bool = False,
    dask: str | Client | None = None,
    progress: Progress | None = None,
    output_bytes: int | None = None,
) -> RunReport:
    """Run every shard that is not finished, publish the output, remove the job folder.

    request       plain JSON: everything that determines the output's bytes; a later run goes on only if it is equal
    output_bytes  what the published files take on the disk, at most; by default that of the outputs as float32

    Raises JobError (another run's folder, or in use), DiskError before the first shard when the disk cannot hold shards
    and output, and whatever the source, the model or `publish` raise; finished shards are kept for the next run.
    """
    start = time.perf_counter()
    progress = Silent() if progress is None else progress
    needed = plan.shard_bytes + (_output_bytes(plan) if output_bytes is None else output_bytes)
    if not job_folder(destination).exists():
        check_free_space(destination, needed)
    with Job.claim(destination, request, plan, restart=restart) as job:
        done = job.finished()
        check_free_space(destination, needed - plan.shard_bytes * len(done) // plan.shards)
        work = Work(plan, spec, source, open_model, outputs, job.folder.absolute(), job.key)
        ran = _run(work, done, dask, progress)
        publishing = time.perf_counter()
        residual = residuals(work)
        _published(work, residual, publish, progress)
        job.remove()
    end = time.perf_counter()
    return RunReport(
        plan,
        ran.shards,
        len(done),
        ran.retries,
        end - start,
        ran.seconds_model,
        end - publishing,
        _peak_memory(),
        residual.largest,
    )


def run_in_memory(
    plan: Plan, spec: ModelSpec, source: RasterSource, model: Model, *, outputs: tuple[str, ...]
) -> tuple[NDArray[np.float32], float]:
    """The same tiles, without job or files: float32 (band, y, x), NaN where void, and the residual in metres."""
    work = Work(plan, spec, source, lambda: model, outputs, Path(), "")
    out = np.zeros((len(outputs), *plan.output_shape), np.float32)
    worst = 0.0
    for index in range(plan.shards):
        for batch in batches(work, index, read_shard(work, index)):
            for part in parts(work, batch, run_batch(work, model, batch)):
                place(out, plan, part)
                worst = max(worst, part.residual_m)
    return out, worst


def _run(work: Work, done: set[int], dask: str | Client | None, progress: Progress) -> Ran:
    total = work.plan.output_shape[0] * work.plan.output_shape[1]
    todo = (i for i in range(work.plan.shards) if i not in done)
    progress.start(work.spec.name, total, total * len(done) // work.plan.shards)
    try:
        return run_serial(work, todo, progress) if dask is None else run_dask(work, todo, dask, progress)
    finally:
        progress.stop()


def _published(work: Work, residual: Residuals, publish: Publish, progress: Progress) -> None:
    def rows() -> Iterator[NDArray[np.float32]]:
        for block in assemble_rows(work):
            yield block
            progress.advance(block.shape[1] * block.shape[2])

    progress.start("writing", work.plan.output_shape[0] * work.plan.output_shape[1], 0)
    try:
        publish(rows(), residual, work.folder)
    finally:
        progress.stop()


def _output_bytes(plan: Plan) -> int:
    return int(_OUTPUT_SHARE * 4 * plan.outputs * plan.output_shape[0] * plan.output_shape[1])


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
