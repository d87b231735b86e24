"""A 10 m image on its way through a model that makes it finer: opened, refused where it cannot serve, planned, run."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from terrafine.errors import GridError, UsageError
from terrafine.raster.read.sensors import SENSORS_10M
from terrafine.workflows.device import device_bytes
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    from terrafine.inference.assemble import Residuals
    from terrafine.inference.engine import PublishOutput
    from terrafine.inference.plan import Plan
    from terrafine.raster.read.reflectance import ImageSource
    from terrafine.systems import ModelRef

__all__ = ["MAX_BRIGHT", "Scene", "open_scene", "require_clear"]

PathLike = str | os.PathLike[str]
MAX_BRIGHT = 0.3
"""Share of an image that may look like cloud or snow, where no other is given."""
_CELL_M, _CELLS_M = 10.0, (9.0, 11.0)
_SHARD_PIXELS = 500_000  # some ten seconds of work on one core
_WITH_OVERVIEWS = 1.4
_TAGGED_TILES = 4096  # tiles whose consistency is stated one by one in a tag
_BYTES = 60_000  # live activations for one input cell where stage 2 is 24 features wide: 40,000 measured, 60,000 for σ


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and the model that it goes through."""

    image: ImageSource
    ref: ModelRef
    run: RunOptions
    plan: Plan
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def cell_m(self) -> float:
        """Size of an output cell in the middle row, metres."""
        middle = self.image.shape[0] // 2
        return float(self.image.pixel_size_m(slice(middle, middle + 1)).mean()) / self.ref.spec.scale

    @property
    def grid(self) -> str:
        """`1 m grid, effective resolution 4.2 m`: pixel size is not resolution, which is stated too."""
        known = self.ref.spec.provenance.get("effective_resolution_m")
        worth = f"effective resolution {float(known):.2g} m" if known else "effective resolution not measured"
        return f"{self.cell_m:.3g} m grid, {worth}"

    @property
    def tags(self) -> dict[str, str]:
        """Software, model, source, sensor, and what the grid's cells are worth."""
        from terrafine.workflows.provenance import tags_of

        edge = self.ref.spec.halo * self.cell_m * self.ref.spec.scale
        return tags_of(
            self.ref,
            self.identity,
            SENSOR=self.image.sensor.name,
            BRIGHT_SHARE=f"{self.image.bright_share():.3f}",
            **self.image.unmeasured,
            SCALE=self.ref.spec.scale,
            GRID=self.grid,
            TRAINED_ON=self.trained_on,
            EDGES=f"within {edge:.0f} m of the raster's edge and of voids the model saw ground that was filled in",
        )

    @property
    def trained_on(self) -> str:
        """What the weights saw in training, as they state it."""
        return str(self.ref.spec.provenance.get("seen", "not stated"))

    def domain_notes(self) -> tuple[str, ...]:
        """A warning for each band whose reflectances are distributed otherwise than those that the weights saw."""
        from terrafine.raster.read.image import sample
        from terrafine.systems import find_system
        from terrafine.workflows.domain import domain_notes

        domain = self.ref.spec.provenance.get("domain") or find_system(self.ref.spec.system).domain.get(self.ref.name)
        return domain_notes(domain or {}, sample(self.image), self.ref.name)

    def consistency_tags(self, residuals: Residuals) -> dict[str, str]:
        """How far the finer image, seen again at 10 m, is from the observation; empty where no image is made."""
        if residuals.largest == 0.0:
            return {}
        tags = {
            "CONSISTENCY_LARGEST": f"{residuals.largest:.5f}",
            "CONSISTENCY_MEAN": f"{residuals.mean:.5f}",
            "CONSISTENCY_WHAT": "reflectance, |observation - finer image seen again at the input's cells|",
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

    def close(self) -> None:
        """Give the image's file handles back."""
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
        """Every tile through the model, or those that an earlier run left, then `publish`.

        bytes_each  of an output cell in the files that are published
        findings    what the published output comes to, for the report
        """
        from terrafine.inference.engine import run_job
        from terrafine.systems import load_model
        from terrafine.workflows.provenance import request_of

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
            trained = f"trained on: {self.trained_on}"
            notes = (*done.notes, *self.image.notes, *self.domain_notes())
            self.run.report(dataclasses.replace(done, findings=(self.grid, *findings(), trained), notes=notes))


def open_scene(
    source: PathLike | Sequence[PathLike],
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
    """The image with the bands that the model asks for, and the plan of a run.

    `outputs` of the model, None for its inputs, made finer; `more_written` bands made of them. Raises UsageError for a
    sensor that has no 10 m, GridError for cells that are not about 10 m or a raster too small to tell anything, and
    what `find_model`, `open_image` and `make_plan` raise.
    """
    from terrafine.inference.job import engine_threads
    from terrafine.inference.planner import make_plan
    from terrafine.raster.protocol import closed_on_error
    from terrafine.raster.read.reflectance import open_image
    from terrafine.raster.write.georeference import stored_crs
    from terrafine.systems import find_model, load_model
    from terrafine.workflows.outputs import listed
    from terrafine.workflows.provenance import bytes_per_cell

    if read.sensor not in (None, *SENSORS_10M):
        raise UsageError(f"sensor {read.sensor!r}; images of 10 m are read as {', '.join(SENSORS_10M)}")
    threads = engine_threads(run.threads, destination, run.dask, run.restart)
    find = partial(find_model, model, scale, threads=threads, device=run.device, verb="map")
    ref = find()
    ref = find(outputs=ref.spec.inputs if outputs is None else outputs)
    image = open_image(
        listed(source),
        want=ref.spec.inputs,
        sensor=read.sensor,
        allowed=SENSORS_10M,
        unless=SENSORS_10M[0],
        bands=read.bands,
        assume_crs=read.assume_crs,
        nodata=read.nodata,
    )
    with closed_on_error(image):
        load_model(ref)  # what it cannot give is refused before anything is written
        image.require_valid()
        stored_crs(image.paths[0], image.geobox)
        image.require_cells(_CELL_M, *_CELLS_M, ref.name)
        if min(image.shape) < max(1, ref.spec.halo):
            raise GridError(
                f"{image.paths[0]}: {image.shape[0]} × {image.shape[1]} cells; {ref.name} looks {ref.spec.halo} cells "
                f"around each, so expected at least {ref.spec.halo} × {ref.spec.halo}. Take a larger piece of the scene"
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


def require_clear(image: ImageSource, max_bright: float | None, sensor: str | None) -> None:
    """Refuse an image that looks like cloud; where its sensor is stated and no limit is, only note it.

    Raises UsageError for a limit that is no share, SourceError for more cloud than that.
    """
    if max_bright is not None and not 0 <= max_bright <= 1:
        raise UsageError(f"max_bright={max_bright:g}; expected a share of the image, 0 to 1")
    limit = MAX_BRIGHT if max_bright is None else max_bright
    image.require_clear(limit, warn=max_bright is None and sensor is not None)
