"""Cropping, masking and checks of a model's output, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import OutputError, WeightsError
from terrafine.inference.context import Batch, JobContext, Outputs, TileOutput
from terrafine.inference.window import Window
from terrafine.nn.model import RESIDUAL
from terrafine.raster.bands import BANDS
from terrafine.raster.warp.resample import block_sum

__all__ = ["check_residual", "crop_tiles", "inside"]


def crop_tiles(context: JobContext, batch: Batch, out: Outputs) -> Iterator[TileOutput]:
    """Crop, mask and stack each tile of a batch.

    The residual of a tile is `residual` where the model outputs it. Otherwise it is measured on block means of the
    outputs that are inputs too.

    Parameters
    ----------
    context
        The job.
    batch
        The batch.
    out
        Output of the model.

    Yields
    ------
    TileOutput
        The published cells of each tile.

    Raises
    ------
    WeightsError
        For a value that is not finite.
    OutputError
        For heights out of the valid range, or a residual above the limit.
    """
    k = context.plan.scale
    for n, tile in enumerate(batch.tiles):
        if batch.inputs is None:
            yield TileOutput(tile, None, 0.0)
            continue
        rows, cols = (
            slice((p.start - w.start) * k, (p.stop - w.start) * k) for p, w in zip(tile.part, tile.window, strict=True)
        )
        values = np.stack([out[name][n, rows, cols] for name in context.outputs])
        valid = batch.window.valid[inside(batch.window, tile.part)]
        differences: list[NDArray[np.float64]] = []
        if RESIDUAL in out:
            inner = tuple(
                slice(p.start - w.start, p.stop - w.start) for p, w in zip(tile.part, tile.window, strict=True)
            )
            differences.append(out[RESIDUAL][n][inner][valid].astype(np.float64))
        for band, name in zip(values, context.outputs, strict=True):
            total = block_sum(band, k)
            if not np.isfinite(total[valid]).all():
                raise WeightsError(
                    f"model {context.spec.name!r}: {name!r} is not finite in tile ({tile.row}, {tile.col}) where the "
                    "input is valid; the weights or the engine are damaged"
                )
            if name in context.spec.inputs and RESIDUAL not in out:
                coarse = batch.window.bands[name][inside(batch.window, tile.part)]
                differences.append(np.abs(total / k**2 - coarse)[valid])
            _require_range(context, name, band, valid, f"in tile ({tile.row}, {tile.col})")
        if not valid.all():
            values[:, np.repeat(np.repeat(~valid, k, axis=0), k, axis=1)] = np.nan
        residual, mean = _summed(differences)
        check_residual(context, residual, f"in tile ({tile.row}, {tile.col}) ")
        yield TileOutput(tile, values, residual, mean)


def _require_range(
    context: JobContext, name: str, values: NDArray[np.float32], valid: NDArray[np.bool_], where: str
) -> None:
    """Raise OutputError for metres out of the band's valid range, which no reader would take."""
    known = BANDS.get(name)
    if known is None or known.unit != "m" or (known.valid[0] <= values.min() and values.max() <= known.valid[1]):
        return
    k = context.plan.scale
    found = values[np.repeat(np.repeat(valid, k, axis=0), k, axis=1)]
    if found.size and not (known.valid[0] <= found.min() and found.max() <= known.valid[1]):
        raise OutputError(
            f"model {context.spec.name!r}: {name} from {found.min():.6g} to {found.max():.6g} m {where}; expected "
            f"{known.valid[0]:g} to {known.valid[1]:g} m. Check the weights, the pixel size and the input",
            lasting=True,
        )


def check_residual(context: JobContext, residual: float, where: str = "") -> None:
    """Check a residual against the limit of the job.

    Parameters
    ----------
    context
        The job.
    residual
        Largest difference between block means and input.
    where
        Position for the message.

    Raises
    ------
    OutputError
        Where the residual is above the limit.
    """
    limit = context.residual_limit
    if limit is not None and not residual <= limit:
        raise OutputError(
            f"model {context.spec.name!r}: {where}the block means of the output differ from the input by up to "
            f"{residual:.3g} m; expected at most {limit:g} m. Check the pixel size and the weights, or publish the "
            'output as the model gives it with consistency="none"',
            lasting=True,
        )


def _summed(differences: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Largest and mean of all; 0 where there is none."""
    found = np.concatenate(differences) if differences else np.zeros(0)
    return (float(found.max()), float(found.mean())) if found.size else (0.0, 0.0)


def inside(window: Window, span: tuple[slice, slice]) -> tuple[slice, slice]:
    """Convert rows and columns of the raster to those of a window.

    Parameters
    ----------
    window
        The window.
    span
        Rows and columns of the raster.

    Returns
    -------
    tuple[slice, slice]
        Rows and columns of the window.
    """
    (r, c), r0, c0 = span, window.rows.start, window.cols.start
    return slice(r.start - r0, r.stop - r0), slice(c.start - c0, c.stop - c0)
