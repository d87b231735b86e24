"""What a campaign of DEMs fetches for a tile: the heights on their own grid, and radar of the epoch as a guide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from terrafine.campaign.settings import Settings
from terrafine.errors import UsageError

if TYPE_CHECKING:
    from terrafine.acquire.request import Request
    from terrafine.raster.area import AreaOfInterest

__all__ = ["dem_request", "radar_request", "require_heights"]

_RADAR_BANDS = ("vv", "vh")


def require_heights(settings: Settings, grid: Any) -> None:
    """Refuse a service, a DEM or a radar that cannot serve, without a connection.

    Parameters
    ----------
    settings
        The settings of a campaign of `dem` with `kind = "stac"`.
    grid
        Grid of any tile.

    Raises
    ------
    UsageError
        For a collection that the service lacks or that holds something else, radar without the brightness of slopes,
        and several epochs that would all be the same heights.
    """
    from terrafine.acquire.service import find_collection
    from terrafine.raster.area import grid_area

    area, where = grid_area(grid), f"{settings.path}: [source]"
    request = _plain_request(settings, 0, area)
    held, source = request.collection, settings.source
    guided = source.radar is not None or all(epoch.guides for epoch in settings.epochs)
    if len(settings.epochs) > 1 and not held.dated and not guided:
        raise UsageError(
            f"{where} collection = {settings.collection!r} is one surface without epochs, so each of the "
            f"{len(settings.epochs)} epochs would hold the same heights; expected one epoch, guides for each, or a "
            "collection with dated = true in the service's file"
        )
    if source.radar is None:
        return
    radar = find_collection(request.service, source.radar)
    if radar.kind == "sentinel-1-rtc":
        raise UsageError(
            f"{where} radar = {source.radar!r} is radiometrically terrain-corrected (RTC): the brightness of slopes, "
            "which guides a DEM, was divided out with a coarse DEM. Expected backscatter that keeps it (kind = "
            '"sentinel-1-grd" on a map grid), or guides from `terrafine geocode`'
        )
    if radar.kind != "sentinel-1-grd" or not set(_RADAR_BANDS) & set(radar.assets):
        raise UsageError(
            f"{where} radar = {source.radar!r} holds {', '.join(radar.assets)} of kind {radar.kind!r}; expected "
            'backscatter vv or vh of kind "sentinel-1-grd"'
        )
    if radar.layout == "safe":
        raise UsageError(
            f"{where} radar = {source.radar!r} holds whole products in the geometry of the sensor, which no tile "
            "should geocode for itself. Fetch it with `terrafine fetch` once for the region and each epoch, and name "
            "the file in guides of the epoch"
        )


def dem_request(settings: Settings, epoch: int, area: AreaOfInterest) -> tuple[Request, tuple[str, ...]]:
    """The heights of an area on the grid that they are stored on, and notes.

    Parameters
    ----------
    settings, epoch
        The settings, and the number of the epoch.
    area
        The ground.

    Returns
    -------
    request : Request
        What to fetch: as `terrafine.fetch` does for this area.
    notes : tuple of str
        That heights are resampled, where their items share no grid.
    """
    from terrafine.acquire.native import stored_grid

    request = _plain_request(settings, epoch, area)
    stored = stored_grid(request.service, request.collection, area, request.options, request.dates)
    if stored is None:
        cell = request.collection.cell_m
        return request, (
            f"the files of the DEM here have no common grid; heights were resampled to cells of {cell:g} m",
        )
    return replace(request, geobox=stored), ()


def radar_request(settings: Settings, epoch: int, area: AreaOfInterest, crs: str) -> Request:
    """Backscatter of an area in an epoch, the mean of its dates, on whole multiples of its cell size.

    Parameters
    ----------
    settings, epoch, area
        As in `dem_request`.
    crs
        CRS of the tile.

    Returns
    -------
    Request
    """
    from terrafine.acquire.options import FetchOptions
    from terrafine.workflows.fetch import fetch_requests

    dates = settings.epochs[epoch]
    return fetch_requests(
        str(settings.source.radar),
        aoi=area,
        dates=f"{dates.begin}/{dates.end}",
        service=settings.service,
        target_crs=crs,
        options=FetchOptions(orbit=settings.options.orbit),
    )[0]


def _plain_request(settings: Settings, epoch: int, area: AreaOfInterest) -> Request:
    """The request for heights in cells of the service's file."""
    from terrafine.acquire.service import find_collection, find_service
    from terrafine.workflows.fetch import fetch_requests

    service = find_service(settings.service or "earth-search")
    held = find_collection(service, settings.collection)
    if held.kind != "dem":
        raise UsageError(
            f"{settings.path}: [source] collection = {settings.collection!r} holds {held.kind}; the campaign runs dem, "
            "expected a collection of heights"
        )
    dates = settings.epochs[epoch]
    span = f"{dates.begin}/{dates.end}" if held.dated else None
    return fetch_requests(settings.collection, aoi=area, dates=span, service=service)[0]
