"""`map_impervious`: map impervious surface from a 10 m image on a grid ten times as fine; `terrafine map` calls it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from terrafine.errors import OutputError, UsageError
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.fields import MapFields, merge_options
from terrafine.workflows.inputs.arrays import destination_of, is_array, only_for_files, through_image
from terrafine.workflows.inputs.domain import trained_on
from terrafine.workflows.inputs.scene import Scene, open_scene
from terrafine.workflows.lazy_image import Finished, lazily
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.atomic import Publish
    from terrafine.inference.assemble import Residuals
    from terrafine.nn.spec import ModelSpec
    from terrafine.raster.read.image_form import ImageForm
    from terrafine.raster.read.source import Source
    from terrafine.raster.read.vectors.areas import Areas
    from terrafine.systems import ModelRef

__all__ = ["SCALE", "map_impervious"]

PathLike = str | os.PathLike[str]
SCALE = 10
_IMPERVIOUS, _BUILDING = "impervious", "building"


@names_own_arguments(MapFields)
def map_impervious(
    source: Any,
    destination: PathLike | None = None,
    *,
    threshold: float | None = None,
    probability: bool = False,
    sigma: bool = False,
    regions: PathLike | None = None,
    region_name: str | None = None,
    model: PathLike = "citymap",
    max_bright: float | None = None,
    preview: PathLike | None = None,
    read: ReadOptions | None = None,
    run: RunOptions | None = None,
    **fields: Unpack[MapFields],
) -> Any:
    """Map impervious surface, and buildings where the model separates them, in a 10 m image.

    The output is uint8: 0 other, 1 impervious, 2 impervious and a building (of a model that separates buildings), 255
    where a cell of the image lacks a band that the model reads; palette and names are inside, and a QGIS style is
    beside it (.qml). Its cells are a tenth of the image's: a 1 m grid, which is not a resolution of 1 m. Where tiles
    overlap, their probabilities are blended, never the classes. All files of a run are published together.

    Parameters
    ----------
    source
        A file with 10 m cells, or several that are read as one mosaic, or with `stack` as dates of one place; an
        xarray.DataArray (band, y, x) or Dataset of bands with a georeference through `rio` or `odc`; or a numpy array
        (band, y, x), NaN at nodata, with `pixel_size_m` and the numbers of `bands`. Dask arrays stay
        lazy without `report` and `progress`.
    destination
        The GeoTIFF to write; only for files.
    threshold
        Probability from which a cell counts as impervious; by default that of the model, chosen on the
        labels that it was calibrated on, else 0.5.
    probability
        Also write NAME_probability.tif: whole per cent, 255 unknown; a band for each of the model's classes.
    sigma
        The same of the mean over the eight mirrors and rotations of the image, with the standard deviation of
        impervious as a last band: 8 times the work, and the classes are those of the mean.
    regions
        Polygons whose areas are summed in NAME_regions.csv; only for files.
    region_name
        Field that names them; by default the first.
    model
        A name from `terrafine models`, or a .safetensors file.
    max_bright
        Largest share of the image that may look like cloud or snow. By default 0.3; a larger share is an error, or only
        a note if `sensor` is stated.
    preview
        Also write a small picture to this PNG; only for files.
    read, run
        How the image is read and how the run goes. `sensor` is one of `SENSORS_10M` in
        `terrafine.raster.read.images.sensors`; by default Sentinel-2 without offset, compared with the values.
    **fields
        `bands`, `nodata`, `assume_crs`, `sensor`, `stack` and `pixel_size_m` of `ReadOptions`; fields of `RunOptions`
        but `engine`.
        With `stack`, citymap combines the dates in any order, and leaves out each where its quality band marks cloud.

    Returns
    -------
    Path or DataArray or ndarray
        The path of the class map; or an array like the input on the finer grid: uint8 classes (y, x), 255 unknown; with
        `probability` or `sigma` float32 (band, y, x), the class and then probabilities, NaN unknown.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, EmptyError
        If an argument or an input cannot be used.
    WeightsError, NoModelError, MissingExtraError
        If a model cannot be used.
    ResourceError, DiskError, OutputError, JobError
        If the run cannot be completed. The outputs are then as they were before.
    """
    from terrafine.raster.read.vectors.areas import Areas, read_regions
    from terrafine.raster.write.class_style import style_path
    from terrafine.workflows.outputs.destinations import outputs_for

    reading, running = merge_options(map_impervious, MapFields, read, run, fields)
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"threshold {threshold:g}; expected a probability above 0 and below 1")
    if region_name is not None and regions is None:
        raise UsageError("region_name= is a field of regions=, which is not given")
    if is_array(source):
        only_for_files(destination=destination, preview=preview, regions=regions)
        options: dict[str, Any] = {"threshold": threshold, "probability": probability, "sigma": sigma, "model": model}
        more = ("impervious_sigma",) if sigma else ()
        scene: Any = partial(open_scene, model=model, scale=SCALE, outputs=more, max_bright=max_bright, more_written=1)
        finish = partial(_finished, threshold=threshold, chances=probability or sigma)
        lazy = lazily(source, reading, running, scene, finish)
        return (
            through_image(
                source,
                reading,
                running,
                lambda a, b, how, run: map_impervious(a, b, max_bright=max_bright, read=how, run=run, **options),
                partial(_arrays, chances=probability or sigma),
            )
            if lazy is None
            else lazy
        )
    named = destination_of(source, destination, reading)
    if not named.name:
        raise OutputError(f"{named}: is a folder; expected the path of a file to write")
    beside = (
        _beside(named, "_probability.tif") if probability or sigma else None,
        style_path(named),
        None if regions is None else _beside(named, "_regions.csv"),
    )
    out, picture, sidecars = outputs_for(source, named, preview=preview, sidecars=beside, inputs=(regions,))
    more = ("impervious_sigma",) if sigma else ()
    with open_scene(source, out, model, SCALE, more, reading, running, max_bright=max_bright, more_written=1) as scene:
        kept = scene.ref.spec.outputs
        limits = _limits(scene.ref.spec, threshold)
        places = None if regions is None else read_regions(regions, scene.image.geobox, region_name)
        areas = Areas(scene.image, SCALE, places, buildings=_BUILDING in kept)
        scene.process(
            out,
            partial(_publish, scene, limits, areas, out, [*sidecars, picture]),
            kept,
            1 + (len(kept) if sidecars[0] is not None else 0),
            lambda: (areas.sentence(),),
            map={
                "threshold": limits[_IMPERVIOUS],
                "probability": sidecars[0] is not None,
                "regions": None if not places else places.key,
            },
        )
    return named


def _arrays(path: Path, form: ImageForm, *, chances: bool) -> Any:
    """The result of an image in memory: classes, or classes and probabilities as bands."""
    import numpy as np

    from terrafine.raster.read.image_array import array_of, classes_of, stacked

    if not chances:
        return classes_of(path, form)
    classes, likely = array_of(path, form), array_of(_beside(path, "_probability.tif"), form)
    return np.concatenate((classes, likely)) if form.source is None else stacked(classes, likely)


def _finished(ref: ModelRef, *, threshold: float | None, chances: bool) -> Finished:
    """How the probabilities of a lazy run become its result: classes, or classes and probabilities as bands."""
    from terrafine.raster.write.class_style import IMPERVIOUS

    numbers = partial(_numbers, names=ref.spec.outputs, limits=_limits(ref.spec, threshold), chances=chances)
    if chances:
        return Finished(numbers, "float32", ("class", *ref.spec.outputs))
    return Finished(numbers, IMPERVIOUS.dtype, None, IMPERVIOUS.nodata)


def _numbers(
    block: NDArray[np.float32], names: Sequence[str], limits: Mapping[str, float], chances: bool
) -> NDArray[Any]:
    """What files hold: whole classes, or classes and probabilities in whole per cent."""
    import numpy as np

    from terrafine.raster.write.class_style import IMPERVIOUS, PERCENT

    classes = _classes(block, names, limits)
    if chances:
        return np.stack((classes, *PERCENT.decoded(block)))
    return np.where(np.isnan(classes), IMPERVIOUS.nodata, classes).astype(IMPERVIOUS.dtype)[None]


def _limits(spec: ModelSpec, threshold: float | None) -> dict[str, float]:
    """Probability from which a cell is of each class: that of the user for impervious, else the model's, else 0.5."""
    known = {
        name: spec.calibration.get(f"{name}_threshold", 0.5) for name in spec.outputs if not name.endswith("sigma")
    }
    return known if threshold is None else known | {_IMPERVIOUS: threshold}


def _classes(block: NDArray[np.float32], names: Sequence[str], limits: Mapping[str, float]) -> NDArray[np.float32]:
    """Class of each cell, NaN where unknown; a building counts as impervious."""
    import numpy as np

    from terrafine.raster.write.class_style import BUILDING

    found: NDArray[np.float32] = (block[names.index(_IMPERVIOUS)] >= limits[_IMPERVIOUS]).astype(np.float32)
    if _BUILDING in names:
        found[block[names.index(_BUILDING)] >= limits[_BUILDING]] = BUILDING
    found[np.isnan(block[0])] = np.nan
    return found


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _publish(
    scene: Scene,
    limits: Mapping[str, float],
    areas: Areas,
    out: Path,
    sidecars: Sequence[Path | None],
    rows: Iterator[NDArray[np.float32]],
    residuals: Residuals,
    folder: Path,
) -> None:
    """The class map and its sidecar files (probability, style, areas and picture, or None), published together.

    All are written first, under hidden names. Then an old map is moved aside, the sidecar files get their names, and
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
    buildings = _BUILDING in kept
    tags = scene.tags | {"THRESHOLD": f"{limits[_IMPERVIOUS]:.4g}"} | scene.consistency_tags(residuals)
    tags |= {"THRESHOLD_BUILDING": f"{limits[_BUILDING]:.4g}"} if buildings else {}
    named = class_tags(buildings) | tags
    with PublishSet(out) as published:
        write: Any = partial(open_cog, geobox=grid, publish=published.stage, **scene.run.layout)
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
                found = _classes(block, kept, limits)
                areas.add(found, block[[kept.index(name) for name in (_IMPERVIOUS, _BUILDING) if name in kept]])
                classes.push(found[None])
                if sure is not None:
                    sure.push(block)
            summed = areas.tags()
            tags |= summed
            named |= summed
        if table is not None:
            areas.write(table, published.stage)
        if style is not None:
            write_style(style, published.stage, buildings)
        if picture is not None:
            _draw(published.staged_path(out), picture, published.stage, f"trained on: {trained_on(scene.ref)}")
    del folder


def _draw(written: Path, picture: Path, publish: Publish, caption: str) -> None:
    from terrafine.raster.read.content_type import open_labels
    from terrafine.raster.write.class_style import COLOURS
    from terrafine.workflows.outputs.preview import shares, write_preview

    with open_labels(written) as source:
        draw = shares(COLOURS[0], COLOURS[1])
        write_preview(picture, _Sealed(source), ("class",), draw, publish=publish, caption=caption)


class _Sealed:
    """A class map of which every class of impervious ground reads as 1."""

    def __init__(self, source: Source) -> None:
        self._source, self.shape = source, source.shape
        self.geobox, self.bands = source.geobox, source.bands

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        values, valid = self._source.read(band, rows, cols)
        return values.clip(max=1), valid

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        return self._source.pixel_size_m(rows)
