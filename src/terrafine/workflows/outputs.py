"""Where the output goes: on the source's grid subdivided, or warped from there to the grid that was asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import OutputError, UsageError
from terrafine.inference.assemble import Residuals
from terrafine.nn.spec import ModelSpec
from terrafine.private import check_name
from terrafine.raster.bands import band
from terrafine.raster.grid import subdivided
from terrafine.raster.read.source import open_source
from terrafine.workflows.options import TargetGrid

__all__ = [
    "SCALES",
    "check_destinations",
    "check_names",
    "check_suffix",
    "follow",
    "listed",
    "outputs_for",
    "publish",
    "scale_for",
    "target_grid",
    "warped_shape",
]

PathLike = str | os.PathLike[str]
SCALES = (2, 3, 4)
_SAME = 0.01  # cells that two grids of one corner may drift apart over their whole length and count as one
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
) -> None:
    """Write the output; where another grid is asked for, first the fine one into the job folder, then warped."""
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
        write(destination, fine, rows)
        return
    from terrafine.raster.read.aligned import align_to

    whole = folder / "scratch-source-grid.tif"
    write(whole, fine, rows, overviews=False, statistics=False)
    with align_to(open_source([os.fspath(whole)], want=spec.outputs), grid) as warped:
        write(destination, grid, _row_blocks(warped, spec.outputs))


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
    """The grid to warp to, snapped to whole multiples of its cells; None for the source's subdivided.

    Raises UsageError for cells that are 100 times finer or 1,000 times coarser than the model's: degrees meant as
    metres, or metres as degrees. GridError where there is no such grid.
    """
    from terrafine.raster.read.aligned import warp_grid

    if not target:
        return None
    fine = subdivided(geobox, spec.scale)
    grid: Any = warp_grid(fine, target.crs, target.resolution)
    drift = max(abs(grid.affine.a / fine.affine.a - 1), abs(grid.affine.e / fine.affine.e - 1)) * max(fine.shape)
    if grid.crs == fine.crs and drift < _SAME:
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


def warped_shape(geobox: Any, spec: ModelSpec, target: TargetGrid, destination: Path) -> tuple[int, int] | None:
    """Shape (y, x) of the grid to warp to, None without; DiskError where the disk is too small."""
    from terrafine.raster.write.cog_writer import check_free_space

    grid = target_grid(geobox, spec, target)
    if grid is None:
        return None
    height, width = int(grid.shape[0]), int(grid.shape[1])
    cells = _WITH_OVERVIEWS * height * width + spec.scale**2 * geobox.shape[0] * geobox.shape[1]
    check_free_space(destination, int(4 * len(spec.outputs) * cells))
    return height, width


def _ground(grid: Any) -> NDArray[np.float64]:
    """Metres of a cell in the middle row, along y and x."""
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
    """The smallest of 2, 3, 4 that makes cells at least as fine as the target's on the ground; 4 if none does."""
    if target.resolution is None:
        return SCALES[-1]
    from terrafine.raster.read.aligned import warp_grid

    wanted = _ground(warp_grid(source.geobox, target.crs, target.resolution)).min()
    middle = source.shape[0] // 2
    found = source.pixel_size_m(slice(middle, middle + 1)).max()
    return next((k for k in SCALES if found / k <= wanted * 1.01), SCALES[-1])


def listed(source: PathLike | Sequence[PathLike]) -> list[str]:
    """The paths of an input: one file, or several."""
    return [os.fspath(p) for p in ([source] if isinstance(source, (str, os.PathLike)) else source)]


def outputs_for(
    source: PathLike | Sequence[PathLike],
    destination: PathLike,
    *,
    preview: PathLike | None = None,
    sidecars: Sequence[PathLike | None] = (),
    inputs: Sequence[PathLike | None] = (),
) -> tuple[Path, Path | None, list[Path | None]]:
    """Where a GeoTIFF, its preview and its sidecar files are written, links followed, once nothing speaks against it.

    Parameters
    ----------
    source
        The input, none of whose files may be overwritten.
    destination, preview, sidecars
        The outputs as they were asked for; None for one that is not wanted.
    inputs
        Further files that are read.

    Returns
    -------
    The GeoTIFF, the preview and the sidecar files.

    Raises
    ------
    OutputError
        For an output whose name states another format, that is an input, that is named twice or cannot be written.
    """
    paths = [*listed(source), *(os.fspath(p) for p in inputs if p is not None)]
    out = follow(Path(destination))
    picture, *others = (None if p is None else follow(Path(p)) for p in (preview, *sidecars))
    check_destinations(paths, out, picture)
    taken = {p.absolute() for p in (out, picture) if p is not None}
    for other in others:
        if other is None:
            continue
        check_destinations(paths, other, None)
        if other.absolute() in taken:
            raise OutputError(f"{other}: would be written twice, as two things; give another name")
        taken.add(other.absolute())
    check_names(Path(destination), None if preview is None else Path(preview))
    return out, picture, others


def check_destinations(paths: list[str], destination: Path, preview: Path | None) -> None:
    """Raise OutputError for an output that is an input or its archive, is no plain file, or has no folder.

    A device or a pipe is refused: publishing renames over its target, and would put a plain file in its place.
    """
    for out in (destination, *([] if preview is None else [preview])):
        check_name(out)
        for path in paths:
            if out.exists() and any(file.exists() and out.samefile(file) for file in _on_disk(path)):
                raise OutputError(f"{out}: is the input itself, which is never overwritten; give another output")
        if out.is_dir():
            raise OutputError(f"{out}: is a folder; expected the path of a file to write")
        if out.exists() and not out.is_file():
            raise OutputError(f"{out}: is a device or a pipe, not a plain file; expected the path of a file to write")
        if not out.parent.is_dir():
            raise OutputError(f"{out}: its folder {out.parent} does not exist; make it, or write elsewhere")
        if shutil.disk_usage(out.parent).total == 0:
            raise OutputError(
                f"{out}: its folder {out.parent} is no place on a disk (/proc and its like); write elsewhere"
            )
        if not os.access(out.parent, os.W_OK):
            raise OutputError(f"{out}: its folder {out.parent} is not writable; write elsewhere")
    if preview is not None and preview.absolute() == destination.absolute():
        raise OutputError(f"{preview}: is both output and preview; give two paths")


def check_suffix(path: Path, suffixes: tuple[str, ...], kind: str) -> None:
    """Raise OutputError for a name that states another format than the one that is written; no suffix states none."""
    if path.suffix and path.suffix.lower() not in suffixes:
        named = path.with_suffix(suffixes[0]).name
        raise OutputError(f"{path}: is written as {kind}; expected a name that ends in {suffixes[0]}, as {named}")


def check_names(destination: Path, preview: Path | None) -> None:
    """Raise OutputError where an output is not named as a GeoTIFF or a preview not as a PNG."""
    check_suffix(destination, (".tif", ".tiff"), "GeoTIFF")
    if preview is not None:
        if preview.absolute() == destination.absolute():
            raise OutputError(f"{preview}: is both output and preview; give two paths")
        check_suffix(preview, (".png",), "PNG")


def follow(path: Path) -> Path:
    """Where a symbolic link leads, so that publishing renames over the file and leaves the link; else the path."""
    if not path.is_symlink():
        return path
    end = Path(os.path.realpath(path))
    if end.is_symlink():  # realpath stops at a link of a loop
        raise OutputError(f"{path}: is a symbolic link that leads back to itself; remove it, or write elsewhere")
    return end


def _on_disk(path: str) -> list[Path]:
    """The files that may hold an input: itself, or each step of a path into an archive, /vsizip/a.zip/b.tif."""
    if not path.startswith("/vsi"):
        return [Path(path)]
    inner = Path(path[1:].partition("/")[2].replace("{", "").replace("}", ""))
    return [inner, *inner.parents]
