"""`map_impervious`: a 10 m image in, sealed ground on a grid ten times as fine out. `terrafine map` calls it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError
from terrafine.workflows.scene import Reading, Running, Scene, open_scene, outputs_for

if TYPE_CHECKING:
    from terrafine.atomic import Publish
    from terrafine.inference.assemble import Residuals
    from terrafine.inference.engine import RunReport
    from terrafine.inference.progress import Progress
    from terrafine.raster.read.areas import Areas

__all__ = ["SCALE", "map_impervious"]

PathLike = str | os.PathLike[str]
SCALE = 10


def map_impervious(
    source: PathLike | Sequence[PathLike],
    destination: PathLike,
    *,
    threshold: float = 0.5,
    probability: bool = False,
    sigma: bool = False,
    regions: PathLike | None = None,
    region_name: str | None = None,
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
    """Impervious ground in a 10 m image of red, green and blue (and near infrared, where the model reads it); its path.

    Files only. `destination` is uint8: 1 impervious, 0 other, 255 where a cell of the image misses a band; palette and
    names are inside, and the style for QGIS is beside it (.qml). Its cells are a tenth of the image's, corner for
    corner: a 1 m grid, which is not a resolution of 1 m. Tiles overlap, and their probabilities are blended, never the
    classes; the class is 1 where the blend is at least `threshold`.

    probability  also write NAME_probability.tif: whole per cent, 255 unknown
    sigma        the same of its mean over the eight mirrors and turns of the image, and their standard deviation as
                 second band: 8 times the work, and the classes are those of the mean
    regions      polygons, by whose field `region_name` areas are summed in NAME_regions.csv; its first field by default
    sensor       one of `terrafine.raster.read.sensors.SENSORS_10M`; by default Sentinel-2 without
                 offset, held to the values
    model        a name from `terrafine models`, or a .safetensors file
    max_bright   share of the image that may look like cloud or snow
    preview      a small picture, PNG

    Other arguments as `terrafine.sharpen_dem`. Raises UsageError, SourceError and its kin, WeightsError, NoModelError,
    ResourceError, DiskError, OutputError, JobError; what was there before is then as it was. All files of a run are
    published together: see `_publish`.
    """
    from terrafine.raster.read.areas import Areas, read_regions
    from terrafine.raster.write.class_style import style_path

    if not 0 < threshold < 1:
        raise UsageError(f"threshold {threshold:g}; expected a probability above 0 and below 1")
    if region_name is not None and regions is None:
        raise UsageError("region_name= is a field of regions=, which is not given")
    named = Path(destination)
    beside = (
        _beside(named, "_probability.tif") if probability or sigma else None,
        style_path(named),
        None if regions is None else _beside(named, "_regions.csv"),
        preview,
    )
    out, sidecars = outputs_for(source, named, beside, (regions,))
    kept = ("impervious", "impervious_sigma") if sigma else ("impervious",)
    reading = Reading(sensor, bands, assume_crs, nodata, max_bright)
    running = Running(memory, dask, restart, threads, tile, progress)
    with open_scene(source, out, model, SCALE, kept, reading, running, more_written=1) as scene:
        places = None if regions is None else read_regions(regions, scene.image.geobox, region_name)
        areas = Areas(scene.image, SCALE, places)
        scene.run(
            out,
            partial(_publish, scene, threshold, areas, out, sidecars),
            kept,
            1 + (len(kept) if sidecars[0] is not None else 0),
            report,
            lambda: (areas.sentence(),),
            map={
                "threshold": threshold,
                "probability": sidecars[0] is not None,
                "regions": None if not places else places.key,
            },
        )
    return named


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _publish(
    scene: Scene,
    threshold: float,
    areas: Areas,
    out: Path,
    sidecars: Sequence[Path | None],
    rows: Iterator[NDArray[np.float32]],
    residuals: Residuals,
    folder: Path,
) -> None:
    """The class map and its sidecar files (probability, style, areas and picture, or None), published together.

    All are written first, under hidden names. Then an old map is taken away, the sidecar files put in place, and
    the map last: whenever the run is killed, a map that exists has the sidecar files that were written with it. A
    failure leaves the old map and its sidecar files as they were.
    """
    from terrafine.atomic import PublishSet
    from terrafine.raster.grid import subdivided
    from terrafine.raster.write.class_style import IMPERVIOUS, PERCENT, class_tags, write_style
    from terrafine.raster.write.cog_writer import open_cog

    chance, style, table, picture = sidecars
    grid = subdivided(scene.image.geobox, SCALE)
    kept = scene.ref.spec.outputs
    tags = scene.tags | {"THRESHOLD": f"{threshold:g}"} | scene.consistency_tags(residuals)
    named = class_tags() | tags
    with PublishSet(out) as published:
        write = partial(open_cog, geobox=grid, publish=published.stage)
        likely = (
            contextlib.nullcontext()
            if chance is None
            else write(chance, band_names=kept, units=("1",) * len(kept), encoding=PERCENT, tags=tags)
        )
        with (
            write(out, band_names=("class",), units=("",), encoding=IMPERVIOUS, tags=named) as classes,
            likely as sure,
        ):
            for block in rows:
                sealed = np.where(np.isnan(block[0]), np.float32(np.nan), (block[0] >= threshold).astype(np.float32))
                areas.add(sealed)
                classes.push(sealed[None])
                if sure is not None:
                    sure.push(block)
            found = areas.tags()
            tags |= found
            named |= found
        if table is not None:
            areas.write(table, published.stage)
        if style is not None:
            write_style(style, published.stage)
        if picture is not None:
            _draw(published.staged_path(out), picture, published.stage)
    del folder


def _draw(written: Path, picture: Path, publish: Publish) -> None:
    from terrafine.raster.read.content_type import open_labels
    from terrafine.raster.write.class_style import COLOURS
    from terrafine.workflows.preview import shares, write_preview

    with open_labels(written) as source:
        write_preview(picture, source, ("class",), shares(COLOURS[0], COLOURS[1]), publish=publish)
