"""`sharpen_image`: a 10 m image in, the image of a model ten times as fine out. `terrafine image` calls it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrafine.workflows.scene import Reading, Running, Scene, open_scene, outputs_for

if TYPE_CHECKING:
    from terrafine.inference.assemble import Residuals
    from terrafine.inference.engine import RunReport
    from terrafine.inference.progress import Progress

__all__ = ["sharpen_image"]

PathLike = str | os.PathLike[str]
_LOWEST, _HIGHEST = -0.2, 3.0  # what an image may be read with: `terrafine.raster.bands`


def sharpen_image(
    source: PathLike | Sequence[PathLike],
    destination: PathLike,
    *,
    scale: int = 10,
    sensor: str | None = None,
    model: PathLike = "jointseg",
    max_bright: float = 0.3,
    memory: int | None = None,
    dask: Any = None,
    restart: bool = False,
    preview: PathLike | None = None,
    bands: Mapping[str, int] | None = None,
    assume_crs: str | None = None,
    nodata: float | None = None,
    progress: Progress | None = None,
    report: Callable[[RunReport], None] | None = None,
    threads: int | None = None,
    tile: int | None = None,
) -> Path:
    """The bands that the model reads of a 10 m image, `scale` times as fine, reflectance kept; its path.

    Files only. `destination` is int16: reflectance × 10,000 with that scale stated in the file, so that readers that
    mind scales give reflectance; -32768 where a cell of the image misses a band. Low frequencies are held to the
    observation, and the tags say how closely; what is finer is the model's guess. Shadows may come out below 0 by as
    much as the observation's noise, which is why the numbers are signed.

    scale    10, or 4 where the model makes that too

    Other arguments as `terrafine.map_impervious`, and the same errors.
    """
    out, (picture,) = outputs_for(source, destination, (preview,))
    reading = Reading(sensor, bands, assume_crs, nodata, max_bright)
    running = Running(memory, dask, restart, threads, tile, progress)
    with open_scene(source, out, model, scale, None, reading, running) as scene:
        names = scene.ref.spec.outputs
        scene.run(out, partial(_publish, scene, out), names, 2 * len(names), report)
    if picture is not None:
        _draw(out, picture)
    return Path(destination)


def _publish(scene: Scene, out: Path, rows: Iterator[NDArray[np.float32]], residuals: Residuals, folder: Path) -> None:
    from terrafine.raster.grid import subdivided
    from terrafine.raster.write.class_style import REFLECTANCE
    from terrafine.raster.write.cog_writer import open_cog

    del folder
    names = scene.ref.spec.outputs
    grid = subdivided(scene.image.geobox, scene.ref.spec.scale)
    tags = scene.tags | scene.consistency_tags(residuals)
    with open_cog(out, grid, band_names=names, units=("1",) * len(names), encoding=REFLECTANCE, tags=tags) as file:
        for block in rows:
            file.push(np.clip(block, _LOWEST, _HIGHEST))


def _draw(out: Path, picture: Path) -> None:
    from terrafine.raster.read.reflectance import COLOURS
    from terrafine.raster.read.source import open_source
    from terrafine.workflows.preview import true_colour, write_preview

    with open_source(out, want=COLOURS, check_range=False) as source:
        write_preview(picture, source, COLOURS, true_colour)
