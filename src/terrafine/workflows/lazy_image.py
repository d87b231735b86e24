"""Dask-backed images stay lazy: each chunk of the result is one shard of the plan, run when it is computed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from terrafine.errors import TerrafineError
from terrafine.workflows.inputs.arrays import only_for_files, warn_of
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.in_memory import Parts
    from terrafine.inference.plan import Plan
    from terrafine.raster.read.images.lazy_image import LazyRaster
    from terrafine.raster.read.images.reflectance import ImageSource
    from terrafine.systems import ModelRef

__all__ = ["Finished", "Opened", "lazily"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A lazy image, checked, with the model and the plan of its run.

    Attributes
    ----------
    image
        The image.
    ref
        The model.
    plan
        The plan.
    notes
        What the run says of the image.
    """

    image: ImageSource
    ref: ModelRef
    plan: Plan
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How the output of a model becomes the result.

    Attributes
    ----------
    numbers
        Makes (band, y, x) of the result from (band, y, x) of the model; picklable.
    dtype
        Type of the result.
    bands
        Names of its bands; None for a result (y, x) of one band.
    nodata
        Nodata value that the result states; None for NaN.
    """

    numbers: Callable[[NDArray[np.float32]], NDArray[Any]]
    dtype: str
    bands: Sequence[str] | None
    nodata: float | None = None


def lazily(
    source: Any,
    reading: ReadOptions,
    running: RunOptions,
    open_: Callable[..., Any],
    finish: Callable[[ModelRef], Finished],
) -> Any:
    """Run a verb of images on a dask-backed DataArray or Dataset without computing it.

    Options, bands, grid, sensor and model are checked at once: of the numbers only 16 windows of 192 × 192 cells spread
    over the image are computed, by which an image in memory is judged too. The numbers of the result are those that the
    same image in memory gives. Cells out of the range of reflectance are counted in each part. What a report would
    note of the image is warned of at once, as a UserWarning that names the array.

    Parameters
    ----------
    source
        A DataArray, a Dataset or a numpy array.
    reading, running
        Options of the verb.
    open_
        Opens and checks the image, and plans the run: an `Opened`, or a `Scene`. It is given the image, the path of
        an output, and the options as `read` and `run`.
    finish
        What becomes of the output of a model.

    Returns
    -------
    DataArray or None
        None where the run is not lazy: for an array in memory, on a cluster that the verb is given, with `report` or
        `progress`, and for models whose tiles are levelled among each other.

    Raises
    ------
    TerrafineError
        As the verb; what is wrong with numbers outside the sample is raised when they are computed.
    """
    from terrafine.atomic import temporary_folder
    from terrafine.raster.read.image_form import one_array, prepared
    from terrafine.raster.read.images.lazy_image import LazyRaster

    if not hasattr(source, "coords") or running.dask is not None or running.followed:
        return None
    if not one_array(source).chunks:
        return None
    if reading.pixel_size_m is not None:
        return None  # refused with the images in memory
    only_for_files(creation_options=running.creation_options, stack=reading.stack)
    image = prepared(source, reading.assume_crs is not None)
    with temporary_folder() as folder:
        path = folder / "image.tif"
        with LazyRaster(image, path) as raster:
            try:
                opened: Opened = open_(raster, folder / "result.tif", read=reading, run=running)
            except TerrafineError as error:
                error.args = (str(error).replace(str(path), raster.path).replace(path.name, raster.path),)
                raise
            if opened.plan.overlap and opened.ref.spec.relative:
                return None
            made = finish(opened.ref)
            warn_of(raster.path, (note.replace(str(path), raster.path) for note in opened.notes))
            return image.finer(
                _made(raster, opened, made), opened.image.geobox, opened.plan.scale, made.bands, made.nodata
            )


def _made(raster: LazyRaster, opened: Opened, made: Finished) -> Any:
    """The result as a dask array."""
    from terrafine.inference.lazy import lazy_shards
    from terrafine.systems import load_model

    image, ref, plan = opened.image, opened.ref, opened.plan
    bands = image.stored_bands
    run = partial(_run, pickle.dumps((image, raster)), bands, partial(load_model, ref), ref, plan)
    count = None if made.bands is None else len(made.bands)
    return lazy_shards(
        raster.numbers(bands), plan, run, len(ref.spec.outputs), partial(_ended, made), count, made.dtype
    )


def _run(
    stated: bytes,
    bands: Sequence[int],
    open_model: Callable[[], Any],
    ref: ModelRef,
    plan: Plan,
    block: NDArray[Any],
    place: tuple[int, int],
    index: int,
) -> Parts:
    """The parts of one shard's tiles, from the window that it reads."""
    from terrafine.inference.in_memory import shard_tiles

    image, raster = pickle.loads(stated)
    raster.hold(block, bands, *place)
    image.require_possible(*plan.inner(index))
    return shard_tiles(plan, ref.spec, image, open_model, index)


def _ended(made: Finished, block: NDArray[np.float32]) -> NDArray[Any]:
    values = made.numbers(block)
    return values[0] if made.bands is None else values
