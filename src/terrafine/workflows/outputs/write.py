"""Write outputs on the subdivided grid of the source, or warped from there to a target grid."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError
from terrafine.inference.assemble import Residuals
from terrafine.nn.spec import ModelSpec
from terrafine.raster.bands import band
from terrafine.raster.grid import subdivided
from terrafine.raster.read.source import open_source
from terrafine.workflows.options import TargetGrid

__all__ = [
    "SCALES",
    "publish",
    "scale_for",
    "target_grid",
    "warped_shape",
]

SCALES = (2, 3, 4)
_SAME = 0.01  # largest difference in cells, over their whole length, of two grids that count as equal
_FINEST, _COARSEST = 100, 1000
_WITH_OVERVIEWS = 1.4


def publish(
    source: Any,
    tags: Mapping[str, str],
    spec: ModelSpec,
    target: TargetGrid,
    destination: Path,
    rows: Iterator[NDArray[np.float32]],
    residuals: Residuals,
    folder: Path,
    *,
    layout: Mapping[str, Any],
) -> None:
    """Write the output of a run; for a target grid, first on the fine grid in the job folder, then warped.

    Parameters
    ----------
    source
        The open input.
    tags
        Tags of the output.
    spec
        Spec of the model.
    target
        The target grid; false for the subdivided grid of the source.
    destination
        The GeoTIFF.
    rows
        Blocks (band, y, x) of the model's output, from the top.
    residuals
        Deviations of block means from the input, for the tags.
    folder
        The job folder.
    layout
        Arguments of the writer from creation options.

    Raises
    ------
    DiskError, OutputError
        As `terrafine.raster.write.cog_writer.open_cog`.
    """
    from terrafine.raster.write.cog_writer import write_cog

    write = partial(
        write_cog,
        band_names=spec.outputs,
        units=tuple(band(name).unit for name in spec.outputs),
        nodata=source.nodata,
        tags={**tags, **_consistency_tags(source, spec, target, residuals)},
        vertical=source.vertical,
        area_or_point=source.area_or_point,
        surface=source.surface,
    )
    fine, grid = subdivided(source.geobox, spec.scale), target_grid(source.geobox, spec, target)
    if grid is None:
        write(destination, fine, rows, **layout)
        return
    from terrafine.raster.read.aligned import align_to

    whole = folder / "scratch-source-grid.tif"
    write(whole, fine, rows, overviews=False, statistics=False)
    with align_to(open_source([os.fspath(whole)], want=spec.outputs), grid) as warped:
        write(destination, grid, _row_blocks(warped, spec.outputs), **layout)


def _consistency_tags(source: Any, spec: ModelSpec, target: TargetGrid, residuals: Residuals) -> dict[str, str]:
    """The residual, and the grid that it was measured on."""
    fine = subdivided(source.geobox, spec.scale)
    rows, cols = (int(n) for n in fine.shape)
    where = "before the warp to this grid" if target_grid(source.geobox, spec, target) is not None else "this grid"
    return {
        "CONSISTENCY_RESIDUAL_M": f"{residuals.largest:.6f}",
        "CONSISTENCY_WHAT": f"metres, largest |input - block mean of the output|, on {rows} x {cols} cells, {where}",
    }


def target_grid(geobox: Any, spec: ModelSpec, target: TargetGrid) -> Any:
    """Return the grid to warp to, with edges on whole multiples of its cells.

    Parameters
    ----------
    geobox
        Grid of the source.
    spec
        Spec of the model.
    target
        The target grid as the user states it.

    Returns
    -------
    GeoBox or None
        None if the output is on the subdivided grid of the source.

    Raises
    ------
    UsageError
        If the cells are 100 times finer or 1,000 times coarser than the model's, as if degrees were meant as metres.
    GridError
        If the grid cannot be transformed to the target CRS.
    """
    from terrafine.raster.read.aligned import warp_grid

    if not target:
        return None
    fine = subdivided(geobox, spec.scale)
    grid: Any = warp_grid(fine, target.crs, target.resolution)
    drift = max(abs(grid.affine.a / fine.affine.a - 1), abs(grid.affine.e / fine.affine.e - 1)) * max(fine.shape)
    if grid.crs == fine.crs and drift < _SAME and not (target.snapped and _off_multiples(fine)):
        return None
    model, asked = (_ground(g) for g in (fine, grid))
    if (asked > _COARSEST * model).any() or (asked < model / _FINEST).any():
        raise UsageError(
            f"target_resolution=({grid.affine.a:g}, {-grid.affine.e:g}): cells of {asked[1]:.3g} × {asked[0]:.3g} m, "
            f"where the model gives {model[1]:.3g} × {model[0]:.3g} m; expected between a hundredth and a thousand "
            "times that. The unit of target_resolution= is that of the output's CRS, here "
            f"{'degree' if grid.crs.geographic else grid.crs.units[0]}"
        )
    return grid


def _off_multiples(grid: Any) -> bool:
    """Whether the edges of a grid lie beside whole multiples of its cells."""
    a = grid.affine
    starts = (a.c / a.a, a.f / a.e)
    return any(abs(start - round(start)) > _SAME for start in starts)


def warped_shape(geobox: Any, spec: ModelSpec, target: TargetGrid, destination: Path) -> tuple[int, int] | None:
    """Return the shape of the grid to warp to, after a check of the free disk space.

    Parameters
    ----------
    geobox
        Grid of the source.
    spec
        Spec of the model.
    target
        The target grid as the user states it.
    destination
        The GeoTIFF.

    Returns
    -------
    tuple of two ints or None
        Rows and columns (y, x); None if the output is not warped.

    Raises
    ------
    DiskError
        If the disk is too small.
    UsageError, GridError
        As `target_grid`.
    """
    from terrafine.raster.write.cog_writer import check_free_space

    grid = target_grid(geobox, spec, target)
    if grid is None:
        return None
    height, width = int(grid.shape[0]), int(grid.shape[1])
    cells = _WITH_OVERVIEWS * height * width + spec.scale**2 * geobox.shape[0] * geobox.shape[1]
    check_free_space(destination, int(4 * len(spec.outputs) * cells))
    return height, width


def _ground(grid: Any) -> NDArray[np.float64]:
    """Return the size in metres of a cell in the middle row, along y and x."""
    from terrafine.raster.grid import pixel_size_m

    middle = int(grid.shape[0]) // 2
    return pixel_size_m(grid, slice(middle, middle + 1))[:, 0]


def _row_blocks(source: Any, names: tuple[str, ...]) -> Iterator[NDArray[np.float32]]:
    """Rows of a warped source from the top, read in squares: a long window may slant over much of the source."""
    side, (height, width) = 512, source.shape
    step = max(16, min(side, (32 << 20) // (4 * width * len(names))))
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        block = np.empty((len(names), rows.stop - rows.start, width), np.float32)
        for left in range(0, width, side):
            cols = slice(left, min(left + side, width))
            for layer, name in zip(block, names, strict=True):
                values, valid = source.read(name, rows, cols)
                layer[:, cols] = np.where(valid, values, np.float32(np.nan))
        yield block


def scale_for(source: Any, target: TargetGrid) -> int:
    """Return the smallest of 2, 3 and 4 that makes cells at least as fine as the target's on the ground, else 4.

    Parameters
    ----------
    source
        The open input.
    target
        The target grid as the user states it.

    Returns
    -------
    int
        Output cells per side of an input cell.

    Raises
    ------
    UsageError, GridError
        As `terrafine.raster.read.aligned.warp_grid`.
    """
    if target.resolution is None:
        return SCALES[-1]
    from terrafine.raster.read.aligned import warp_grid

    wanted = _ground(warp_grid(source.geobox, target.crs, target.resolution)).min()
    middle = source.shape[0] // 2
    found = source.pixel_size_m(slice(middle, middle + 1)).max()
    return next((k for k in SCALES if found / k <= wanted * 1.01), SCALES[-1])
