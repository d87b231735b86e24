"""`fetch`: free satellite data of a place as a composite. `terrafine fetch` calls it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from terrafine.acquire.options import FetchOptions
from terrafine.errors import OutputError, UsageError
from terrafine.private import check_name
from terrafine.raster.area import AreaOfInterest
from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.acquire.fetch import Fetched
    from terrafine.acquire.projection import Projection
    from terrafine.acquire.request import Request
    from terrafine.acquire.service import Service
    from terrafine.inference.progress import Progress
    from terrafine.workflows.fetch_ground_range import Ground

__all__ = ["AreaOfInterest", "FetchFields", "FetchOptions", "fetch", "fetch_requests", "service_for"]

PathLike = str | os.PathLike[str]
_DEFAULT_SERVICE = dict.fromkeys(("sentinel-1", "sentinel-1-grd", "landsat"), "planetary-computer")


class FetchFields(TypedDict, total=False):
    """Keywords of `fetch`: the cells of its grid, fields of `FetchOptions`, and how its GeoTIFFs are written."""

    cell_m: float | None
    target_crs: str | None
    max_cloud: float
    min_clear: float
    offset: str
    mask: str
    timeout_s: float
    attempts: int
    backoff_s: float
    connections: int
    memory: int
    orbit: str | None
    max_scenes: int
    creation_options: Mapping[str, str] | None
    dem: PathLike | None
    geoid_m: float | None


@names_own_arguments(FetchFields)
def fetch(
    collection: str,
    out: PathLike,
    *,
    aoi: Any = None,
    grid: Any = None,
    dates: str | None = None,
    service: PathLike | Service | None = None,
    composite: str | None = None,
    bands: Sequence[str] | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    announce: Callable[[Projection], None] | None = None,
    **fields: Unpack[FetchFields],
) -> tuple[Fetched, ...]:
    """Fetch the scenes of a place, and write them as one verified GeoTIFF with its lineage beside it.

    An unfinished run of the same request is resumed. Everything that can be wrong with the request is refused before
    the first pixel is read.

    Parameters
    ----------
    collection
        `sentinel-2`, `sentinel-1`, `landsat`, `copernicus-dem`, or another collection of the service.
    out
        A GeoTIFF, or a folder (made if it does not exist) in which the file is named after what it holds.
    aoi
        The ground: an `AreaOfInterest`, a vector file, `(west, south, east, north)` in degrees, or a GeoJSON object.
    grid
        The grid to write, a GeoBox. By default the cells of `cell_m` that cover the area, in the UTM zone of its
        centre; of a DEM its own cells.
    dates
        FROM/TO, as `2023-04/2023-10`. Not of a DEM.
    service
        `earth-search`, `planetary-computer`, `cdse`, or the TOML file of another STAC API.
    composite
        `median` (the default), `geomedian` or `best-clear` of reflectance.
    bands
        Bands to write; by default all that the service's file lists.
    restart
        Start from scratch instead of resuming.
    progress
        Receives the number of finished cells.
    announce
        Called with what will be read and written, before it is.
    **fields
        `cell_m` and `target_crs`, cell size and CRS of the grid; fields of `FetchOptions`; `creation_options` of the
        GeoTIFFs, as {"COMPRESS": "DEFLATE"}; and of Sentinel-1 GRD `dem`, the file whose heights and grid it is
        geocoded with (by default the Copernicus DEM of the service), and `geoid_m`, the geoid's height there.

    Returns
    -------
    tuple of Fetched
        One for each file.

    Raises
    ------
    UsageError, SourceError, GridError
        For an area, dates or a service that cannot serve.
    EmptyError
        If there is no scene, or none shows clear ground.
    NetworkError
        If a service does not answer; the same call again resumes.
    DiskError, ResourceError
        If disk or memory would not suffice.
    MissingExtraError
        Without the extra `acquire`.

    Examples
    --------
    >>> terrafine.fetch("sentinel-2", "cube", aoi="town.geojson", dates="2023-04/2023-10")  # doctest: +SKIP
    """
    from terrafine.acquire.fetch import fetch_raster
    from terrafine.acquire.native import stored_grid
    from terrafine.raster.write.creation import layout_of

    target = Path(out)
    check_name(target)
    layout = layout_of(fields.get("creation_options") or {})
    requests = fetch_requests(
        collection,
        aoi=aoi,
        grid=grid,
        dates=dates,
        service=service,
        composite=composite,
        bands=bands,
        cell_m=fields.get("cell_m"),
        target_crs=fields.get("target_crs"),
        options=_options(fields),
    )
    if grid is None and requests[0].composite == "mosaic" and not (fields.get("cell_m") or fields.get("target_crs")):
        first = requests[0]
        stored = stored_grid(first.service, first.collection, first.area, first.options, first.dates)
        requests = [first if stored is None else dataclasses.replace(first, geobox=stored)]
    if len(requests) > 1 and target.suffix.lower() in (".tif", ".tiff"):
        raise UsageError(
            f"{target}: {len(requests)} files are written, one for each orbit; give a folder, or one orbit"
        )
    ground = _ground(requests[0], fields)
    paths = [_path(target, collection, request) for request in requests]
    if ground is not None:
        from terrafine.workflows.fetch_ground_range import fetch_ground_range

        options = dict(fields.get("creation_options") or {})
        return tuple(
            fetch_ground_range(request, path, ground, layout=options, restart=restart, announce=announce)
            for request, path in zip(requests, paths, strict=True)
        )
    return tuple(
        fetch_raster(request, path, layout=layout, restart=restart, progress=progress, announce=announce)
        for request, path in zip(requests, paths, strict=True)
    )


def _ground(request: Request, fields: Mapping[str, Any]) -> Ground | None:
    """What products in the geometry of the sensor are geocoded with, checked; None for all other collections."""
    dem, geoid_m = fields.get("dem"), fields.get("geoid_m")
    if request.collection.layout != "safe":
        if dem is not None or geoid_m is not None:
            why = "RTC: the brightness of slopes, which guides a DEM, was removed from it with a coarse DEM already"
            held = why if request.collection.kind == "sentinel-1-rtc" else f"{request.collection.kind} on a map grid"
            raise UsageError(
                f"dem and geoid_m geocode Sentinel-1 GRD; {request.service.key} {request.collection.id} holds {held}. "
                "Leave them out, or fetch sentinel-1-grd"
            )
        return None
    from terrafine.workflows.fetch_ground_range import Ground

    if dem is not None and (fields.get("cell_m") or fields.get("target_crs")):
        raise UsageError("cell_m and target_crs are of a grid without dem; the grid of the DEM is that of the output")
    ground = Ground(None if dem is None else Path(dem), geoid_m)
    ground.check(request)
    return ground


def fetch_requests(
    collection: str,
    *,
    aoi: Any = None,
    grid: Any = None,
    dates: str | None = None,
    service: PathLike | Service | None = None,
    composite: str | None = None,
    bands: Sequence[str] | None = None,
    cell_m: float | None = None,
    target_crs: str | None = None,
    options: FetchOptions | None = None,
) -> list[Request]:
    """Return what `fetch` fetches, checked, without a connection; each request makes one file.

    Parameters
    ----------
    collection, aoi, grid, dates, service, composite, bands, cell_m, target_crs
        As in `fetch`.
    options
        Limits.

    Returns
    -------
    list of Request
        Two for radar without an orbit.

    Raises
    ------
    UsageError, SourceError, GridError
        As `fetch`.
    """
    from terrafine.acquire.dates import parse_dates
    from terrafine.acquire.request import Request
    from terrafine.acquire.service import find_collection
    from terrafine.raster.area import grid_area

    options = options or FetchOptions()
    found = service_for(collection, service)
    held = find_collection(found, collection)
    if (aoi is None) == (grid is None):
        raise UsageError("state the ground by aoi or by grid; expected one of the two")
    area = AreaOfInterest.parse(aoi) if aoi is not None else grid_area(grid)
    is_dem, is_radar = held.kind == "dem", held.kind.startswith("sentinel-1")
    if dates is None and not is_dem:
        raise UsageError(f"{collection}: needs dates, as 2023-04/2023-10")
    method = composite or ("mosaic" if is_dem else "mean-db" if is_radar else "median")
    first = Request(
        found,
        held,
        grid if grid is not None else area.grid(cell_m or held.cell_m, target_crs),
        area,
        tuple(bands or held.assets),
        None if dates is None else parse_dates(dates),
        method,
        options=options,
    )
    if not is_radar:
        return [first]
    orbits = [options.orbit] if options.orbit else ["ascending", "descending"]
    return [dataclasses.replace(first, orbit=orbit) for orbit in orbits]


def service_for(collection: str, service: PathLike | Service | None = None) -> Service:
    """Return the service that a collection is fetched from.

    Parameters
    ----------
    collection
        As in `fetch`.
    service
        As in `fetch`; None for the default of the collection.

    Returns
    -------
    Service
        The service that was named, or the default one.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    from terrafine.acquire.service import find_service

    return find_service(service if service is not None else _DEFAULT_SERVICE.get(collection, "earth-search"))


def _options(fields: Mapping[str, Any]) -> FetchOptions:
    known = set(FetchFields.__annotations__)
    if unknown := sorted(set(fields) - known):
        raise UsageError(f"fetch has no argument {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    own = ("cell_m", "target_crs", "creation_options", "dem", "geoid_m")
    return FetchOptions(**{name: value for name, value in fields.items() if name not in own})


def _path(out: Path, collection: str, request: Request) -> Path:
    """The file to write; a folder is made."""
    if out.suffix.lower() in (".tif", ".tiff"):
        if not out.parent.is_dir():
            raise OutputError(f"{out}: there is no folder {out.parent}; make it first")
        return out
    if out.suffix:
        raise UsageError(f"{out}: expected a folder, or a name that ends in .tif")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; expected a folder, or a name that ends in .tif")
    out.mkdir(parents=True, exist_ok=True)
    dates = [] if request.dates is None else [f"{request.dates[0]:%Y%m%d}-{request.dates[1]:%Y%m%d}"]
    parts = [collection.replace("/", "-"), *dates, *filter(None, [request.orbit])]
    if request.composite not in ("mosaic", "mean-db"):
        parts.append(request.composite)
    return out / ("_".join(parts) + ".tif")
