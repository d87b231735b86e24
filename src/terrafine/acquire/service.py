"""Services that hold free satellite data: a STAC API, how its files are read, and what its collections hold."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from terrafine.errors import UsageError
from terrafine.schema.check import build
from terrafine.schema.files import parse_toml, read_toml
from terrafine.schema.types import Items, Matches, Within

__all__ = ["KINDS", "Collection", "Service", "find_collection", "find_service", "service_names"]

PathLike = str | os.PathLike[str]
Key = Annotated[str, Matches(r"[a-z0-9][a-z0-9._-]{0,60}", "a key of lower-case letters, digits, dots and dashes")]
Text = Annotated[str, Matches(r"[^\x00-\x1f]{1,300}", "a text of up to 300 characters")]
Name = Annotated[str, Matches(r"[A-Za-z0-9][A-Za-z0-9._:/ -]{0,120}", "a name")]
Url = Annotated[str, Matches(r"(https?://[^\s\x00-\x1f]{1,400})?", "an address that begins with https:// or http://")]
Host = Annotated[str, Matches(r"(\*\.)?[A-Za-z0-9.-]{1,250}(:\d{1,5})?", "a host name, or *.domain")]
Variable = Annotated[str, Matches(r"([A-Z][A-Z0-9_]{0,60})?", "the name of an environment variable")]
Kind = Literal["sentinel-2-l2a", "landsat-l2", "sentinel-1-rtc", "sentinel-1-grd", "dem", "reflectance"]

KINDS: Mapping[str, str] = {
    "sentinel-2-l2a": "Sentinel-2 surface reflectance, whose offset of 2022 is resolved for each item",
    "landsat-l2": "Landsat 8 and 9 collection 2 level 2 surface reflectance",
    "sentinel-1-rtc": "Sentinel-1 backscatter with the effect of terrain removed",
    "sentinel-1-grd": "Sentinel-1 backscatter on a map grid, the effect of terrain kept",
    "dem": "heights",
    "reflectance": "reflectance, with scale and offset of the preset",
}


@dataclass(frozen=True, slots=True)
class Collection:
    """What one collection of a service holds.

    Attributes
    ----------
    id
        Its name in the STAC API.
    kind
        What its numbers mean: a key of `KINDS`.
    assets
        Band to the asset that holds it.
    licence, attribution
        Terms of use, and the notice that they ask for.
    mask
        Asset with the classes of the pixels (SCL, QA_PIXEL); empty for none.
    look
        Coarser assets with the same numbers, for a look at a whole scene: a band of `assets`, and `mask`. Of use where
        files have no overviews.
    cell_m
        Cell size in metres that is written by default.
    scale, offset, nodata
        Of `reflectance`, `dem` and backscatter: value = number · scale + offset, and the number that means no data.
    db
        Whether backscatter is stored in dB rather than as linear power.
    product, datum, surface
        Of a DEM: key of the product, vertical datum, `DSM` or `DTM`.
    dated
        Of a DEM: whether it has epochs, so that dates select its items; else it is one surface.
    layout
        Of radar: `grid` for files on a map grid, `safe` for products in the geometry of the sensor, which are geocoded
        with a DEM.
    platforms
        Only items of these; empty for all.
    """

    id: Name
    kind: Kind
    assets: Annotated[Mapping[Name, Name], Items(1, 20)]
    licence: Text
    attribution: Text = "none stated"
    mask: Annotated[str, Matches(r"[A-Za-z0-9._:/ -]{0,120}", "the name of an asset")] = ""
    look: Annotated[Mapping[Name, Name], Items(0, 20)] = field(default_factory=dict)
    cell_m: Annotated[float, Within(0.1, 10_000)] = 10.0
    scale: Annotated[float, Within(1e-9, 1e6)] = 1.0
    offset: Annotated[float, Within(-1e6, 1e6)] = 0.0
    nodata: Annotated[float, Within(-1e12, 1e12)] | None = None
    db: bool = False
    product: str = ""
    datum: str = ""
    surface: str = ""
    dated: bool = False
    layout: Literal["grid", "safe"] = "grid"
    platforms: Annotated[tuple[Name, ...], Items(0, 20)] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A STAC API, and how the files of its items are reached.

    Attributes
    ----------
    key, name, url
        Short name, name, and address of the API.
    collections
        By short name, such as `sentinel-2`.
    signing
        `sas`: a token from `token_url` is appended to addresses, and renewed before and when it expires.
    token_url
        Address of tokens; `{collection}` stands for the collection.
    hosts
        Hosts that files may be read from besides that of the API, as `*.example.org`.
    s3_endpoint, s3_unsigned, s3_https
        For `s3://` addresses: the host, whether it takes requests without keys, and whether it speaks TLS.
    s3_key_variable, s3_secret_variable, s3_help
        Environment variables with the keys, and how to get them.
    """

    key: Key
    name: Text
    url: Url
    collections: Annotated[Mapping[Key, Collection], Items(1, 100)]
    signing: Literal["none", "sas"] = "none"
    token_url: Url = ""
    hosts: Annotated[tuple[Host, ...], Items(0, 50)] = ()
    s3_endpoint: Annotated[str, Matches(r"[A-Za-z0-9.:-]{0,200}", "a host name")] = ""
    s3_unsigned: bool = False
    s3_https: bool = True
    s3_key_variable: Variable = ""
    s3_secret_variable: Variable = ""
    s3_help: Annotated[str, Matches(r"[^\x00-\x1f]{0,300}", "a text")] = ""

    def __post_init__(self) -> None:
        if not urlsplit(self.url).hostname:
            raise UsageError(f"[url] is {self.url!r}; expected the address of a STAC API")
        if (self.signing == "sas") != bool(self.token_url):
            raise UsageError('signing = "sas" and token_url go together; expected both or neither')


def service_names() -> tuple[str, ...]:
    """Return the keys of the services that ship with Terrafine."""
    return tuple(sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml")))


def find_service(name: PathLike | Service) -> Service:
    """Return a service that ships with Terrafine, or the one that a TOML file describes.

    Parameters
    ----------
    name
        A key, a TOML file, or a service.

    Returns
    -------
    Service

    Raises
    ------
    UsageError
        If there is none of that name, or the file is not one of a service.
    """
    if isinstance(name, Service):
        given: Service = build(Service, dataclasses.asdict(name), "service", UsageError)
        return given
    text = os.fspath(name)
    if text in service_names():
        record = parse_toml(_folder().joinpath(f"{text}.toml").read_bytes(), f"{text}.toml", UsageError)
        found: Service = build(Service, record, f"{text}.toml", UsageError)
        return found
    if not text.endswith(".toml"):
        raise UsageError(
            f"no service is called {text!r}; expected {', '.join(service_names())}, or a .toml file of one"
        )
    if not Path(text).is_file():
        raise UsageError(f"{text}: there is no such file; expected the TOML file of a service")
    found = build(Service, read_toml(text, UsageError, "the TOML file of a service"), text, UsageError)
    return found


def find_collection(service: Service, name: str) -> Collection:
    """Return a collection of a service by its short name or its id.

    Parameters
    ----------
    service
        The service.
    name
        Short name, such as `sentinel-2`, or the id in the STAC API.

    Returns
    -------
    Collection

    Raises
    ------
    UsageError
        If the service has none of that name.
    """
    found = service.collections.get(name) or next((c for c in service.collections.values() if c.id == name), None)
    if found is None:
        others = [key for key in service_names() if name in find_service(key).collections]
        hint = f"; {', '.join(others)} {'has' if len(others) == 1 else 'have'} it" if others else ""
        raise UsageError(
            f"{service.key}: has no collection {name!r}; expected {', '.join(sorted(service.collections))}{hint}"
        )
    return found


def _folder() -> Traversable:
    return files("terrafine.acquire") / "services"
