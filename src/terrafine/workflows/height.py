"""`estimate_height`: relief from an optical image, or heights with a coarse DEM; `terrafine height` calls it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from terrafine.arguments import check_share
from terrafine.errors import OutputError, UsageError
from terrafine.workflows.advice import advice_for, names_own_arguments
from terrafine.workflows.device import device_bytes
from terrafine.workflows.fields import HeightFields, merge_options
from terrafine.workflows.inputs.arrays import destination_of, is_array, only_for_files, through_image
from terrafine.workflows.inputs.domain import compared, trained_on
from terrafine.workflows.inputs.scene import require_clear
from terrafine.workflows.lazy_image import Finished, Opened, lazily
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.assemble import Residuals
    from terrafine.inference.plan import Plan
    from terrafine.raster.read.images.lazy_image import LazyRaster
    from terrafine.raster.read.images.reflectance import ImageSource
    from terrafine.raster.warp.fusion import Anchor
    from terrafine.systems import ModelRef

__all__ = ["estimate_height"]

PathLike = str | os.PathLike[str]
_OF_ANCHOR = frozenset({"vertical_datum", "elevation_unit"})  # arguments that its reader takes
_CELLS = (0.3, 3.0)  # of the cell that a model was trained on


@names_own_arguments(HeightFields)
def estimate_height(
    source: Any,
    destination: PathLike | None = None,
    *,
    anchor: PathLike | None = None,
    model: PathLike = "relief",
    uncertainty: bool = False,
    max_bright: float | None = None,
    preview: PathLike | None = None,
    read: ReadOptions | None = None,
    run: RunOptions | None = None,
    **fields: Unpack[HeightFields],
) -> Any:
    """Estimate relief from one optical image of red, green and blue, on the image's grid.

    Without `anchor` the band is `relief`: metres above an unknown level, which is the same for the whole raster. With
    an anchor, a coarse elevation model, the band is `elevation`: low frequencies from the anchor, high ones from the
    image, and the mean over each cell of the anchor equals the anchor. Cells without red, green or blue are nodata.

    Parameters
    ----------
    source
        An image in a file, or several files that are read as one mosaic; an xarray.DataArray (band, y, x) or Dataset of
        bands with a georeference through `rio` or `odc`; or a numpy array (band, y, x), NaN at nodata, with
        `pixel_size_m` and the numbers of `bands`. Dask arrays stay lazy without `anchor`,
        `report` and `progress`.
    destination
        The GeoTIFF to write; only for files.
    anchor
        A file with a coarse elevation model; not for numpy, which has no place.
    model
        A name from `terrafine models`, or a .safetensors file.
    uncertainty
        Add a second band, `relief_sigma`, where the model has it; not with an anchor.
    max_bright
        Largest share of the image that may look like cloud or snow. By default 0.3; a larger share is an error, or only
        a note if `sensor` is stated.
    preview
        Also write a hillshade to this PNG; only for files.
    read, run
        How the input is read and how the run goes. `sensor` is by default detected from band names and value range.
    **fields
        `bands`, `nodata`, `assume_crs`, `sensor` and `pixel_size_m` of `ReadOptions`, for the image; `elevation_unit`
        and `vertical_datum`, for the anchor; fields of `RunOptions` but `engine`.

    Returns
    -------
    Path or DataArray or ndarray
        The path that was written; or an array (y, x) like the input, float32 metres, NaN at nodata; with `uncertainty`
        (band, y, x).

    Raises
    ------
    UsageError, SourceError, BandError, GridError, DatumError, EmptyError
        If an argument or an input cannot be used.
    WeightsError, NoModelError, MissingExtraError
        If a model cannot be used.
    ResourceError, DiskError, OutputError, JobError
        If the run cannot be completed. The output is then as it was before.
    """
    from terrafine.inference.engine import run_job
    from terrafine.raster.read.image_array import array_of, flat
    from terrafine.raster.read.source import open_source
    from terrafine.systems import load_model
    from terrafine.workflows.outputs.destinations import listed, outputs_for
    from terrafine.workflows.outputs.preview import write_preview
    from terrafine.workflows.outputs.provenance import request_of

    reading, running = merge_options(estimate_height, HeightFields, read, run, fields)
    check_share(max_bright)
    if is_array(source):
        only_for_files(destination=destination, preview=preview)
        if anchor is not None and not hasattr(source, "coords"):
            raise UsageError("anchor=DEM is for an image with a place; a numpy array has none. Give a DataArray")
        options: dict[str, Any] = {"anchor": anchor, "model": model, "uncertainty": uncertainty}
        open_ = partial(_lazy, model=model, uncertainty=uncertainty, max_bright=max_bright)
        finish = partial(_finished, uncertainty=uncertainty)
        lazy = None if anchor is not None else lazily(source, reading, running, open_, finish)
        return (
            lazy
            if lazy is not None
            else through_image(
                source,
                reading,
                running,
                lambda a, b, how, run: estimate_height(a, b, max_bright=max_bright, read=how, run=run, **options),
                lambda path, form: array_of(path, form) if uncertainty else flat(array_of(path, form)),
            )
        )
    named = destination_of(source, destination, reading)
    out, picture, _ = outputs_for(source, named, preview=preview, inputs=(anchor,))
    if anchor is not None and uncertainty:
        raise UsageError(
            "uncertainty=True is for relief alone; with anchor=DEM low frequencies come from it. Give one of them"
        )
    ref = _found(model, uncertainty, running, out)
    with contextlib.ExitStack() as opened:
        image = opened.enter_context(_open(listed(source), ref, reading, max_bright))
        unlike = compared(image, ref)
        ground = None if anchor is None else opened.enter_context(_anchor(anchor, image, reading))
        plan = _planned(image, ref, running)
        done = run_job(
            out,
            plan,
            ref.spec,
            image,
            partial(load_model, ref),
            partial(_publish, image, ref, ground, out, running.layout),
            outputs=ref.spec.outputs,
            request=request_of(ref, image.identity(), anchor=None if ground is None else ground.identity()),
            restart=running.restart,
            dask=running.dask,
            progress=running.reporter,
            device=running.device,
        )
    if picture is not None:
        band = "relief" if ground is None else "elevation"
        with open_source([os.fspath(out)], want=(band,)) as made:
            write_preview(picture, made, (band,), caption=f"trained on: {trained_on(ref)}")
    if running.report is not None:
        notes = (*done.notes, *image.notes, *unlike)
        running.report(dataclasses.replace(done, notes=notes, findings=(f"trained on: {trained_on(ref)}",)))
    return named


def _found(model: PathLike, uncertainty: bool, run: RunOptions, out: Path) -> ModelRef:
    """The model, which can be opened."""
    from terrafine.inference.job import engine_threads
    from terrafine.systems import find_model, load_network

    threads = engine_threads(run.threads, out, run.dask, run.restart)
    ref = find_model(model, 1, uncertainty=uncertainty, threads=threads, device=run.device, verb="height")
    load_network(ref)
    return ref


def _open(paths: Sequence[PathLike], ref: ModelRef, read: ReadOptions, max_bright: float | None) -> ImageSource:
    """The image, checked for the model."""
    from terrafine.raster.protocol import closed_on_error
    from terrafine.raster.read.images.reflectance import open_image
    from terrafine.raster.write.georeference import stored_crs

    options: dict[str, Any] = {"bands": read.bands, "assume_crs": read.assume_crs, "nodata": read.nodata}
    image = open_image(paths, sensor=read.sensor, **options)
    with closed_on_error(image):
        image.require_valid()
        stored_crs(image.paths[0], image.geobox)
        known = float(ref.spec.network.get("cell_m", 30.0))
        image.require_cells(known, _CELLS[0] * known, _CELLS[1] * known, ref.name)
        require_clear(image, max_bright, read.sensor)
    return image


def _planned(image: ImageSource, ref: ModelRef, run: RunOptions) -> Plan:
    from terrafine.inference.planner import make_plan
    from terrafine.workflows.outputs.provenance import bytes_per_cell

    # live activations: about six maps of the first width at a quarter of the cells, and the image
    each = bytes_per_cell(ref, 64 + 12 * int(ref.spec.network.get("width", 64)))
    return make_plan(
        image.shape,
        ref.spec,
        memory_bytes=run.memory_bytes,
        tile=run.tile,
        bytes_per_cell=each,
        device_bytes=device_bytes(run.device),
    )


def _lazy(
    raster: LazyRaster,
    out: Path,
    read: ReadOptions,
    run: RunOptions,
    *,
    model: PathLike,
    uncertainty: bool,
    max_bright: float | None,
) -> Opened:
    ref = _found(model, uncertainty, run, out)
    image = _open([raster], ref, read, max_bright)
    return Opened(image, ref, _planned(image, ref, run), (*image.notes, *compared(image, ref)))


def _finished(ref: ModelRef, *, uncertainty: bool) -> Finished:
    """How the output of a lazy run becomes its result: as it is."""
    return Finished(_as_it_is, "float32", ref.spec.outputs if uncertainty else None)


def _as_it_is(block: NDArray[np.float32]) -> NDArray[np.float32]:
    return block


def _anchor(path: PathLike, image: ImageSource, read: ReadOptions) -> Anchor:
    from terrafine.raster.protocol import closed_on_error
    from terrafine.raster.read.source import open_source
    from terrafine.raster.warp.fusion import Anchor

    with advice_for(_OF_ANCHOR):
        coarse = open_source(path, vertical_datum=read.vertical_datum, elevation_unit=read.elevation_unit)
        with closed_on_error(coarse):
            coarse.require_valid()
    with closed_on_error(coarse):
        return Anchor(coarse, image)


def _publish(
    image: ImageSource,
    ref: ModelRef,
    ground: Anchor | None,
    out: Path,
    layout: Mapping[str, Any],
    rows: Iterator[NDArray[np.float32]],
    residuals: Residuals,
    folder: Path,
) -> None:
    """Write the relief; with an anchor first into the job folder, then fused with it."""
    from terrafine.nn.system import ROUNDING_M
    from terrafine.raster.bands import band
    from terrafine.raster.read.source import open_source
    from terrafine.raster.warp.fusion import fit_relief_gain, fused_rows
    from terrafine.raster.write.cog_writer import write_cog

    def write(path: Path, names: tuple[str, ...], blocks: Iterator[NDArray[np.float32]], **more: Any) -> None:
        units = tuple(band(name).unit for name in names)
        area = image.area_or_point
        write_cog(path, image.geobox, blocks, band_names=names, units=units, nodata=None, area_or_point=area, **more)

    if ground is None:
        write(out, ref.spec.outputs, rows, tags=_tags(image, ref), **layout)
        return
    scratch = folder / "scratch-relief.tif"
    write(scratch, ref.spec.outputs, rows, tags={}, overviews=False, statistics=False)
    tags = _tags(image, ref) | {"ANCHOR": Path(ground.paths[0]).name, "ANCHOR_CELLS": str(ground.k)}
    relief = open_source([os.fspath(scratch)], want=("relief",))

    def joined() -> Iterator[NDArray[np.float32]]:
        worst: list[float] = []
        gain = fit_relief_gain(relief, ground)
        yield from fused_rows(relief, ground, gain, worst)
        tags["RELIEF_GAIN"] = str(gain)
        if not max(worst) <= ROUNDING_M:
            raise OutputError(
                f"{out}: the block means differ from the anchor by up to {max(worst):.3g} m; expected at most "
                f"{ROUNDING_M:g} m. Check the heights of the anchor, or estimate the relief alone, without an anchor",
                lasting=True,
            )
        tags["CONSISTENCY_RESIDUAL_M"] = f"{max(worst):.6f}"  # tags are written after the last row

    try:
        more: dict[str, Any] = {"vertical": ground.vertical, "surface": ground.surface}
        write(out, ("elevation",), joined(), tags=tags, **more, **layout)
    finally:
        relief.close()


def _tags(image: ImageSource, ref: ModelRef) -> dict[str, str]:
    from terrafine.workflows.outputs.provenance import tags_of

    return tags_of(
        ref,
        image.identity(),
        SENSOR=image.sensor.name,
        BRIGHT_SHARE=f"{image.bright_share():.3f}",
        TRAINED_ON=trained_on(ref),
        **image.unmeasured,
    )
