"""The settings of a campaign: one TOML file, checked against declared types and bounds before anything is read."""

from __future__ import annotations

import datetime
import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from terrafine.acquire.dates import parse_dates
from terrafine.campaign.verb_options import VERB_OPTIONS, DemOptions, FileName
from terrafine.errors import SourceError, UsageError
from terrafine.schema.check import build, filled
from terrafine.schema.files import read_toml
from terrafine.schema.types import Items, Matches, Name, Share, Within

__all__ = ["VERBS", "Epoch", "Settings", "locate", "read_settings"]

VERBS = ("map", "dem", "height", "image")
_DATE = r"\d{4}(?:-\d{2}(?:-\d{2})?)?"
Dates = Annotated[str, Matches(f"{_DATE}(?:/{_DATE})?", "a date or two, as 2023-04/2023-10")]
Text = Annotated[str, Matches(r"[^\x00-\x1f\x7f-\x9f]{0,1000}", "a text of one line")]
Files = Annotated[tuple[FileName, ...], Items(0, 100_000)]
_CELL = {"map": 10.0, "image": 10.0, "height": 30.0, "dem": 30.0}
_HALO = {"map": 64, "image": 64, "height": 160, "dem": 40}  # cells, no fewer than shipped models look around each


@dataclass(frozen=True, slots=True)
class Model:
    """Which verb runs, with which model and options."""

    verb: Literal["map", "dem", "height", "image"] = "map"
    name: FileName | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grid:
    """The tiles: `tile_m` is the side of a core, `halo_m` what is read around it; by default what the models look."""

    resolution_m: Annotated[float, Within(0.1, 1000)] | None = None
    tile_m: Annotated[float, Within(100, 200_000)] = 10_240.0
    halo_m: Annotated[float, Within(0, 20_000)] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where the input comes from, and how it is read; `radar` is a collection of the service that guides a DEM."""

    kind: Literal["files", "stac"] = "files"
    sensor: Name | None = None
    composite: Literal["median", "first", "geomedian", "best-clear"] = "median"
    service: FileName | None = None
    collection: FileName | None = None
    radar: FileName | None = None
    max_cloud: Annotated[float, Within(0, 100)] = 80.0
    min_clear: Share = 0.05
    offset: Literal["auto", "none", "subtract"] = "auto"
    nodata: float | None = None
    assume_crs: FileName | None = None
    product: FileName | None = None
    elevation_unit: Name | None = None
    vertical_datum: Text | None = None
    empty_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """How units run; nothing here changes a result, except the type of device."""

    device: Annotated[str, Matches(r"auto|cpu|cuda(:\d{1,3})?|mps", "auto, cpu, cuda, cuda:N or mps")] = "auto"
    threads: Annotated[int, Within(1, 1024)] | None = None
    memory: Annotated[str, Matches(r"\d+(\.\d+)?\s*[kKmMgGtT]?i?[bB]?", "a size such as 4GB")] | None = None
    retries: Annotated[int, Within(0, 20)] = 2


@dataclass(frozen=True, slots=True)
class Product:
    """What the published collection states of itself."""

    title: Text = ""
    description: Text = ""
    licence: Text = "other"
    provider: Text = ""
    doi: Annotated[str, Matches(r"(10\.\d{4,9}/[^\s]{1,200})?", "a DOI such as 10.5281/zenodo.123")] = ""
    citation: Text = ""


@dataclass(frozen=True, slots=True)
class Zones:
    """Polygons that statistics are summed by."""

    file: FileName | None = None
    field: Text | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """A name, the dates that it stands for, and the files of its scenes and guides."""

    name: Name
    dates: Dates
    files: Files = ()
    guides: Annotated[Mapping[Name, Files], Items(0, 16)] = field(default_factory=dict)

    @property
    def begin(self) -> datetime.date:
        """First day."""
        return parse_dates(self.dates)[0]

    @property
    def end(self) -> datetime.date:
        """Last day."""
        return parse_dates(self.dates)[1]

    @property
    def middle(self) -> float:
        """The middle of the dates as a year with decimals: 2023.5."""
        day = self.begin + (self.end - self.begin) / 2
        return day.year + (day.timetuple().tm_yday - 0.5) / 365.25


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a campaign.

    Attributes
    ----------
    path
        The file that they were read from; other paths are relative to its folder.
    """

    name: Name
    region: FileName
    epochs: Annotated[tuple[Epoch, ...], Items(1, 200)]
    model: Model = field(default_factory=Model)
    grid: Grid = field(default_factory=Grid)
    source: Source = field(default_factory=Source)
    run: Run = field(default_factory=Run)
    product: Product = field(default_factory=Product)
    zones: Zones = field(default_factory=Zones)
    path: FileName = ""

    @property
    def options(self) -> Any:
        """The options of the verb, checked."""
        kind = VERB_OPTIONS[self.model.verb]
        return kind(**filled(kind, self.model.options, f"{self.path}: [model.options]", UsageError))

    @property
    def collection(self) -> str:
        """The collection that is fetched."""
        return self.source.collection or ("copernicus-dem" if self.model.verb == "dem" else "sentinel-2")

    @property
    def service(self) -> str | None:
        """The service as `terrafine.fetch` takes it: a name, or the path of its file; None for the default."""
        named = self.source.service
        return str(self.beside(named)) if named is not None and named.endswith(".toml") else named

    def fetch_options(self, epoch: int) -> dict[str, Any]:
        """Collection, dates, service and composite of an epoch of images as `terrafine.fetch` takes them."""
        dates = self.epochs[epoch]
        return {
            "collection": self.collection,
            "dates": f"{dates.begin}/{dates.end}",
            "service": self.service,
            "composite": self.source.composite,
        }

    @property
    def resolution_m(self) -> float:
        """Side of a cell of the input grid in metres."""
        return self.grid.resolution_m or _CELL[self.model.verb]

    @property
    def cells(self) -> int:
        """Cells along the side of a tile's core: as many whole ones as `tile_m` holds."""
        return int(self.grid.tile_m / self.resolution_m + 1e-6)

    @property
    def halo(self) -> int:
        """Cells around the core."""
        if self.grid.halo_m is None:
            return _HALO[self.model.verb]
        return -int(-self.grid.halo_m // self.resolution_m)

    def beside(self, path: str) -> Path:
        """A path of the settings, relative to their file."""
        return Path(self.path).parent / path

    def matched(self, patterns: tuple[str, ...]) -> list[Path]:
        """Files that patterns or folders name, sorted; a folder means the rasters in it."""
        found: set[Path] = set()
        for pattern in patterns:
            full = self.beside(pattern)
            if full.is_dir():
                found |= {p for p in full.iterdir() if p.suffix.lower() in (".tif", ".tiff", ".vrt", ".jp2", ".hgt")}
                continue
            named = [Path(p) for p in glob.glob(os.fspath(full))]  # noqa: PTH207 - absolute and relative alike
            if not named:
                raise SourceError(
                    f"{full}: there is no such file; expected a raster, a folder or a pattern as s2/*.tif"
                )
            found |= set(named)
        return sorted(found)


def locate(campaign: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The settings file and the folder of a campaign, which may be named by either: `isa.toml`, `isa`.

    Raises UsageError where there is no settings file of that name.
    """
    named = Path(campaign)
    if named.suffix == ".toml":
        return named, named.with_suffix("")
    file = named.with_name(named.name + ".toml")
    if not file.is_file():
        raise UsageError(f"{file}: there is no such file; make one with `terrafine campaign new {file}`")
    return file, named


def read_settings(path: str | os.PathLike[str]) -> Settings:
    """Read and check a settings file.

    Parameters
    ----------
    path
        TOML.

    Returns
    -------
    Settings

    Raises
    ------
    UsageError
        For anything that is unknown, missing, out of range or contradicts itself.
    """
    where = os.fspath(path)
    record = read_toml(path, UsageError, "settings of a campaign: `terrafine campaign new` writes some")
    if "path" in record:
        raise UsageError(f"{where}: unknown keys ['path']; the file's own place is known")
    settings: Settings = build(Settings, {**record, "path": where}, where, UsageError)
    _check(settings)
    return settings


def _check(s: Settings) -> None:
    names = [e.name for e in s.epochs]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UsageError(f"{s.path}: epochs {twice} are named twice; expected one name each")
    for epoch in s.epochs:
        where = f"{s.path}: [epochs] {epoch.name}"
        try:
            parse_dates(epoch.dates)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
        if s.source.kind == "files" and not epoch.files:
            raise UsageError(f'{where}: no files; expected some, or kind = "stac" in [source]')
        if s.source.kind == "stac" and epoch.files:
            raise UsageError(f'{where}: files beside kind = "stac" in [source]; expected one of the two')
        if epoch.guides and s.source.radar is not None:
            raise UsageError(f"{where}: guides beside radar in [source]; expected one of the two")
        if epoch.guides and s.model.verb != "dem":
            raise UsageError(f"{where}: guides are for the verb dem; the campaign runs {s.model.verb}")
    if list(s.epochs) != sorted(s.epochs, key=lambda e: e.begin):
        raise UsageError(f"{s.path}: [epochs] {', '.join(names)} are not in the order of their dates; sort them")
    if s.cells < 16:
        raise UsageError(
            f"{s.path}: [grid] tile_m = {s.grid.tile_m:g} holds {s.cells} cells of {s.resolution_m:g} m; expected 16 "
            "or more"
        )
    if s.cells > 20_000:
        raise UsageError(
            f"{s.path}: [grid] tile_m = {s.grid.tile_m:g} holds {s.cells:,} cells of {s.resolution_m:g} m; expected "
            "20,000 or fewer"
        )
    if s.zones.field is not None and s.zones.file is None:
        raise UsageError(f"{s.path}: [zones] field = {s.zones.field!r} without a file; expected the polygons' file")
    _check_source(s)
    options = s.options
    if isinstance(options, DemOptions):
        _check_guides(s, options)


def _check_guides(s: Settings, options: DemOptions) -> None:
    where = f"{s.path}: [model.options]"
    if options.incidence is not None and s.source.radar is None and not any(e.guides for e in s.epochs):
        raise UsageError(f"{where} incidence is of radar guides; the epochs have none")
    radar = s.source.radar is not None or any({"vv", "vh"} & set(e.guides) for e in s.epochs)
    if radar and options.orbit is None:
        raise UsageError(f'{where} orbit is not stated; radar guides need orbit = "ascending" or "descending"')


def _check_source(s: Settings) -> None:
    where, how = f"{s.path}: [source]", s.source.composite
    if s.source.kind == "files" and s.source.offset != "auto":
        raise UsageError(
            f'{where} offset is for kind = "stac"; state sensor = "sentinel2-offset" or "sentinel2" of files'
        )
    if s.source.radar is not None and (s.source.kind, s.model.verb) != ("stac", "dem"):
        raise UsageError(
            f'{where} radar is a collection that guides a DEM of kind = "stac"; the campaign runs {s.model.verb}, '
            f'kind = "{s.source.kind}"'
        )
    if s.source.kind == "stac":
        _refuse_unused(s)
    if s.model.verb == "dem":
        if how != "median":
            raise UsageError(f"{where} composite is for images; the campaign runs dem, which reads one surface")
        return
    known = ("median", "first") if s.source.kind == "files" else ("median", "geomedian", "best-clear")
    if how not in known:
        raise UsageError(f'{where} composite = "{how}": expected {" or ".join(known)} of kind = "{s.source.kind}"')


def _refuse_unused(s: Settings) -> None:
    """Refuse what a campaign that fetches would not use: the service states it, or it is of other values."""
    unused = ["sensor", "nodata", "assume_crs"]
    if s.model.verb == "dem":
        unused += ["elevation_unit", "vertical_datum", "max_cloud", "min_clear", "offset"]
    else:
        unused += ["product"]
    plain = Source()
    if stated := [name for name in unused if getattr(s.source, name) != getattr(plain, name)]:
        raise UsageError(
            f'{s.path}: [source] {stated[0]} is not used by {s.model.verb} with kind = "stac": the service states what '
            f"its files hold. Remove {', '.join(stated)}"
        )
