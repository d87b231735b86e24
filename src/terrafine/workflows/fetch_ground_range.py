"""Sentinel-1 GRD for `fetch`: products of a STAC API are downloaded, geocoded with a DEM and averaged over dates."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.errors import DiskError, EmptyError, GridError, JobError, SourceError, UsageError
from terrafine.version import __version__

if TYPE_CHECKING:
    from terrafine.acquire.catalogue import Scene
    from terrafine.acquire.fetch import Fetched
    from terrafine.acquire.projection import Projection
    from terrafine.acquire.request import Request
    from terrafine.acquire.safe import SafeSource
    from terrafine.acquire.transfer import Transfer

__all__ = ["Ground", "fetch_ground_range"]

_MEMORY = 200_000_000  # of a block while it is geocoded


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground that products are geocoded with.

    Attributes
    ----------
    dem
        File with its heights, whose grid is that of the output; None to fetch the Copernicus DEM of the service.
    geoid_m
        Height of the geoid above the ellipsoid, for heights above a geoid.
    """

    dem: Path | None = None
    geoid_m: float | None = None

    def check(self, request: Request) -> None:
        """Refuse a ground that cannot serve, before anything is downloaded.

        Parameters
        ----------
        request
            What is fetched.

        Raises
        ------
        MissingExtraError
            Without the extra `radar`.
        UsageError, GridError
            For heights without a known datum, a DEM elsewhere, or a service without one.
        """
        from terrafine.acquire.ground_range import require_sarsen
        from terrafine.raster.vertical import from_name
        from terrafine.workflows.inputs.ellipsoid import lift_above

        require_sarsen(f"{request.service.key} {request.collection.id}")
        if self.dem is not None:
            self._check_file(request)
            return
        held = request.service.collections.get("copernicus-dem")
        if held is None:
            raise UsageError(
                f"{request.service.key}: has no copernicus-dem to geocode {request.collection.id} with; state dem=FILE"
            )
        lift_above(from_name(held.datum).name if held.datum else None, self.geoid_m, f"{request.service.key} {held.id}")

    def _check_file(self, request: Request) -> None:
        from terrafine.raster.area import grid_area
        from terrafine.raster.read.source import open_source
        from terrafine.workflows.inputs.ellipsoid import lift_of

        with open_source([str(self.dem)]) as ground:
            lift_of(ground, self.geoid_m)
            if not grid_area(ground.geobox).geometry.intersects(request.area.geometry):
                raise GridError(f"{self.dem}: lies outside {request.area.name}; expected heights of that ground")

    def shape(self, request: Request) -> tuple[int, int]:
        """Rows and columns of the output.

        Parameters
        ----------
        request
            What is fetched.

        Returns
        -------
        tuple of int
            Those of the DEM where one is given.
        """
        from terrafine.raster.read.source import open_source

        if self.dem is None:
            return int(request.geobox.shape[0]), int(request.geobox.shape[1])
        with open_source([str(self.dem)]) as ground:
            return int(ground.shape[0]), int(ground.shape[1])


def fetch_ground_range(
    request: Request,
    out: Path,
    ground: Ground,
    *,
    layout: Mapping[str, Any],
    restart: bool = False,
    announce: Callable[[Projection], None] | None = None,
) -> Fetched:
    """Download the products of one orbit direction, geocode them, and write their mean with its lineage.

    Products lie in a hidden folder beside the output until it is written; the same call resumes after the last file.

    Parameters
    ----------
    request
        What to fetch.
    out
        The GeoTIFF; its folder exists.
    ground
        What they are geocoded with; checked.
    layout
        Creation options of the GeoTIFF.
    restart
        Start from scratch.
    announce
        Receives the projection before the first product is downloaded.

    Returns
    -------
    Fetched
        The file, its lineage, and what was left out.

    Raises
    ------
    EmptyError
        If there is no product, or none shows the ground.
    NetworkError
        If a service does not answer, after all attempts; the same call again resumes.
    DiskError, OutputError, JobError
        If the output cannot be written.
    """
    from terrafine.acquire.fetch import Fetched, lineage_path
    from terrafine.acquire.remote import AssetError
    from terrafine.acquire.safe import download_safe, safe_source
    from terrafine.acquire.signing import Signer
    from terrafine.acquire.transfer import Transfer
    from terrafine.atomic import write_whole
    from terrafine.workflows.geocode import geocode_products
    from terrafine.workflows.options import ReadOptions, RunOptions

    transfer = Transfer(Signer(request.service, request.collection.id, request.options), request.options)
    scenes, notes = _products(request)
    assets = {band: request.collection.assets[band] for band in request.bands if band != "incidence"}
    sources: dict[str, SafeSource] = {}
    failed: dict[str, str] = {}
    for scene in scenes:
        try:
            sources[scene.id] = safe_source(scene, assets)
        except AssetError as error:
            failed[scene.id] = str(error)
    with _folder(out, restart) as folder:
        _project(request, out, folder, sources, transfer, ground.shape(request), announce)
        digests: dict[str, dict[str, str]] = {}
        for name, source in sources.items():
            try:
                digests[name] = download_safe(source, folder, transfer)
            except AssetError as error:
                failed[name] = str(error)
        used = [name for name in sources if name in digests]
        if not used:
            first = next(iter(failed.values()))
            raise EmptyError(f"{request.area.name}: none of {len(scenes)} products can be used, such as {first}")
        dem, heights, of_dem = _heights(request, ground, folder, restart)
        notes = [*notes, *of_dem]
        done = geocode_products(
            [folder / sources[name].name for name in used],
            out,
            dem=dem,
            geoid_m=ground.geoid_m,
            reading=ReadOptions(),
            layout=RunOptions(creation_options=dict(layout) or None).layout,
            polarisations=tuple(assets),
        )
        lineage = lineage_path(out)
        record = _lineage(request, [s for s in scenes if s.id in used], digests, failed, heights, notes)
        write_whole(lineage, record)
        shutil.rmtree(folder)
    with open(out, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    left = (f"left out: {text}" for text in failed.values())
    return Fetched(out, lineage, digest, len(used), failed, done.empty_share, (*notes, *left, *done.notes))


def _products(request: Request) -> tuple[list[Scene], list[str]]:
    """The products of the orbit direction, without those that were processed again."""
    from terrafine.acquire.catalogue import find_scenes, newest_processing, of_orbit

    scenes = find_scenes(request.service, request.collection, request.area, request.dates, request.options)
    found = of_orbit(scenes, str(request.orbit), request.area.name)
    return newest_processing(found, lambda s: str(s.properties.get("s1:processing_datetime", "")))


@contextlib.contextmanager
def _folder(out: Path, restart: bool) -> Iterator[Path]:
    """The hidden folder of the products of an output, locked; it is kept unless it is removed inside."""
    from terrafine.host import lock_exclusively
    from terrafine.private import check_name, make_private_folder, open_own_file

    check_name(out)
    folder = out.parent / f".{out.name}.products"
    make_private_folder(folder)
    with open(open_own_file(folder / "lock"), "wb") as lock:
        if not lock_exclusively(lock.fileno()):
            raise JobError(f"{out}: another run is fetching it now; wait for it, or choose another name")
        if restart:
            for entry in folder.glob("*.SAFE"):
                shutil.rmtree(entry)
        yield folder


def _project(
    request: Request,
    out: Path,
    folder: Path,
    sources: Mapping[str, SafeSource],
    transfer: Transfer,
    shape: tuple[int, int],
    announce: Callable[[Projection], None] | None,
) -> None:
    """State what will be downloaded, and refuse what the disk cannot hold."""
    from terrafine.acquire.projection import Projection
    from terrafine.acquire.safe import bytes_missing

    total = sum(bytes_missing(source, folder, transfer) for source in sources.values())
    rows, cols = shape
    needed = total + rows * cols * 4 * (len(request.bands) + 2) * 3
    free = shutil.disk_usage(out.parent).free
    if announce is not None:
        announce(Projection(len(sources), len(sources), rows, cols, total, needed, _MEMORY))
    if free < needed:
        raise DiskError(
            f"{out}: {len(sources)} products need {needed / 1e9:,.1f} GB of disk, and {free / 1e9:,.1f} GB are free; "
            "narrow the dates, or choose another disk"
        )


def _heights(
    request: Request, ground: Ground, folder: Path, restart: bool
) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """The DEM, by default the Copernicus DEM of the area on the cells of the output; its record, and its notes."""
    from terrafine.acquire.fetch import fetch_raster
    from terrafine.schema.files import read_json
    from terrafine.workflows.fetch import fetch_requests

    if ground.dem is not None:
        with open(ground.dem, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        stated = {"name": ground.dem.name, "sha256": digest, "fetched": False, "geoid_m": ground.geoid_m}
        return ground.dem, stated, ()
    dem = fetch_requests(
        "copernicus-dem", grid=request.geobox, service=request.service, options=request.options, bands=("elevation",)
    )[0]
    made = fetch_raster(dem, folder / "dem.tif", restart=restart)
    lineage = read_json(made.lineage, SourceError, "the lineage of the DEM that was fetched", 64_000_000)
    record: dict[str, Any] = {"name": made.path.name, "sha256": made.sha256, "fetched": True, "geoid_m": ground.geoid_m}
    record["collection"] = dem.collection.id
    record |= {key: lineage[key] for key in ("licence", "attribution", "items", "left_out")}
    return made.path, record, tuple(f"DEM: {note.removeprefix(f'{made.path}: ')}" for note in made.notes)


def _lineage(
    request: Request,
    scenes: Sequence[Scene],
    digests: Mapping[str, Mapping[str, str]],
    failed: Mapping[str, str],
    dem: Mapping[str, Any],
    notes: Sequence[str],
) -> bytes:
    items = [
        {
            "id": scene.id,
            "collection": scene.item.get("collection"),
            "datetime": scene.time.isoformat(),
            "platform": scene.platform or None,
            "orbit": scene.properties.get("sat:orbit_state"),
            "relative_orbit": scene.properties.get("sat:relative_orbit"),
            "files_sha256": dict(digests[scene.id]),
        }
        for scene in scenes
    ]
    record = {
        "terrafine": __version__,
        "service": {"key": request.service.key, "name": request.service.name, "url": request.service.url},
        "licence": request.collection.licence,
        "attribution": request.collection.attribution,
        "request": request.record(),
        "items": [{key: value for key, value in item.items() if value is not None} for item in items],
        "left_out": [{"id": name, "reason": text} for name, text in sorted(failed.items())],
        "dem": dict(dem),
        "notes": list(notes),
    }
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()
