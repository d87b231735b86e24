"""Planning of a run: tile, batch and shard sizes that fit into a memory limit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from terrafine.errors import ResourceError, UsageError
from terrafine.host import available_memory_bytes
from terrafine.inference.plan import Plan

if TYPE_CHECKING:
    from terrafine.nn.spec import ModelSpec

__all__ = ["make_plan"]

_MB = 1_000_000
_BASE_BYTES = 420 * _MB  # Python, torch and GDAL before the first tile, measured as resident size
_SHARD_PIXELS = 8_000_000  # output pixels of a shard: seconds of work, so that a kill loses seconds
_WRITER_BYTES = 64 * _MB  # GDAL's cache of blocks
_STRIPES_BYTES = 64 * _MB  # of one file: rows of its levels that wait for a whole block; wider ones wait on the disk
_COLUMNS = 8192  # that are written together, 512 rows of them
_COPIES = 3  # of a block of finished rows: as assembled, encoded, and while its statistics are taken
_ROWS_BYTES = 32 * _MB  # a block of finished rows on its way into the output file
_GUIDE_BYTES = 8  # value and mask of one guide in one fine cell, both float32
_GUIDE_WORK = 64  # a fine cell while one guide's dates are summed in float64, resampled and stacked
_QUEUE = 2  # shards read ahead, and batches waiting to be committed
_DEVICE_BASE = 300 * _MB  # weights and the libraries' own workspaces on a GPU; assumed, not measured
_DEVICE_SHARE = 1.5  # blocks of the allocator and workspaces of convolutions, for each byte of activations; assumed
_FILL_REACH = 3  # cells read around a window to fill its nodata, in halos


def make_plan(
    shape: tuple[int, int],
    spec: ModelSpec,
    *,
    memory_bytes: int | None = None,
    outputs: int | None = None,
    tile: int | None = None,
    batch: int = 1,
    bytes_per_cell: int = 4096,
    guides: int = 0,
    shard_pixels: int | None = None,
    more_written: int = 0,
    device_bytes: int | None = None,
) -> Plan:
    """Plan a run that fits into the memory limit, with the largest batch and tile up to the preferred ones.

    Parameters
    ----------
    shape
        (y, x) of the coarse raster.
    spec
        Spec of the model.
    memory_bytes
        Resident memory allowed for one process; None for no limit.
    outputs
        Number of bands written; by default all of the spec.
    tile
        Preferred inner side in coarse cells; by default the spec's.
    batch
        Preferred tiles in a batch.
    bytes_per_cell
        Working memory of the model for one input cell, halo included: all live activations.
    guides
        Number of guides read, on the fine grid.
    shard_pixels
        Largest number of output cells of a shard; smaller for a slow model, because a kill loses the unfinished shard.
    more_written
        Bands of the published files that are derived from the outputs.
    device_bytes
        Free memory of the GPU that the model runs on; None where it shares that of the machine.

    Returns
    -------
    Plan
        The plan.

    Raises
    ------
    ResourceError
        Where even the smallest tile needs more memory.
    UsageError
        Where a size is below 1.
    """
    side = spec.tile if tile is None else tile
    if min(shape) < 1 or side < 1 or batch < 1:
        raise UsageError(
            f"cannot plan a raster of {shape} with tiles of {side} in batches of {batch}; all must be 1 or more"
        )
    bands = len(spec.outputs) if outputs is None else outputs
    smallest, device_need = None, 0
    for some_batch, some_side in _candidates(batch, side, spec):
        plan = _lay_out(shape, spec, some_side, some_batch, bands, shard_pixels or _SHARD_PIXELS)
        plan = dataclasses.replace(plan, memory_bytes=_projected(plan, bytes_per_cell, guides, more_written))
        device_need = _projected_on_device(plan, bytes_per_cell, guides)
        fits = device_bytes is None or device_need <= device_bytes
        if fits and memory_bytes is None:
            _refuse_beyond_machine(plan)
            return plan
        if fits and memory_bytes is not None and plan.memory_bytes <= memory_bytes:
            return plan
        if smallest is None or plan.memory_bytes < smallest.memory_bytes:
            smallest = plan
    if device_bytes is not None and device_need > device_bytes:
        raise ResourceError(
            f"{spec.name} ×{spec.scale} needs about {device_need / _MB:,.0f} MB of the GPU's memory even with its "
            f"smallest tiles, and {device_bytes / _MB:,.0f} MB are free; stop other programs that use it, or choose "
            'device="cpu"'
        )
    needed = 0 if smallest is None else smallest.memory_bytes
    allowed = 0 if memory_bytes is None else memory_bytes
    raise ResourceError(
        f"{spec.name} ×{spec.scale} on {shape[0]} × {shape[1]} cells needs about {needed / _MB:,.0f} MB even with its "
        f"smallest tiles, and {allowed / _MB:,.0f} MB are allowed; allow more with memory=SIZE, or choose "
        "another model=NAME"
    )


def _refuse_beyond_machine(plan: Plan) -> None:
    """Raise ResourceError where a plan without a limit needs more memory than the machine has free."""
    free = available_memory_bytes()
    if free is not None and plan.memory_bytes > free:
        raise ResourceError(
            f"{plan.shape[0]} × {plan.shape[1]} cells need about {plan.memory_bytes / _MB:,.0f} MB, and this machine "
            f'has {free / _MB:,.0f} MB free; close other programs, or make tiles smaller with memory="{free // _MB}MB"'
        )


def _candidates(batch: int, side: int, spec: ModelSpec) -> Iterator[tuple[int, int]]:
    """Batch and inner side, from the preferred down: batches shrink first, they cost nothing."""
    lowest = max(spec.multiple, 32)
    if spec.tiling == "blend":
        # Ramps, a halo wide, must not meet within a tile, and balanced tiles are as small as two thirds of the side.
        lowest = max(lowest, -(-3 * _up(spec.halo, spec.multiple) // 2))
    side = _up(max(side, lowest if spec.tiling == "blend" else 1), spec.multiple)
    while batch > 1:
        yield batch, side
        batch //= 2
    yield 1, side
    while side > lowest:
        side = _up(max(side // 2, lowest), spec.multiple)
        yield 1, side
        if side <= _up(lowest, spec.multiple):
            return


def _lay_out(shape: tuple[int, int], spec: ModelSpec, side: int, batch: int, bands: int, shard_pixels: int) -> Plan:
    """Tiles of nearly equal size, none above `side`, so that the last one is not a narrow strip with a full halo."""
    halo = _up(spec.halo, spec.multiple)
    counts = [-(-n // side) for n in shape]
    tile = (_up(-(-shape[0] // counts[0]), spec.multiple), _up(-(-shape[1] // counts[1]), spec.multiple))
    in_row = -(-shape[1] // tile[1])
    most = max(1, shard_pixels // (tile[0] * tile[1] * spec.scale**2))
    shard_tiles = -(-in_row // -(-in_row // most))
    return Plan(
        shape=shape,
        scale=spec.scale,
        tile=tile,
        halo=halo,
        overlap=halo // 2 if spec.tiling == "blend" else 0,
        margin=_FILL_REACH * halo,
        batch=min(batch, shard_tiles),
        shard_tiles=shard_tiles,
        inputs=len(spec.inputs),
        outputs=bands,
        memory_bytes=0,
    )


def _projected(plan: Plan, bytes_per_cell: int, guides: int, more_written: int) -> int:
    """Peak resident size: the process, the model on one batch, what is queued around it, or the assembly."""
    (ty, tx), around = plan.tile, 2 * plan.halo
    window = (ty + around) * (tx + around)
    strip = (ty + around + 2 * plan.margin) * (tx * plan.shard_tiles + around + 2 * plan.margin)
    read = strip * 5 * plan.inputs * (_QUEUE + 1) + strip * 48  # float32 and mask queued; float64 while filling
    if guides:
        fine = (ty + around) * (tx * plan.shard_tiles + around) * plan.scale**2
        read += fine * (_GUIDE_BYTES * guides * (_QUEUE + 2) + _GUIDE_WORK)  # raw masks and values while they are read
        read += plan.batch * window * plan.scale**2 * _GUIDE_BYTES * guides
    model = plan.batch * window * bytes_per_cell
    out = plan.batch * window * plan.scale**2 * 4 * plan.outputs * (_QUEUE + 2)
    width = plan.output_shape[1]
    written = plan.outputs + more_written
    rows = max(min(_ROWS_BYTES, width * plan.output_shape[0] * 4 * written), width * plan.scale * 4 * written) * _COPIES
    stripes = min(_STRIPES_BYTES * (1 + more_written), 2 * 2048 * width * written)
    columns = 4 * 2048 * min(width * written, _COLUMNS)
    blocks = stripes + columns + _WRITER_BYTES
    return _BASE_BYTES + max(read + model + out, rows + blocks)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _projected_on_device(plan: Plan, bytes_per_cell: int, guides: int) -> int:
    """Peak on a GPU: weights and workspaces, and the model on one batch with what it is given and gives."""
    (ty, tx), around = plan.tile, 2 * plan.halo
    cells = plan.batch * (ty + around) * (tx + around)
    return _DEVICE_BASE + int(_DEVICE_SHARE * cells * (bytes_per_cell + plan.scale**2 * _GUIDE_BYTES * guides))
