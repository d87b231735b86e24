"""`sharpen_image`: sharpen a 10 m image to a grid ten times as fine; `terrafine image` calls it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.fields import ImageFields, merge_options
from terrafine.workflows.inputs.arrays import destination_of, is_array, only_for_files, through_image
from terrafine.workflows.inputs.scene import Scene, open_scene
from terrafine.workflows.lazy_image import Finished, lazily
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.assemble import Residuals
    from terrafine.systems import ModelRef

__all__ = ["sharpen_image"]

PathLike = str | os.PathLike[str]
_LOWEST, _HIGHEST = -0.2, 3.0  # the valid range of reflectance in `terrafine.raster.bands`


@names_own_arguments(ImageFields)
def sharpen_image(
    source: Any,
    destination: PathLike | None = None,
    *,
    scale: int = 10,
    model: PathLike = "jointseg",
    max_bright: float | None = None,
    preview: PathLike | None = None,
    read: ReadOptions | None = None,
    run: RunOptions | None = None,
    **fields: Unpack[ImageFields],
) -> Any:
    """Sharpen the bands of a 10 m image that the model reads to a grid `scale` times as fine.

    The output is int16, reflectance × 10,000 with that scale stated in the file; -32768 where a cell of the image
    lacks a band. Low frequencies agree with the observation, and the tags state how closely; finer detail is the
    model's estimate. Shadows can be below 0 by as much as the noise of the observation, so the numbers are signed.

    Parameters
    ----------
    source
        A file with 10 m cells, or several that are read as one mosaic; an xarray.DataArray (band, y, x) or Dataset
        of bands with a georeference through `rio` or `odc`; or a numpy array (band, y, x), NaN at nodata, with
        `pixel_size_m` and the numbers of `bands`. Dask arrays stay lazy without `report`
        and `progress`.
    destination
        The GeoTIFF to write; only for files.
    scale
        10, or 4 where the model makes that too.
    model
        A name from `terrafine models`, or a .safetensors file.
    max_bright
        Largest share of the image that may look like cloud or snow. By default 0.3; a larger share is an error, or only
        a note if `sensor` is stated.
    preview
        Also write a small picture to this PNG; only for files.
    read, run
        How the image is read and how the run goes.
    **fields
        `bands`, `nodata`, `assume_crs`, `sensor` and `pixel_size_m` of `ReadOptions`; fields of `RunOptions` but
        `engine`.

    Returns
    -------
    Path or DataArray or ndarray
        The path that was written; or an array (band, y, x) like the input on the finer grid, float32 reflectance, NaN
        at nodata.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, EmptyError
        If an argument or an input cannot be used.
    WeightsError, NoModelError, MissingExtraError
        If a model cannot be used.
    ResourceError, DiskError, OutputError, JobError
        If the run cannot be completed. The output is then as it was before.
    """
    from terrafine.raster.read.image_array import array_of
    from terrafine.workflows.outputs.destinations import outputs_for

    reading, running = merge_options(sharpen_image, ImageFields, read, run, fields)
    if is_array(source):
        only_for_files(destination=destination, preview=preview)
        options: dict[str, Any] = {"scale": scale, "model": model, "max_bright": max_bright}
        lazy = lazily(source, reading, running, partial(open_scene, outputs=None, **options), _finished)
        return (
            lazy
            if lazy is not None
            else through_image(
                source,
                reading,
                running,
                lambda coarse, fine, how, run: sharpen_image(coarse, fine, read=how, run=run, **options),
                array_of,
            )
        )
    named = destination_of(source, destination, reading)
    out, picture, _ = outputs_for(source, named, preview=preview)
    with open_scene(source, out, model, scale, None, reading, running, max_bright=max_bright) as scene:
        names = scene.ref.spec.outputs
        scene.process(out, partial(_publish, scene, out), names, 2 * len(names))
    if picture is not None:
        _draw(out, picture)
    return named


def _publish(scene: Scene, out: Path, rows: Iterator[NDArray[np.float32]], residuals: Residuals, folder: Path) -> None:
    import numpy as np

    from terrafine.raster.grid import subdivided
    from terrafine.raster.write.class_style import REFLECTANCE
    from terrafine.raster.write.cog_writer import open_cog

    del folder
    names = scene.ref.spec.outputs
    grid = subdivided(scene.image.geobox, scene.ref.spec.scale)
    tags = scene.tags | scene.consistency_tags(residuals)
    layout = {"encoding": REFLECTANCE, **scene.run.layout}
    with open_cog(out, grid, band_names=names, units=("1",) * len(names), tags=tags, **layout) as file:
        for block in rows:
            file.push(np.clip(block, _LOWEST, _HIGHEST))


def _finished(ref: ModelRef) -> Finished:
    """How the output of a lazy run becomes its result: the reflectance that a file holds."""
    return Finished(_stored, "float32", ref.spec.outputs)


def _stored(block: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    from terrafine.raster.write.class_style import REFLECTANCE

    return REFLECTANCE.decoded(np.clip(block, _LOWEST, _HIGHEST))


def _draw(out: Path, picture: Path) -> None:
    from terrafine.raster.read.images.reflectance import COLOURS
    from terrafine.raster.read.source import open_source
    from terrafine.workflows.outputs.preview import true_colour, write_preview

    with open_source(out, want=COLOURS, check_range=False) as source:
        write_preview(picture, source, COLOURS, true_colour)
