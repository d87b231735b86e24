"""`sharpen_dem`: a coarse elevation model in, a finer one out; files, xarray or numpy. `terrafine dem` calls it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, EmptyError, UsageError

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport
    from terrafine.inference.progress import Progress
    from terrafine.systems import ModelRef
    from terrafine.workflows.guidance import Guidance
    from terrafine.workflows.outputs import Target

__all__ = ["sharpen_dem"]

PathLike = str | os.PathLike[str]


def sharpen_dem(
    source: Any,
    destination: PathLike | None = None,
    *,
    scale: int | None = None,
    model: PathLike = "ridgeline",
    consistency: str = "hard",
    tolerance_m: float = 1.0,
    uncertainty: bool = False,
    self_ensemble: bool = False,
    engine: str = "torch",
    memory: int | None = None,
    dask: Any = None,
    restart: bool = False,
    target_resolution: tuple[float, float] | None = None,
    target_crs: str | None = None,
    preview: PathLike | None = None,
    bands: Mapping[str, int] | None = None,
    vertical_datum: str | None = None,
    assume_crs: str | None = None,
    nodata: float | None = None,
    elevation_unit: str | None = None,
    pixel_size_m: float | tuple[float, float] | NDArray[np.float64] | None = None,
    guidance: Guidance | None = None,
    progress: Progress | None = None,
    report: Callable[[RunReport], None] | None = None,
    threads: int | None = None,
    tile: int | None = None,
) -> Any:
    """A DEM super-resolved on its own grid: each cell subdivided, its mean kept, its georeference exact.

    source  a path, or several read as one mosaic  -> `destination`, a Cloud-Optimized GeoTIFF, and its Path returned
            an xarray.DataArray (y, x) with a georeference through `rio` or `odc` -> a DataArray on the finer grid
            a numpy array (y, x), NaN where void, with `pixel_size_m` -> a float32 array, the bare model
    With `uncertainty` there is a second band, `elevation_sigma`, the standard error in metres, and arrays are
    (band, y, x). Void cells stay void. Heights stay above the datum they came in.

    scale              2, 3 or 4; by default 4, or what the weights serve
    model              a name from `terrafine models`, or a .safetensors file
    consistency        `hard`: block means equal the input; `soft`: within `tolerance_m`; `none`: as the model gives
    self_ensemble      mean over the eight mirrors and rotations
    memory             bytes that this process, or each Dask worker, may use; refused when the projection is above
    dask               scheduler address or distributed.Client; workers share the file system of the output
    restart            drop an unfinished run of the same output instead of going on with it
    target_resolution  (x, y) cell size in units of `target_crs`, and
    target_crs         by default the source's: the model runs on the source's grid, with the smallest scale of 2, 3, 4
                       that is at least as fine as asked (4 if none is), and its output is warped to the grid asked for,
                       by area mean where that is coarser and by cubic convolution where it is not
    preview            also write this PNG, a hillshade
    nodata             the value that means missing, and
    elevation_unit     the unit of the heights, m, ft or us-ft, where the file does not say
    guidance           radar files that guide the DEM, and their geometry, for a model such as pimsr; not for numpy
    pixel_size_m       of numpy heights, or of a file without CRS: one number, or (y, x); numpy: or float64 (2, y)
    threads            of the engine; part of what a resumed run must have in common with the first

    Raises UsageError, SourceError and its kin, WeightsError, NoModelError, ResourceError, DiskError, OutputError,
    JobError; no output file then exists that did not exist before.
    """
    asked = _Asked(
        scale, os.fspath(model), consistency, tolerance_m, uncertainty, self_ensemble, engine, threads, tile, memory
    )
    if isinstance(source, np.ndarray):
        _only_for_files(destination=destination, preview=preview, dask=dask, target_crs=target_crs, guidance=guidance)
        _only_for_files(target_resolution=target_resolution, bands=bands, nodata=nodata, assume_crs=assume_crs)
        _only_for_files(vertical_datum=vertical_datum, elevation_unit=elevation_unit)
        return _sharpen_array(source, pixel_size_m, asked)
    files = partial(
        _sharpen_files,
        asked=asked,
        dask=dask,
        restart=restart,
        grid=(target_resolution, target_crs),
        preview=None if preview is None else Path(preview),
        guidance=guidance,
        reading={
            "bands": bands,
            "vertical_datum": vertical_datum,
            "assume_crs": assume_crs,
            "nodata": nodata,
            "elevation_unit": elevation_unit,
            "pixel_size_m": pixel_size_m,
        },
        progress=progress,
        report=report,
    )
    if isinstance(pixel_size_m, np.ndarray):
        raise UsageError("pixel_size_m by row is for numpy heights; for a file without CRS give one number, or (y, x)")
    if isinstance(source, (str, os.PathLike)) or (isinstance(source, Sequence) and source):
        if destination is None:
            raise UsageError("a DEM in a file needs a destination, the path of the GeoTIFF to write")
        paths = [source] if isinstance(source, (str, os.PathLike)) else list(source)
        return files([os.fspath(p) for p in paths], Path(destination))
    if hasattr(source, "dims") and hasattr(source, "coords"):
        _only_for_files(destination=destination)
        return _sharpen_xarray(source, files, uncertainty)
    raise UsageError(f"a DEM cannot be a {type(source).__name__}; expected a path, a DataArray or a numpy array")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options that a model is found and planned with."""

    scale: int | None
    model: str
    consistency: str
    tolerance_m: float
    uncertainty: bool
    self_ensemble: bool
    engine: str
    threads: int | None
    tile: int | None
    memory: int | None

    def find(self, scale: int, threads: int | None) -> ModelRef:
        """The model that serves them."""
        from terrafine.systems import find_model

        return find_model(
            self.model,
            scale,
            consistency=self.consistency,
            tolerance_m=self.tolerance_m,
            self_ensemble=self.self_ensemble,
            uncertainty=self.uncertainty,
            engine=self.engine,
            threads=threads,
        )

    def scale_or(self, otherwise: int) -> int:
        """The scale asked for, that of a weights file, or the one given."""
        if self.scale is not None:
            return self.scale
        if Path(self.model).suffix:
            from terrafine.nn.weights import read_spec

            return read_spec(self.model).scale
        return otherwise


def _sharpen_array(values: NDArray[Any], pixel_size_m: Any, asked: _Asked) -> NDArray[np.float32]:
    from terrafine.inference.engine import run_in_memory
    from terrafine.raster.bands import band
    from terrafine.raster.read.array import ArraySource
    from terrafine.systems import load_model

    if isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.float32(np.nan), values.data)
    if values.ndim != 2 or 0 in values.shape or not np.issubdtype(values.dtype, np.number):
        raise UsageError(f"an array of shape {values.shape} and type {values.dtype}; expected heights as (y, x)")
    if pixel_size_m is None:
        raise UsageError("numpy heights need pixel_size_m, the size of a cell in metres: one number, or (y, x)")
    sizes = np.asarray(pixel_size_m, np.float64)
    if sizes.ndim < 2:
        sizes = np.broadcast_to(np.broadcast_to(sizes, 2)[:, None], (2, values.shape[0]))
    if sizes.shape != (2, values.shape[0]) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise UsageError(f"pixel_size_m {pixel_size_m!r}; expected metres above 0: one number, (y, x), or (2, rows)")
    known = values[~np.isnan(values)]
    if known.size == 0:
        raise EmptyError("the array holds no height, only NaN; expected at least one valid cell")
    low, high = band("elevation").valid
    if known.min() < low or known.max() > high:
        raise BandError(
            f"the array holds heights from {known.min():g} to {known.max():g} m; expected {low:g} to {high:g}, and NaN "
            "where missing"
        )
    ref = asked.find(asked.scale_or(4), asked.threads)
    plan = _planned((values.shape[0], values.shape[1]), ref, asked)
    grid = ArraySource({"elevation": values}, sizes)
    out, _ = run_in_memory(plan, ref.spec, grid, load_model(ref), outputs=ref.spec.outputs)
    return out if asked.uncertainty else np.ascontiguousarray(out[0])


def _sharpen_xarray(source: Any, files: Callable[..., Path], uncertainty: bool) -> Any:
    from terrafine.atomic import temporary_folder
    from terrafine.raster.read.dataarray import through_files

    with temporary_folder() as folder:
        return through_files(
            source, folder, lambda coarse, fine: files([os.fspath(coarse)], fine), one_band=not uncertainty
        )


def _sharpen_files(paths: list[str], destination: Path, **options: Any) -> Path:
    with contextlib.ExitStack() as opened:
        return _run_files(paths, destination, opened, **options)


def _run_files(
    paths: list[str],
    destination: Path,
    opened: contextlib.ExitStack,
    *,
    asked: _Asked,
    dask: Any,
    restart: bool,
    grid: tuple[tuple[float, float] | None, str | None],
    preview: Path | None,
    guidance: Guidance | None,
    reading: Mapping[str, Any],
    progress: Progress | None,
    report: Callable[[RunReport], None] | None,
) -> Path:
    from terrafine.inference.engine import run_job
    from terrafine.inference.job import engine_threads
    from terrafine.raster.read.source import open_source
    from terrafine.systems import load_model
    from terrafine.workflows.guidance import open_guided
    from terrafine.workflows.outputs import Target, check_destinations, follow, publish, scale_for
    from terrafine.workflows.preview import write_preview
    from terrafine.workflows.provenance import request_of, tags_of

    named, destination, preview = destination, follow(destination), None if preview is None else follow(preview)
    check_destinations(paths, destination, preview)
    source: Any = opened.enter_context(open_source(paths, **reading))
    target = Target(*grid)
    scale = asked.scale_or(scale_for(source, target))
    ref = asked.find(scale, engine_threads(asked.threads, destination, dask, restart))
    _only_known_bands(reading["bands"], ref)
    if ref.spec.inputs != ("elevation",):
        source = opened.enter_context(source.with_bands(ref.spec.inputs, reading["bands"]))
    plan = _planned(source.shape, ref, asked, guides=0 if guidance is None else len(ref.spec.guides))
    source.require_valid()
    warped = _refuse_early(source, ref, target, destination)
    if guidance is not None:
        source = opened.enter_context(open_guided(source, ref, guidance))
    identity = source.identity()
    check_destinations([file["path"] for file in identity["files"]], destination, preview)
    tags = tags_of(ref, identity, SCALE=ref.spec.scale, CONSISTENCY=ref.options.consistency)
    done = run_job(
        destination,
        plan,
        ref.spec,
        source,
        partial(load_model, ref),
        partial(publish, source, tags | dict(source.lineage), ref.spec, target, destination),
        outputs=ref.spec.outputs,
        request=request_of(ref, identity, target=dataclasses.asdict(target)),
        restart=restart,
        dask=dask,
        progress=progress,
    )
    if preview is not None:
        with open_source([os.fspath(destination)]) as made:
            write_preview(preview, made)
    if report is not None:
        report(dataclasses.replace(done, warped_to=warped, notes=source.notes))
    return named


def _only_known_bands(bands: Mapping[str, int] | None, ref: ModelRef) -> None:
    if strange := [name for name in bands or () if name not in ref.spec.inputs]:
        known = ", ".join(ref.spec.inputs)
        raise UsageError(f"band {', '.join(strange)}: model {ref.name} asks for {known}; name no other")


def _refuse_early(source: Any, ref: ModelRef, target: Target, destination: Path) -> tuple[int, int] | None:
    """What would stop the run is found before anything is written; the shape that its output is warped to, if it is."""
    from terrafine.systems import load_network
    from terrafine.workflows.outputs import warped_shape

    if ref.path is not None:
        load_network(ref)
    return warped_shape(source.geobox, ref.spec, target, destination)


def _planned(shape: tuple[int, int], ref: ModelRef, asked: _Asked, guides: int = 0) -> Any:
    from terrafine.inference.plan import make_plan
    from terrafine.workflows.provenance import bytes_per_cell

    each = bytes_per_cell(ref, 4096)
    return make_plan(shape, ref.spec, memory_bytes=asked.memory, tile=asked.tile, guides=guides, bytes_per_cell=each)


def _only_for_files(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"{name} is for a DEM in a file; an array holds metres, NaN where missing, and its result is an array"
            )
