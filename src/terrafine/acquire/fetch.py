"""Fetch one raster: search, first look, projection, blocks, verified GeoTIFF with its lineage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from terrafine.acquire.blocks import Block, BlockStore, divide
from terrafine.acquire.catalogue import Scene, find_scenes, newest_processing, of_orbit
from terrafine.acquire.dates import day_number
from terrafine.acquire.lineage import lineage_bytes, tags_of
from terrafine.acquire.merge import mean_db, merge
from terrafine.acquire.observe import Observation, Pass, observe, passes
from terrafine.acquire.offset import Decision, baseline
from terrafine.acquire.omnicloudmask import Finder, cloud_finder
from terrafine.acquire.projection import Projection, bytes_per_cell, disk_bytes, grid_shape, overlap, project
from terrafine.acquire.remote import AssetReader
from terrafine.acquire.request import Request
from terrafine.acquire.signing import Signer
from terrafine.acquire.survey import survey
from terrafine.atomic import PublishSet, written
from terrafine.errors import EmptyError, JobError, OutputError, SourceError
from terrafine.notebook import table_of
from terrafine.raster.area import grid_area
from terrafine.raster.gdal import quiet_threads
from terrafine.raster.vertical import from_name
from terrafine.raster.write.cog_writer import check_free_space, open_cog

__all__ = ["Fetched", "Projection", "fetch_raster", "lineage_path"]

F32 = NDArray[np.float32]
_AROUND = 200  # cells around a part of a region, so that its neighbours know the same processings of an acquisition


class Progress(Protocol):
    """What reports progress: that of `terrafine.inference.progress`."""

    def start(self, what: str, pixels: int, done: int) -> None:
        """Start."""

    def advance(self, pixels: int) -> None:
        """Advance."""

    def stop(self) -> None:
        """Stop."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A raster that was fetched.

    Attributes
    ----------
    path, lineage
        The GeoTIFF, and the JSON file with everything that it was made from.
    sha256
        Digest of the GeoTIFF.
    scenes
        Number of scenes that were read.
    failed
        Scene to why it, or part of it, was left out.
    empty_share
        Share of cells without any clear observation.
    notes
        What a user should know.
    offset_tags
        How the offset of Sentinel-2 items was resolved, as tags.
    """

    path: Path
    lineage: Path
    sha256: str
    scenes: int
    failed: Mapping[str, str]
    empty_share: float
    notes: tuple[str, ...]
    offset_tags: Mapping[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return table_of(self)


def lineage_path(out: Path) -> Path:
    """Return the path of the lineage of an output: `NAME.lineage.json` beside it."""
    return out.with_name(f"{out.stem}.lineage.json")


def fetch_raster(
    request: Request,
    out: Path,
    *,
    layout: Mapping[str, Any] | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    announce: Callable[[Projection], None] | None = None,
) -> Fetched:
    """Fetch one raster; an unfinished earlier run of the same request is resumed.

    Parameters
    ----------
    request
        What to fetch.
    out
        The GeoTIFF; its folder exists.
    layout
        Arguments of the writer from creation options; they change no value, so a resumed run may state others.
    restart
        Start from scratch.
    progress, announce
        Receive the number of finished cells, and the projection before pixels are read.

    Returns
    -------
    Fetched

    Raises
    ------
    NetworkError
        If a service cannot be reached, after all attempts; the same call again resumes.
    EmptyError
        If there is no scene, or none shows clear ground.
    SourceError
        If there are scenes, and none can be read or none states its orbit.
    DiskError, ResourceError
        If disk or memory would not suffice; before pixels are read.
    OutputError, JobError
        If the output cannot be written, or another run writes it.
    """
    check_free_space(out, disk_bytes(request))
    finder, found_by = cloud_finder(request.bands) if request.network_mask else (None, "")
    signer = Signer(request.service, request.collection.id, request.options)
    reader = AssetReader(signer, request.options, whole=request.whole_numbers)
    if not out.parent.is_dir():
        raise OutputError(f"{out}: there is no folder {out.parent}; make it first")
    with quiet_threads(), BlockStore.open(out, request.key, restart) as store:
        plan = store.plan() or {**_plan(request, reader), "clouds": found_by}
        if (before := str(plan.get("clouds", ""))) != found_by:
            raise JobError(
                f"{out}: was begun with {before or 'other clouds'}, and {found_by} is installed; install that release "
                "again, or start from scratch with restart=True"
            )
        store.keep_plan(plan)
        groups = passes([Scene(item) for item in plan["items"]])
        blocks = divide(grid_shape(request), bytes_per_cell(request, len(groups)), request.options.memory)
        if announce is not None:
            announce(project(request, groups, blocks))
        _fetch_blocks(request, reader, store, plan, groups, blocks, finder, progress)
        try:
            done = _publish(request, out, store, plan, blocks, layout or {})
        except SourceError:
            store.remove()  # the next run asks the catalogue again
            raise
        store.remove()
    return done


def _plan(request: Request, reader: AssetReader) -> dict[str, Any]:
    """Scenes and how each is used, as JSON that a resumed run uses again."""
    around = grid_area(request.geobox.pad(_AROUND)) if request.part else request.area
    scenes = find_scenes(request.service, request.collection, around, request.dates, request.options)
    notes: list[str] = []
    if request.collection.kind == "sentinel-2-l2a":
        scenes, notes = newest_processing(scenes, lambda scene: baseline(scene) or 0.0)
    if request.part:
        scenes = _reaching(scenes, request)
    if request.orbit:
        scenes = of_orbit(scenes, request.orbit, request.area.name)
    found = survey(reader, request, scenes)
    return {
        "key": request.key,
        "items": [dict(s.item) for s in found.scenes],
        "clear": found.clear,
        "decisions": {name: asdict(d) for name, d in found.decisions.items()},
        "failed": found.failed,
        "notes": [*notes, *found.notes],
    }


def _reaching(scenes: Sequence[Scene], request: Request) -> list[Scene]:
    """The scenes that cover the grid itself, of those that were found around it."""
    ground = grid_area(request.geobox).geometry
    found = [s for s in scenes if overlap(s, ground) > 0]
    if not found:
        raise EmptyError(f"{request.area.name}: no scene of {request.collection.id}, {request.dates}, covers it")
    return found


def _fetch_blocks(
    request: Request,
    reader: AssetReader,
    store: BlockStore,
    plan: Mapping[str, Any],
    groups: Sequence[Pass],
    blocks: Sequence[Block],
    finder: Finder | None,
    progress: Progress | None,
) -> None:
    cells = {b.number: (b.rows.stop - b.rows.start) * (b.cols.stop - b.cols.start) for b in blocks}
    missing = [b for b in blocks if not store.finished(b)]
    if progress is not None:
        progress.start("fetch", sum(cells.values()), sum(cells.values()) - sum(cells[b.number] for b in missing))
    try:
        with ThreadPoolExecutor(request.options.connections) as pool:
            for block in missing:
                values, record = _block(request, reader, plan, groups, block, finder, pool)
                store.keep(block, values, record)
                if progress is not None:
                    progress.advance(cells[block.number])
    finally:
        if progress is not None:
            progress.stop()


def _block(
    request: Request,
    reader: AssetReader,
    plan: Mapping[str, Any],
    groups: Sequence[Pass],
    block: Block,
    finder: Finder | None,
    pool: ThreadPoolExecutor,
) -> tuple[F32, dict[str, Any]]:
    """Read and merge one block."""
    geobox = request.geobox[block.rows, block.cols]
    ground = grid_area(geobox).geometry
    near = [Pass(tuple(s for s in g.scenes if overlap(s, ground) > 0)) for g in groups]
    used = [g for g in near if g.scenes]
    decisions = {name: Decision(**d) for name, d in plan["decisions"].items()}
    futures = [pool.submit(observe, reader, request, g, geobox, decisions, plan["clear"], finder) for g in used]
    try:
        seen = [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    record = {
        "digests": {name: d for s in seen for name, d in s.digests.items()},
        "failed": {name: text for s in seen for name, text in s.failed.items()},
    }
    if not seen:
        return _nothing(request, geobox), record
    return _merged(request, seen, used, plan["clear"]), record


def _nothing(request: Request, geobox: Any) -> F32:
    values = np.full((len(request.names), int(geobox.shape[0]), int(geobox.shape[1])), np.nan, np.float32)
    if "clear_count" in request.names:
        values[request.names.index("clear_count")] = 0.0
    return values


def _merged(request: Request, seen: Sequence[Observation], used: Sequence[Pass], clear: Mapping[str, float]) -> F32:
    stack = np.stack([s.values for s in seen])
    days = np.array([day_number(g.day) for g in used], np.int64)
    if request.composite == "mosaic":
        values: F32 = stack[0]
        for other in stack[1:]:
            values = np.where(np.isnan(values), other, values)
        return values
    clearness = np.stack([s.clearness for s in seen])
    if not request.part:  # the scenes of a pass show the area together
        shares = [sum(clear.get(s.id, 0.0) for s in g.scenes) for g in used]
        clearness[:] = np.array(shares, np.float32)[:, None, None]
    if request.composite == "mean-db":
        known = np.asarray(np.isfinite(stack).all(axis=1), np.bool_)
        counted = merge("median", stack[:, :1], days, clearness)[1:]
        angle = request.bands.index("incidence") if "incidence" in request.bands else None
        values = mean_db(np.where(known[:, None], stack, np.float32(np.nan)))
        if angle is not None:
            values[angle] = merge("median", stack[:, angle : angle + 1], days, clearness)[0]
        return np.concatenate([values, counted])
    return merge(request.composite, stack, days, clearness)


def _rows(request: Request, store: BlockStore, blocks: Sequence[Block]) -> Iterator[F32]:
    """Rows of full width from the stored blocks, 512 at a time."""
    width = grid_shape(request)[1]
    for top in sorted({b.rows.start for b in blocks}):
        line = [b for b in blocks if b.rows.start == top]
        maps = [store.values(b) for b in line]
        height = line[0].rows.stop - top
        for first in range(0, height, 512):
            last = min(first + 512, height)
            whole = np.empty((len(request.names), last - first, width), np.float32)
            for block, values in zip(line, maps, strict=True):
                whole[:, :, block.cols] = values[:, first:last]
            yield whole


def _publish(
    request: Request,
    out: Path,
    store: BlockStore,
    plan: Mapping[str, Any],
    blocks: Sequence[Block],
    layout: Mapping[str, Any],
) -> Fetched:
    """Write the GeoTIFF and its lineage, together."""
    digests: dict[str, Any] = {}
    failed: dict[str, str] = dict(plan["failed"])
    for block in blocks:
        record = store.record(block)
        failed |= {name: text for name, text in record["failed"].items() if name not in failed}
        for name, digest in record["digests"].items():
            digests.setdefault(name, hashlib.sha256()).update(digest.encode())
    if not (read := {name: d.hexdigest() for name, d in digests.items()}):
        kind = SourceError if failed else EmptyError
        reason = next(iter(failed.values()), "none covers the area")
        raise kind(f"{out}: nothing could be read of {len(plan['items'])} scenes, such as {reason}")
    if request.optical and not any(np.isfinite(store.values(block)[0]).any() for block in blocks):
        raise EmptyError(
            f"{request.area.name}: none of {len(read)} scenes shows clear ground: all cloud. Widen the dates"
        )
    lineage = lineage_bytes(request, plan, read, failed)
    tags = tags_of(request, plan, read, failed)
    tags |= {"LINEAGE": lineage_path(out).name, "LINEAGE_SHA256": hashlib.sha256(lineage).hexdigest()}
    datum = from_name(request.collection.datum) if request.collection.datum else None
    empty = total = 0
    with PublishSet(out) as files:
        with open_cog(
            out,
            request.geobox,
            band_names=request.names,
            units=request.units,
            tags=tags,
            vertical=datum,
            surface=request.collection.surface or None,
            publish=files.stage,
            **layout,
        ) as writer:
            for rows in _rows(request, store, blocks):
                empty += int(np.isnan(rows[0]).sum())
                total += rows[0].size
                writer.push(rows)
        with written(lineage_path(out).absolute(), files.stage) as part:
            part.write_bytes(lineage)
    notes = [*plan["notes"], *(f"left out: {text}" for text in failed.values())]
    if empty:
        notes.append(f"{out}: {100 * empty / total:.2g} % of the cells have no clear observation and hold nodata")
    resolved = {name: text for name, text in tags.items() if name.startswith("OFFSET_")}
    digest = writer.published.sha256
    return Fetched(out, lineage_path(out), digest, len(read), failed, empty / total, tuple(notes), resolved)
