"""Search a STAC API: the scenes over an area within dates, each as plain JSON that a later run can use again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from terrafine.acquire.options import FetchOptions
from terrafine.acquire.service import Collection, Service
from terrafine.errors import EmptyError, MissingExtraError, NetworkError, ResourceError, SourceError
from terrafine.raster.area import AreaOfInterest

__all__ = ["Scene", "find_scenes", "ground_of", "newest_processing", "of_orbit"]

_PAGE = 100
_RETRIED = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Scene:
    """One item of a STAC API.

    Attributes
    ----------
    item
        The item as the API gave it.
    """

    item: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.item["id"])

    @property
    def properties(self) -> Mapping[str, Any]:
        """Its properties."""
        found: Mapping[str, Any] = self.item["properties"]
        return found

    @property
    def time(self) -> dt.datetime:
        """When it was acquired, UTC."""
        text = self.properties.get("datetime") or self.properties.get("start_datetime")
        return dt.datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(dt.UTC)

    @property
    def day(self) -> dt.date:
        """Date of acquisition by the sun of its place, so that one pass is one day."""
        box = self.item.get("bbox") or (0, 0, 0, 0)
        west, east = float(box[0]), float(box[len(box) // 2])
        middle = west if west > east else (west + east) / 2
        return (self.time + dt.timedelta(hours=middle / 15)).date()

    @property
    def cloud(self) -> float | None:
        """Cloud cover in percent that the catalogue states, or None."""
        value = self.properties.get("eo:cloud_cover")
        return float(value) if isinstance(value, int | float) else None

    @property
    def platform(self) -> str:
        """The satellite, in lower case."""
        return str(self.properties.get("platform", "")).lower()

    def asset(self, name: str) -> Mapping[str, Any] | None:
        """Return an asset, or None."""
        found: Mapping[str, Any] | None = self.item.get("assets", {}).get(name)
        return found


def find_scenes(
    service: Service,
    collection: Collection,
    area: AreaOfInterest,
    dates: tuple[dt.date, dt.date] | None,
    options: FetchOptions,
) -> list[Scene]:
    """Return the scenes of a collection over an area, in order of time.

    Parameters
    ----------
    service, collection
        Where to look.
    area
        The ground.
    dates
        First and last day, or None for all.
    options
        Limits of cloud, number and network.

    Returns
    -------
    list of Scene
        Oldest first.

    Raises
    ------
    NetworkError
        If the service cannot be reached, or answers wrongly.
    EmptyError
        If it has no scene there.
    ResourceError
        If there are more scenes than allowed.
    MissingExtraError
        Without the extra `acquire`.
    """
    span = None if dates is None else f"{dates[0]}T00:00:00Z/{dates[1]}T23:59:59Z"
    where = f"{service.url}: {collection.id} over {area.name}" + (
        "" if dates is None else f", {dates[0]} to {dates[1]}"
    )
    found: dict[str, Scene] = {}
    for record in _search(service, collection, area, span, options):
        scene = _scene(record, service)
        found[scene.id] = scene
        if len(found) > options.max_scenes:
            raise ResourceError(
                f"{where}: more than {options.max_scenes:,} scenes; expected fewer. Narrow the dates or "
                "the area, or allow more with max_scenes=N"
            )
    kept = [s for s in found.values() if not collection.platforms or s.platform in collection.platforms]
    if not kept:
        others = f" of {', '.join(collection.platforms)}, though {len(found)} of others" if found else ""
        raise EmptyError(f"{where}: no scene{others}; expected at least one. Check the area and the dates")
    clear = [s for s in kept if s.cloud is None or s.cloud <= options.max_cloud]
    if not clear:
        least = min(s.cloud or 0.0 for s in kept)
        raise EmptyError(
            f"{where}: {len(kept)} scenes, all with more than {options.max_cloud:g} % cloud (the clearest "
            f"{least:.0f} %); expected one with less. Widen the dates, or state max_cloud=100"
        )
    return sorted(clear, key=lambda s: (s.time, s.id))


def _scene(record: Any, service: Service) -> Scene:
    """A record that has what a scene needs; raises NetworkError."""
    try:
        scene = Scene(record)
        if not (isinstance(record["assets"], dict) and scene.id and scene.time):
            raise KeyError("assets")
    except (KeyError, TypeError, ValueError) as error:
        name = record.get("id") if isinstance(record, dict) else None
        raise NetworkError(
            f"{service.url}: the item {str(name)[:80]!r} is no STAC item ({error}); expected one"
        ) from None
    return scene


def _search(
    service: Service, collection: Collection, area: AreaOfInterest, span: str | None, options: FetchOptions
) -> Iterator[Any]:
    """The items of a search, page by page."""
    try:
        from pystac_client import Client
        from pystac_client.exceptions import APIError
        from pystac_client.stac_api_io import StacApiIO
        from requests.exceptions import RequestException
        from urllib3.util import Retry
    except ImportError:
        raise MissingExtraError("searching a STAC API needs pystac-client: pip install 'terrafine[acquire]'") from None
    again = Retry(
        total=options.attempts - 1,
        backoff_factor=options.backoff_s,
        status_forcelist=_RETRIED,
        allowed_methods=None,
        backoff_max=60,
    )
    try:
        client = Client.open(service.url, stac_io=StacApiIO(timeout=options.timeout_s, max_retries=again))
        search = client.search(
            collections=[collection.id],
            intersects=area.search_geometry(),
            datetime=span,
            limit=_PAGE,
            max_items=options.max_scenes + 1,
        )
        for page in search.pages_as_dicts():
            yield from page.get("features", ())
    except RequestException as error:
        raise NetworkError(
            f"{service.url}: cannot be reached ({_reason(error)}); check the connection and the address, and run again"
        ) from None
    except APIError as error:
        raise NetworkError(
            f"{service.url}: refused the search ({_reason(error)}); check the collection "
            f"{collection.id!r} and the service"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise NetworkError(f"{service.url}: does not answer as a STAC API ({_reason(error)}); expected one") from None


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def newest_processing(scenes: Sequence[Scene], version: Any) -> tuple[list[Scene], list[str]]:
    """Return the scenes without those of which a newer processing is among them, and notes that name these.

    Parameters
    ----------
    scenes
        In order of time.
    version
        Function of a scene: its processing baseline as a number.

    Returns
    -------
    scenes : list of Scene
        Those of the newest processing of each acquisition and tile.
    notes : list of str
        What was left out.
    """
    best: dict[tuple[str, str, str], Any] = {}
    keys = {s.id: _acquisition(s) for s in scenes}
    for scene in scenes:
        key = keys[scene.id]
        best[key] = max(version(scene), best.get(key, version(scene)))
    kept = {s.id for s in scenes if version(s) == best[keys[s.id]]}  # two parts of one pass have one version
    dropped = [s.id for s in scenes if s.id not in kept]
    notes = [f"{len(dropped)} scenes have a newer processing and were left out: {', '.join(dropped[:5])}"] * bool(
        dropped
    )
    return [s for s in scenes if s.id in kept], notes


def _acquisition(scene: Scene) -> tuple[str, str, str]:
    return scene.platform, ground_of(scene), scene.time.replace(microsecond=0).isoformat()


def ground_of(scene: Scene) -> str:
    """Return the name of the ground that a scene covers: its MGRS tile where it states one, else its corners.

    Parameters
    ----------
    scene
        The scene.

    Returns
    -------
    str
        Equal for scenes that cover the same ground.
    """
    stated = scene.properties.get("grid:code") or scene.properties.get("s2:mgrs_tile")
    return str(stated or _corner(scene)).replace("MGRS-", "")


def _corner(scene: Scene) -> str:
    return ",".join(f"{float(v):.3f}" for v in scene.item.get("bbox") or ())


def of_orbit(scenes: Sequence[Scene], orbit: str, where: str) -> list[Scene]:
    """Select the scenes of one orbit direction.

    Parameters
    ----------
    scenes
        All that were found; at least one.
    orbit
        `ascending` or `descending`.
    where
        Name of the area, for messages.

    Returns
    -------
    list of Scene

    Raises
    ------
    EmptyError
        If there is none.
    SourceError
        If no item states its direction: that there is no pass of one would be a guess.
    """
    if not any(s.properties.get("sat:orbit_state") for s in scenes):
        raise SourceError(
            f"{where}: none of {len(scenes)} items states sat:orbit_state, such as {scenes[0].id}; expected ascending "
            "or descending. Choose a service whose items state it"
        )
    found = [s for s in scenes if s.properties.get("sat:orbit_state") == orbit]
    if not found:
        raise EmptyError(f"{where}: none of {len(scenes)} scenes is of a pass that is {orbit}; expected some")
    return found
