"""Run of a model over a raster of any size: claim or resume the job, run its shards, publish, remove the job.

`DESIGN.md` in this folder explains the parts and how they fit together.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import OutputError
from terrafine.host import peak_memory_bytes
from terrafine.inference.assemble import Residuals, add_tile, assemble_rows, residuals
from terrafine.inference.context import JobContext
from terrafine.inference.crop import check_residual
from terrafine.inference.executors import ExecutorStats
from terrafine.inference.executors.dask import GPU, require_distributed, run_dask
from terrafine.inference.executors.serial import run_serial
from terrafine.inference.job import Job, job_folder
from terrafine.inference.plan import Plan
from terrafine.inference.progress import Announcer, NoProgress, Progress
from terrafine.inference.projection import LONG_TILES, project
from terrafine.inference.shard import open_once, run_tiles
from terrafine.nn.model import Model
from terrafine.nn.spec import ModelSpec
from terrafine.notebook import table_of
from terrafine.raster.protocol import RasterSource
from terrafine.raster.write.cog_writer import check_free_space

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["PublishOutput", "RunReport", "run_in_memory", "run_job"]

PublishOutput = Callable[[Iterator[NDArray[np.float32]], Residuals, Path], None]
"""(row blocks of the output from the top, residual of each tile, job folder) -> None.

It publishes the whole output or raises; in the job folder it may keep files called `scratch-*`.
"""

_log = logging.getLogger(__name__)
_OUTPUT_SHARE = 1.4  # output file with overviews, if nothing can be compressed, per byte of pixels


@dataclass(frozen=True, slots=True)
class RunReport:
    """Cost and outcome of a run.

    Attributes
    ----------
    plan
        The plan that was run.
    shards_run, shards_resumed
        Shards computed by this run, and shards that an earlier run had finished.
    retries
        Number of failed tries that were repeated on Dask.
    seconds_total
        Seconds from the claim to the published file.
    seconds_model
        Seconds in the model, summed over all workers.
    seconds_publish
        Seconds from the last shard to the published file.
    peak_memory_bytes
        Largest resident size of this process so far.
    residual_m
        Largest |block mean of the output − input|, before any warp; for images in reflectance.
    warped_to
        Shape (y, x) of the output where it was warped to another grid, else None.
    device
        Where the model computed.
    notes
        Remarks about the input.
    findings
        Results derived from the output, such as an area.
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
    device: str = "cpu"
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return table_of(self)


def run_job(
    destination: Path,
    plan: Plan,
    spec: ModelSpec,
    source: RasterSource,
    open_model: Callable[[], Model],
    publish: PublishOutput,
    *,
    outputs: tuple[str, ...],
    request: Mapping[str, Any],
    restart: bool = False,
    dask: str | Client | None = None,
    progress: Progress | None = None,
    output_bytes: int | None = None,
    residual_limit: float | None = None,
    device: str = "cpu",
) -> RunReport:
    """Run every unfinished shard, publish the output and remove the job folder.

    After a failure, finished shards are kept for the next run. A folder without any is removed, and so are shards of an
    output that may not be published.

    Parameters
    ----------
    destination
        Path of the output; the job folder is beside it.
    plan
        Plan of the run.
    spec
        Spec of the model.
    source
        The coarse raster.
    open_model
        Zero-argument callable, picklable, that returns the model.
    publish
        Function that writes the output from its row blocks.
    outputs
        Bands of the output, in the order of the file; all are among the spec's outputs.
    request
        Plain JSON data that determine the bytes of the output. A later run resumes only an equal request.
    restart
        Discard the finished shards of an earlier run.
    dask
        Address of a Dask scheduler, or a connected client; None runs in this process.
    progress
        Receives finished shards and written rows.
    output_bytes
        Upper limit of the disk space of the published files; by default that of the outputs as float32.
    residual_limit
        Largest difference between block means of the output and the input that may be published, in the input's unit;
        None for any.
    device
        Where the model computes; on Dask, `cuda` sends shards only to workers with the resource GPU.

    Returns
    -------
    RunReport
        Cost and outcome.

    Raises
    ------
    JobError
        Where the job folder belongs to another request or is in use.
    OutputError
        Where a residual is above the limit.
    MissingExtraError
        Before anything is written, where the model or Dask needs a package that is not installed.
    DiskError
        Before the first shard, where the disk cannot hold shards and output.
    TerrafineError
        For errors of the source, the model or `publish`.
    """
    start = time.perf_counter()
    progress = NoProgress() if progress is None else progress
    if dask is not None:
        require_distributed()
    else:
        open_once(open_model)
    needed = plan.shard_bytes + (_output_bytes(plan) if output_bytes is None else output_bytes)
    if not job_folder(destination).exists():
        check_free_space(destination, needed)
    with Job.claim(destination, request, plan, restart=restart) as job, _removed_where_useless(job):
        done = job.finished()
        _log.info(
            "%s: %s, %d shards of tiles of %s cells, %d of them finished by an earlier run",
            destination,
            spec.name,
            plan.shards,
            " × ".join(map(str, plan.tile)),
            len(done),
        )
        check_free_space(destination, needed - plan.shard_bytes * len(done) // plan.shards)
        context = JobContext(plan, spec, source, open_model, outputs, job.folder.absolute(), job.key, residual_limit)
        try:
            _announce(context, plan.shards - len(done), needed - plan.shard_bytes, progress, here=dask is None)
            stats = _run(context, done, dask, progress, device)
            residual = residuals(context)
            check_residual(context, residual.largest)
            publishing = time.perf_counter()
            _log.info("%s: the model is done; largest residual %.3g; writing", destination, residual.largest)
            _publish(context, residual, publish, progress)
        except OutputError as error:
            if error.lasting:  # the shards are of no use
                job.remove()
            raise
        job.remove()
    end = time.perf_counter()
    return RunReport(
        plan,
        stats.shards,
        len(done),
        stats.retries,
        end - start,
        stats.seconds_model,
        end - publishing,
        peak_memory_bytes(),
        residual.largest,
        device=device,
    )


def run_in_memory(
    plan: Plan,
    spec: ModelSpec,
    source: RasterSource,
    model: Model,
    *,
    outputs: tuple[str, ...],
    residual_limit: float | None = None,
) -> tuple[NDArray[np.float32], float]:
    """Run the tiles of a plan in memory, without job folder or files.

    Parameters
    ----------
    plan
        Plan of the run.
    spec
        Spec of the model.
    source
        The coarse raster.
    model
        The opened model.
    outputs
        Bands of the output, in order; all are among the spec's outputs.
    residual_limit
        Largest difference between block means of the output and the input, in the input's unit; None for any.

    Returns
    -------
    tuple[ndarray, float]
        Output (band, y, x), float32, NaN where nodata; and the largest residual.

    Raises
    ------
    OutputError
        Where a residual is above `residual_limit`.
    """
    context = JobContext(plan, spec, source, lambda: model, outputs, Path(), "", residual_limit)
    out = np.zeros((len(outputs), *plan.output_shape), np.float32)
    worst = 0.0
    for index in range(plan.shards):
        for tile in run_tiles(context, model, index):
            add_tile(out, plan, tile)
            worst = max(worst, tile.residual_m)
    return out, worst


@contextlib.contextmanager
def _removed_where_useless(job: Job) -> Iterator[None]:
    """Remove the folder after a failure without a finished shard, so that it does not block another run."""
    try:
        yield
    except BaseException:
        if not job.has_shards():
            job.remove()
        raise


def _run(
    context: JobContext, done: set[int], dask: str | Client | None, progress: Progress, device: str
) -> ExecutorStats:
    total = context.plan.output_shape[0] * context.plan.output_shape[1]
    todo = (i for i in range(context.plan.shards) if i not in done)
    progress.start(context.spec.name, total, total * len(done) // context.plan.shards)
    try:
        if dask is None:
            return run_serial(context, todo, progress)
        return run_dask(context, todo, dask, progress, resources=GPU if device.startswith("cuda") else None)
    finally:
        progress.stop()


def _announce(context: JobContext, unfinished: int, output_bytes: int, progress: Progress, *, here: bool) -> None:
    """Report the projected time and memory of a long run."""
    plan = context.plan
    is_long = unfinished and plan.tile_grid[0] * plan.tile_grid[1] >= LONG_TILES
    if not is_long or not isinstance(progress, Announcer):
        return
    height, width = plan.output_shape
    expected = project(context, unfinished, output_bytes, here=here)
    progress.announce(f"{context.spec.name} ×{plan.scale} to {height:,} × {width:,} cells: {expected}")


def _publish(context: JobContext, residual: Residuals, publish: PublishOutput, progress: Progress) -> None:
    def rows() -> Iterator[NDArray[np.float32]]:
        for block in assemble_rows(context):
            yield block
            progress.advance(block.shape[1] * block.shape[2])

    progress.start("writing", context.plan.output_shape[0] * context.plan.output_shape[1], 0)
    try:
        publish(rows(), residual, context.folder)
    finally:
        progress.stop()


def _output_bytes(plan: Plan) -> int:
    return int(_OUTPUT_SHARE * 4 * plan.outputs * plan.output_shape[0] * plan.output_shape[1])
