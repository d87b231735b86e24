"""A 10 m image and the model that sharpens it: opened, checked, planned and run."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from terrafine.arguments import check_share
from terrafine.errors import BandError, GridError, UsageError
from terrafine.raster.read.images.sensors import SENSORS_10M
from terrafine.workflows.device import device_bytes
from terrafine.workflows.inputs.domain import bright_notes, compared, resolution, trained_on
from terrafine.workflows.inputs.infrared import INFRARED, note_missing, without_infrared
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    from terrafine.inference.assemble import Residuals
    from terrafine.inference.engine import PublishOutput
    from terrafine.inference.plan import Plan
    from terrafine.raster.read.images.date_stack import DateStack
    from terrafine.raster.read.images.lazy_image import LazyRaster
    from terrafine.raster.read.images.reflectance import ImageSource
    from terrafine.systems import ModelRef

__all__ = ["MAX_BRIGHT", "Scene", "open_scene", "require_clear"]

PathLike = str | os.PathLike[str]
MAX_BRIGHT = 0.3
"""Default of the largest share of an image that may look like cloud or snow."""
_CELL_M, _CELLS_M = 10.0, (9.0, 11.0)
_LEAST_CELLS = 16  # along an image; smaller ones are mostly filled surroundings
_SHARD_PIXELS = 500_000  # some ten seconds of work on one core
_WITH_OVERVIEWS = 1.4
_TAGGED_TILES = 4096  # tiles whose consistency is stated one by one in a tag
_BYTES = 60_000  # live activations for one input cell where stage 2 is 24 features wide: 40,000 measured, 60,000 for σ


@dataclass(frozen=True, slots=True)
class Scene:
    """An open image and the model that sharpens it; a context manager.

    Attributes
    ----------
    image
        The open image.
    ref
        The model.
    run
        Options of the run.
    plan
        Division of the image into tiles and shards.
    identity
        Identity of the image.
    """

    image: ImageSource | DateStack
    ref: ModelRef
    run: RunOptions
    plan: Plan
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def cell_m(self) -> float:
        """Size of an output cell in the middle row, in metres."""
        middle = self.image.shape[0] // 2
        return float(self.image.pixel_size_m(slice(middle, middle + 1)).mean()) / self.ref.spec.scale

    @property
    def grid(self) -> str:
        """Pixel size and effective resolution of the output, such as `1 m grid, effective resolution 4.2 m`."""
        return f"{self.cell_m:.3g} m grid, effective resolution {resolution(self.ref)}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the output: software, model, source, sensor, grid and training data."""
        from terrafine.workflows.outputs.provenance import tags_of

        edge = self.ref.spec.halo * self.cell_m * self.ref.spec.scale
        missing = {"MISSING_BANDS": INFRARED} if self.ref.spec.network.get("infrared") is False else {}
        return tags_of(
            self.ref,
            self.identity,
            SENSOR=self.image.sensor.name,
            BRIGHT_SHARE=f"{self.image.bright_share():.3f}",
            **self.image.unmeasured,
            **missing,
            SCALE=self.ref.spec.scale,
            GRID=self.grid,
            TRAINED_ON=trained_on(self.ref),
            EDGES=f"within {edge:.0f} m of the raster's edge and of voids the model saw ground that was filled in",
        )

    def consistency_tags(self, residuals: Residuals) -> dict[str, str]:
        """Return tags that state how far the image, simulated at 10 m by the sensor model, is from the input.

        Parameters
        ----------
        residuals
            The deviations.

        Returns
        -------
        dict
            Tag to text; empty if the model makes no image.
        """
        if residuals.largest == 0.0:
            return {}
        tags = {
            "CONSISTENCY_LARGEST": f"{residuals.largest:.5f}",
            "CONSISTENCY_MEAN": f"{residuals.mean:.5f}",
            "CONSISTENCY_WHAT": "reflectance, |input - finer image simulated at the input's cells by its sensor|",
        }
        largest = residuals.tiles[0]
        if largest.size <= _TAGGED_TILES:
            for name, measure in zip(("TILES", "TILES_MEAN"), residuals.tiles.tolist(), strict=True):
                rows = (" ".join("void" if math.isnan(v) else f"{v:.4f}" for v in row) for row in measure)
                tags[f"CONSISTENCY_{name}"] = "; ".join(rows)
            tags["TILES"] = (
                f"{largest.shape[0]} x {largest.shape[1]} of {self.plan.tile[0]} x {self.plan.tile[1]} cells"
            )
        return tags

    @property
    def notes(self) -> tuple[str, ...]:
        """What the run says of the image: missing bands, clouds, and how it differs from the training data."""
        bright = bright_notes(self.image.bright_share())
        return (*self.image.notes, *bright, *compared(self.image, self.ref))

    def close(self) -> None:
        """Close the file handles of the image."""
        self.image.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def process(
        self,
        destination: Path,
        publish: PublishOutput,
        outputs: tuple[str, ...],
        bytes_each: int,
        findings: Callable[[], tuple[str, ...]] = tuple,
        **request: Any,
    ) -> None:
        """Run the model on every tile that an earlier run has not finished, then publish the output.

        Parameters
        ----------
        destination
            The output.
        publish
            Writes the output from its rows.
        outputs
            Bands of the model to keep.
        bytes_each
            Bytes per output cell in the published files.
        findings
            Lines about the published output, for the report.
        request
            Further parts of the request that a resumed run must match.

        Raises
        ------
        ResourceError, DiskError, OutputError, JobError
            As `terrafine.inference.engine.run_job`.
        """
        from terrafine.inference.engine import run_job
        from terrafine.systems import load_model
        from terrafine.workflows.outputs.provenance import request_of

        done = run_job(
            destination,
            self.plan,
            self.ref.spec,
            self.image,
            partial(load_model, self.ref),
            publish,
            outputs=outputs,
            request=request_of(self.ref, self.identity, **request),
            restart=self.run.restart,
            dask=self.run.dask,
            progress=self.run.reporter,
            device=self.run.device,
            output_bytes=int(_WITH_OVERVIEWS * bytes_each * math.prod(self.plan.output_shape)),
        )
        if self.run.report is not None:
            trained = f"trained on: {trained_on(self.ref)}"
            notes = (*done.notes, *self.notes)
            self.run.report(dataclasses.replace(done, findings=(self.grid, *findings(), trained), notes=notes))


def open_scene(
    source: PathLike | Sequence[PathLike] | LazyRaster,
    destination: Path,
    model: PathLike,
    scale: int,
    outputs: tuple[str, ...] | None,
    read: ReadOptions,
    run: RunOptions,
    *,
    max_bright: float | None,
    more_written: int = 0,
) -> Scene:
    """Open an image with the bands that a model reads, check it, and plan the run.

    Parameters
    ----------
    source
        The file, or several that are one mosaic, or with `read.stack` one for each date; or a lazy image.
    destination
        The output.
    model
        Name of a model, or path of a weights file.
    scale
        Output cells per side of an input cell.
    outputs
        Bands that the model gives beside those of its spec; None for its input bands alone, sharpened.
    read, run
        How the image is read, and how the run goes.
    max_bright
        Largest share that may look like cloud or snow; None for the default.
    more_written
        Number of further bands that are made from the outputs.

    Returns
    -------
    Scene
        The open scene.

    Raises
    ------
    UsageError
        If the sensor has no 10 m bands.
    GridError
        If cells are not about 10 m, or the image is smaller than the halo of the model.
    SourceError, BandError, EmptyError
        As `open_image`, or if the image looks like cloud.
    NoModelError, WeightsError, ResourceError
        As `find_model` and `make_plan`.
    """
    from terrafine.inference.job import engine_threads
    from terrafine.inference.planner import make_plan
    from terrafine.raster.protocol import closed_on_error
    from terrafine.raster.read.images.date_stack import DateStack
    from terrafine.raster.read.images.lazy_image import LazyRaster
    from terrafine.raster.read.images.reflectance import open_image
    from terrafine.raster.write.georeference import stored_crs
    from terrafine.systems import find_model, load_model
    from terrafine.workflows.inputs.dates import of_dates, open_dates, require_alike, require_dates
    from terrafine.workflows.outputs.destinations import listed
    from terrafine.workflows.outputs.provenance import bytes_per_cell

    if read.sensor not in (None, *SENSORS_10M):
        raise UsageError(f"sensor {read.sensor!r}; images of 10 m are read as {', '.join(SENSORS_10M)}")
    check_share(max_bright)
    threads = engine_threads(run.threads, destination, run.dask, run.restart)
    find = partial(find_model, model, scale, threads=threads, device=run.device, verb="map")
    ref = find()
    ref = find(outputs=ref.spec.inputs if outputs is None else (*ref.spec.outputs, *outputs))
    paths: list[Any] = [source] if isinstance(source, LazyRaster) else listed(source)
    if read.stack:
        require_dates(ref, paths)
    how: dict[str, Any] = {
        "sensor": read.sensor,
        "allowed": SENSORS_10M,
        "unless": SENSORS_10M[0],
        "bands": read.bands,
        "assume_crs": read.assume_crs,
        "nodata": read.nodata,
    }
    opened: Callable[..., ImageSource | DateStack] = partial(open_dates if read.stack else open_image, paths)
    try:
        image = opened(want=ref.spec.inputs, **how)
    except BandError as missing:
        weaker = without_infrared(ref, missing)
        if read.stack:
            require_alike(paths, INFRARED, want=ref.spec.inputs, **how)
        ref, image = weaker, opened(want=weaker.spec.inputs, **how)
        note_missing(image, ref, missing)
    if isinstance(image, DateStack):
        ref = of_dates(ref, len(image.images))
    with closed_on_error(image):
        load_model(ref)  # refuses outputs that it does not have before anything is written
        image.require_valid()
        stored_crs(image.paths[0], image.geobox)
        image.require_cells(_CELL_M, *_CELLS_M, ref.name)
        least = min(max(1, ref.spec.halo), _LEAST_CELLS)
        if min(image.shape) < least:
            raise GridError(
                f"{image.paths[0]}: {image.shape[0]} × {image.shape[1]} cells, of which {ref.name} could not see the "
                f"surroundings; expected at least {least} × {least}. Take a larger piece of the scene"
            )
        require_clear(image, max_bright, read.sensor)
        wide = int(ref.spec.network.get("second", {}).get("features", 24))
        plan = make_plan(
            image.shape,
            ref.spec,
            memory_bytes=run.memory_bytes,
            tile=run.tile,
            bytes_per_cell=bytes_per_cell(ref, _BYTES * max(wide, 24) // 24),
            shard_pixels=_SHARD_PIXELS,
            more_written=more_written,
            device_bytes=device_bytes(run.device),
        )
        return Scene(image, ref, run, plan, image.identity())


def require_clear(image: ImageSource | DateStack, max_bright: float | None, sensor: str | None) -> None:
    """Check that an image does not look like cloud; if its sensor is stated and no limit is, only note it.

    Parameters
    ----------
    image
        The open image.
    max_bright
        Largest share that may look like cloud or snow; None for MAX_BRIGHT.
    sensor
        The sensor that the user states, or None.

    Raises
    ------
    UsageError
        If the limit is not a share.
    SourceError
        If the share is larger.
    """
    check_share(max_bright)
    limit = MAX_BRIGHT if max_bright is None else max_bright
    image.require_clear(limit, warn=max_bright is None and sensor is not None)
