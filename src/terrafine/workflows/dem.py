"""`sharpen_dem`: super-resolve an elevation model from files, xarray or numpy; `terrafine dem` calls it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from terrafine.errors import EmptyError, UsageError
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.dem_request import DemRequest
from terrafine.workflows.fields import GUIDANCE_FIELDS, DemFields, merge_options
from terrafine.workflows.inputs.arrays import is_dataarray
from terrafine.workflows.options import ReadOptions, RunOptions, TargetGrid, is_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.systems import ModelRef
    from terrafine.workflows.inputs.guidance import Guidance

__all__ = ["sharpen_dem"]

PathLike = str | os.PathLike[str]


@names_own_arguments(DemFields, also=GUIDANCE_FIELDS)
def sharpen_dem(
    source: Any,
    destination: PathLike | None = None,
    *,
    scale: int | None = None,
    model: PathLike | None = None,
    consistency: str | None = None,
    uncertainty: bool = False,
    self_ensemble: bool = False,
    preview: PathLike | None = None,
    guidance: Guidance | None = None,
    target: TargetGrid | None = None,
    read: ReadOptions | None = None,
    run: RunOptions | None = None,
    **fields: Unpack[DemFields],
) -> Any:
    """Super-resolve an elevation model: subdivide each cell and keep the georeference exactly.

    Block means of the ground are kept exactly; a product with noise, such as SRTM, is held to within that noise. Nodata
    stays nodata, and heights keep the vertical datum of the input.

    Parameters
    ----------
    source
        A path, or several that are read as one mosaic; an xarray.DataArray (y, x) with a georeference through `rio` or
        `odc`, of which a dask array of metres stays lazy unless `target`, `guidance`, `report` or `progress` is given;
        or a numpy array (y, x) of metres, NaN at nodata, with `pixel_size_m`.
    destination
        The GeoTIFF to write; only for files.
    scale
        Output cells along one side of an input cell: 2, 3 or 4. By default 4, or what the weights serve.
    model
        A name from `terrafine models`, or a .safetensors file. By default ridgeline2 for a product with noise, such as
        SRTM, else ridgeline; pimsr with `guidance`.
    consistency
        `hard`: block means equal the input; `soft`: within the keyword `tolerance_m`, by default 1 m; `product`: the
        cells as the product would see the output equal the input within its noise; `none`: as the model gives. By
        default `product` for ridgeline2 on a product with noise, else `hard`.
    uncertainty
        Add a second band, `elevation_sigma`, the standard error in metres; arrays are then (band, y, x).
    self_ensemble
        Take the mean over the eight mirrored and rotated inputs.
    preview
        Also write a hillshade to this PNG; only for files.
    guidance
        Radar or images that guide the model; not for numpy.
    target
        Grid to write instead of the input's subdivided. The model runs on the input's grid with the smallest scale
        that is at least as fine, and its output is warped: by area mean where the target is coarser, else by cubic
        convolution.
    read, run
        How the input is read and how the run goes.
    **fields
        Fields of `ReadOptions` but `sensor`, and of `RunOptions`; `target_resolution` and `target_crs` of `target`;
        `tolerance_m`, the metres that a block mean may differ from the input with consistency `soft`; `hydro`, True to
        write beside a file the filled DEM, flow directions, contributing area, and a GeoPackage of streams and basins
        (NAME_filled.tif, NAME_flow.tif, NAME_area.tif, NAME_hydro.gpkg); `stream_area_km2`, the contributing area at
        which streams begin, by default a power of ten that suits the extent.

    Returns
    -------
    Path or DataArray or ndarray
        The path that was written; or an array like the input on the finer grid, float32 metres.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, DatumError, EmptyError
        If an argument or an input cannot be used.
    WeightsError, NoModelError, MissingExtraError
        If a model or an engine cannot be used.
    ResourceError, DiskError, OutputError, JobError
        If the run cannot be completed. The output is then as it was before.

    Examples
    --------
    >>> terrafine.sharpen_dem("glo30.tif", "fine.tif", scale=4)  # doctest: +SKIP
    """
    import numpy as np

    from terrafine.raster.products import find_product
    from terrafine.workflows.lazy_dem import sharpen_lazily
    from terrafine.workflows.outputs.destinations import check_names
    from terrafine.workflows.outputs.streams import asked_streams

    reading, running = merge_options(sharpen_dem, DemFields, read, run, fields)
    grid = _target(target, fields)
    if model is not None and not isinstance(model, str | os.PathLike):
        raise UsageError(f"model={model!r}; expected a name from `terrafine models`, or the path of a weights file")
    if scale is not None and not is_whole(scale):
        raise UsageError(f"scale={scale!r}; expected 2, 3 or 4")
    known = None if reading.product is None else find_product(reading.product)
    chosen = None if model is None else os.fspath(model)
    hydro = asked_streams(fields.get("hydro", False), fields.get("stream_area_km2"), running)
    asked = DemRequest(scale, chosen, consistency, uncertainty, self_ensemble, running, known, hydro=hydro)
    if "tolerance_m" in fields:
        if not 0 <= fields["tolerance_m"] < np.inf:
            raise UsageError(f"tolerance_m={fields['tolerance_m']:g}; expected metres, 0 or more")
        asked = dataclasses.replace(asked, tolerance_m=fields["tolerance_m"])
    if isinstance(source, np.ndarray):
        _only_for_files(destination=destination, preview=preview, dask=running.dask, guidance=guidance)
        _only_for_files(hydro=fields.get("hydro") or None)
        _only_for_files(target_crs=grid.crs, target_resolution=grid.resolution, bands=reading.bands)
        _only_for_files(nodata=reading.nodata, assume_crs=reading.assume_crs)
        _only_for_files(creation_options=running.creation_options)
        _only_for_files(vertical_datum=reading.vertical_datum, elevation_unit=reading.elevation_unit)
        return _sharpen_array(source, reading.pixel_size_m, asked)
    if isinstance(reading.pixel_size_m, np.ndarray):
        raise UsageError("pixel_size_m by row is for numpy heights; for a file without CRS give one number, or (y, x)")
    grid.check()
    check_names(Path(destination or ""), None if preview is None else Path(preview))
    files = partial(_sharpen_files, asked=asked, grid=grid, preview=preview, guidance=guidance)
    if isinstance(source, (str, os.PathLike)) or _is_paths(source):
        if destination is None:
            raise UsageError("a DEM in a file needs a destination, the path of the GeoTIFF to write")
        paths = [source] if isinstance(source, (str, os.PathLike)) else list(source)
        return files([os.fspath(p) for p in paths], Path(destination), reading=reading)
    if is_dataarray(source):
        _only_for_files(destination=destination, bands=reading.bands, creation_options=running.creation_options)
        _only_for_files(hydro=fields.get("hydro") or None)
        lazy = sharpen_lazily(source, reading, asked, grid, guidance is not None)
        return _sharpen_xarray(source, files, reading, uncertainty) if lazy is None else lazy
    raise UsageError(f"a DEM cannot be a {type(source).__name__}; expected a path, a DataArray or a numpy array")


def _is_paths(source: Any) -> bool:
    return isinstance(source, Sequence) and bool(source) and all(isinstance(p, (str, os.PathLike)) for p in source)


def _target(target: TargetGrid | None, fields: DemFields) -> TargetGrid:
    """Return the grid to write from the object and from keywords, which override it."""
    base = target or TargetGrid()
    asked = fields.get("target_resolution", base.resolution), fields.get("target_crs", base.crs)
    return TargetGrid(*asked, base.snapped)


def _sharpen_array(values: NDArray[Any], pixel_size_m: Any, asked: DemRequest) -> NDArray[np.float32]:
    import numpy as np

    from terrafine.inference.engine import run_in_memory
    from terrafine.raster.grid import plausible_cell
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.array import ArraySource
    from terrafine.raster.read.array_values import require_heights
    from terrafine.systems import load_model

    if isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.float32(np.nan), values.data)
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "iuf":
        raise UsageError(f"an array of shape {values.shape} and type {values.dtype}; expected heights as (y, x)")
    if pixel_size_m is None:
        raise UsageError("numpy heights need pixel_size_m, the size of a cell in metres: one number, or (y, x)")
    sizes = np.asarray(pixel_size_m, np.float64)
    if sizes.ndim < 2:
        sizes = np.broadcast_to(np.broadcast_to(sizes, 2)[:, None], (2, values.shape[0]))
    if sizes.shape != (2, values.shape[0]) or not all(map(plausible_cell, sizes.ravel().tolist())):
        raise UsageError(f"pixel_size_m {pixel_size_m!r}; expected metres above 0: one number, (y, x), or (2, rows)")
    known = values[~np.isnan(values)]
    if known.size == 0:
        raise EmptyError("the array holds no height, only NaN; expected at least one valid cell")
    require_heights(known, "the array")
    grid = ArraySource({"elevation": values}, sizes)
    asked = asked.settled(resolve_product(grid, asked.product), guided=False)
    ref = asked.find(asked.scale_or(4), asked.run.threads)
    plan = asked.plan((values.shape[0], values.shape[1]), ref)
    out, _ = run_in_memory(
        plan,
        ref.spec,
        grid,
        load_model(ref),
        outputs=ref.spec.outputs,
        residual_limit=ref.options.residual_limit_m,
    )
    return out if asked.uncertainty else np.ascontiguousarray(out[0])


def _sharpen_xarray(source: Any, files: Callable[..., Path], reading: ReadOptions, uncertainty: bool) -> Any:
    from terrafine.atomic import temporary_folder
    from terrafine.raster.read.dataarray import through_files

    def work(coarse: Path, fine: Path, unit: str) -> None:
        files([os.fspath(coarse)], fine, reading=dataclasses.replace(reading, elevation_unit=unit or None, nodata=None))

    with temporary_folder() as folder:
        return through_files(
            source,
            folder,
            work,
            one_band=not uncertainty,
            elevation_unit=reading.elevation_unit,
            nodata=reading.nodata,
            located=reading.assume_crs is not None or reading.pixel_size_m is not None,
        )


def _sharpen_files(paths: list[str], destination: Path, **options: Any) -> Path:
    with contextlib.ExitStack() as opened:
        return _run_files(paths, destination, opened, **options)


def _run_files(
    paths: list[str],
    destination: Path,
    opened: contextlib.ExitStack,
    *,
    asked: DemRequest,
    grid: TargetGrid,
    preview: PathLike | None,
    guidance: Guidance | None,
    reading: ReadOptions,
) -> Path:
    from terrafine.inference.engine import run_job
    from terrafine.inference.job import engine_threads
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.source import open_source
    from terrafine.systems import load_model
    from terrafine.workflows.inputs.guidance import open_guided
    from terrafine.workflows.outputs.destinations import check_destinations, follow
    from terrafine.workflows.outputs.preview import write_preview
    from terrafine.workflows.outputs.provenance import product_tags, request_of, tags_of
    from terrafine.workflows.outputs.streams import publish_with_streams
    from terrafine.workflows.outputs.write import publish, scale_for, target_grid

    run = asked.run
    named, destination, picture = destination, follow(destination), None if preview is None else follow(Path(preview))
    check_destinations(paths, destination, picture)
    asked.refuse_early()
    source: Any = opened.enter_context(
        open_source(
            paths,
            bands=reading.bands,
            vertical_datum=reading.vertical_datum,
            assume_crs=reading.assume_crs,
            nodata=reading.nodata,
            elevation_unit=reading.elevation_unit,
            pixel_size_m=reading.pixel_size_m,  # type: ignore[arg-type]  # an array is refused before
        )
    )
    kind = resolve_product(source, asked.product)
    asked = asked.settled(kind, guided=guidance is not None)
    scale = asked.scale_or(scale_for(source, grid))
    ref = asked.find(scale, engine_threads(run.threads, destination, run.dask, run.restart))
    _only_known_bands(reading.bands, ref)
    if ref.spec.inputs != ("elevation",):
        source = opened.enter_context(source.with_bands(ref.spec.inputs, reading.bands))
    plan = asked.plan(source.shape, ref, guides=0 if guidance is None else len(ref.spec.guides))
    source.require_valid()
    warped = _refuse_early(source, ref, grid, destination)
    if guidance is not None:
        source = opened.enter_context(open_guided(source, ref, guidance))
    if asked.hydro is not None:
        crs = (target_grid(source.geobox, ref.spec, grid) or source.geobox).crs
        asked.hydro.check(paths, destination, warped or plan.output_shape, crs)
    identity = source.identity()
    check_destinations([file["path"] for file in identity["files"]], destination, picture)
    tags = tags_of(ref, identity, SCALE=ref.spec.scale, CONSISTENCY=ref.options.consistency, **product_tags(kind))
    write: Any = partial(publish, source, tags | dict(source.lineage), ref.spec, grid, destination)
    lines: list[str] = []
    done = run_job(
        destination,
        plan,
        ref.spec,
        source,
        partial(load_model, ref),
        partial(write, layout=run.layout)
        if asked.hydro is None
        else partial(publish_with_streams, asked.hydro, write, destination, run.layout, lines),
        outputs=ref.spec.outputs,
        request=request_of(ref, identity, target=dataclasses.asdict(grid), product=kind.product.identity()),
        restart=run.restart,
        dask=run.dask,
        progress=run.reporter,
        residual_limit=ref.options.residual_limit_m,
        device=run.device,
    )
    if picture is not None:
        with open_source([os.fspath(destination)]) as made:
            write_preview(picture, made)
    if run.report is not None:
        notes = (*source.notes, *([kind.note] if kind.note else []))
        run.report(dataclasses.replace(done, warped_to=warped, notes=notes, findings=(kind.line, *lines)))
    return named


def _only_known_bands(bands: Mapping[str, int] | None, ref: ModelRef) -> None:
    if strange := [name for name in bands or () if name not in ref.spec.inputs]:
        known = ", ".join(ref.spec.inputs)
        raise UsageError(f"band {', '.join(strange)}: model {ref.name} does not read it; expected only {known}")


def _refuse_early(source: Any, ref: ModelRef, grid: TargetGrid, destination: Path) -> tuple[int, int] | None:
    """Raise what would stop the run before anything is written; return the shape that the output is warped to."""
    from terrafine.raster.write.georeference import stored_crs
    from terrafine.systems import load_network
    from terrafine.workflows.outputs.write import target_grid, warped_shape

    if ref.path is not None:
        load_network(ref)
    stored_crs(source.paths[0], target_grid(source.geobox, ref.spec, grid) or source.geobox)
    return warped_shape(source.geobox, ref.spec, grid, destination)


def _only_for_files(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"{name} is for a DEM in a file; an array holds metres, NaN at nodata, and its result is an array"
            )
