"""Region × epochs as units of work: one tile in one epoch, with a key of everything that determines its result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from terrafine.campaign.settings import Epoch, Settings
from terrafine.campaign.stac_heights import require_heights
from terrafine.errors import GridError, SourceError, UsageError
from terrafine.raster.read.footprint import Footprint, read_footprint
from terrafine.raster.read.vectors.region import read_area
from terrafine.raster.utm_tiles import Tile, UtmTiles, geodesic_area_m2
from terrafine.version import __version__

__all__ = ["Plan", "Scene", "Unit", "make_plan"]


@dataclass(frozen=True, slots=True)
class Scene:
    """One file of an epoch.

    Attributes
    ----------
    footprint
        Where it lies, and its digest.
    guide
        Band that it guides with; empty for a scene or a DEM.
    part
        Band number in the file as `#2` or `#*`, or empty.
    """

    footprint: Footprint
    guide: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """One tile in one epoch.

    Attributes
    ----------
    epoch
        Number of the epoch in the settings.
    tile
        The tile.
    scenes
        Numbers of the plan's scenes that lie in it.
    key
        Digest of grid, epoch, inputs, model and configuration.
    """

    epoch: int
    tile: Tile
    scenes: tuple[int, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Tiles of a region, and the units that they make with the epochs.

    Attributes
    ----------
    settings
        The settings that were planned.
    lattice
        Grid of the tiles.
    area
        The region in longitude and latitude.
    tiles
        Tiles that meet the region, sorted.
    scenes
        All files of all epochs, where the source is files.
    model
        Identity of the model: name, version and digest of its weights.
    by_epoch
        For each epoch, the numbers of its scenes.
    """

    settings: Settings
    lattice: UtmTiles
    area: Any
    tiles: tuple[Tile, ...]
    scenes: tuple[Scene, ...]
    model: Mapping[str, Any]
    by_epoch: tuple[tuple[int, ...], ...]

    @property
    def area_km2(self) -> float:
        """Area of the region on the ellipsoid."""
        return geodesic_area_m2(self.area) / 1e6

    def __len__(self) -> int:
        return len(self.tiles) * len(self.settings.epochs)

    def units(self) -> Iterator[Unit]:
        """Every unit, epoch by epoch, tiles in order."""
        for number, epoch in enumerate(self.settings.epochs):
            near = self._near(number)
            common = self._common(epoch)
            for place, tile in enumerate(self.tiles):
                scenes = near.get(place, ())
                inputs = [f"{(f := self.scenes[i]).footprint.sha256}{f.guide}{f.part}" for i in scenes]
                text = f"{common}|{tile.epsg},{tile.col},{tile.row}|{','.join(inputs)}"
                yield Unit(number, tile, scenes, hashlib.sha256(text.encode()).hexdigest())

    def alone(self, unit: Unit) -> tuple[Plan, Unit]:
        """All that one unit needs, small enough to be sent with each task."""
        kept = tuple(self.scenes[i] for i in unit.scenes)
        plan = dataclasses.replace(self, area=None, tiles=(), scenes=kept, by_epoch=())
        return plan, dataclasses.replace(unit, scenes=tuple(range(len(kept))))

    def _near(self, epoch: int) -> dict[int, tuple[int, ...]]:
        """Tile -> footprints of the epoch that meet it with its halo."""
        numbers = self.by_epoch[epoch]
        if not numbers:
            return {}
        margin = self.lattice.halo * self.lattice.resolution_m
        outlines = np.array([self.lattice.outline(tile, margin) for tile in self.tiles], dtype=object)
        tree = shapely.STRtree(outlines)
        found: dict[int, list[int]] = {}
        for number in numbers:
            for place in tree.query(self.scenes[number].footprint.outline, predicate="intersects").tolist():
                found.setdefault(place, []).append(number)
        return {place: tuple(sorted(listed)) for place, listed in found.items()}

    def _common(self, epoch: Epoch) -> str:
        """What all units of an epoch share, as JSON."""
        s = self.settings
        record = {
            "terrafine": __version__,
            "grid": [self.lattice.resolution_m, self.lattice.cells, self.lattice.halo],
            "epoch": [epoch.name, epoch.dates],
            "source": dataclasses.asdict(s.source) | {"empty_allowed": None, "collection": s.collection},
            "verb": s.model.verb,
            "model": dict(self.model),
            "options": dataclasses.asdict(s.options),
        }
        if s.source.kind == "stac":
            record["service"] = _service(s)
        return json.dumps(record, sort_keys=True, default=str)


def make_plan(settings: Settings) -> Plan:
    """Plan a campaign: nothing but headers and the region is read.

    Parameters
    ----------
    settings
        The settings.

    Returns
    -------
    Plan

    Raises
    ------
    UsageError, SourceError, GridError
        For a region or scenes that cannot serve: no polygon, no overlap, a halo that is too small for the model.
    WeightsError, NoModelError
        For a model that cannot.
    """
    area = read_area(settings.beside(settings.region))
    lattice = UtmTiles(settings.resolution_m, settings.cells, settings.halo)
    _require_known(settings)
    model = _model(settings)
    tiles = tuple(lattice.covering(area))
    if not tiles:
        raise GridError(
            f"{settings.beside(settings.region)}: its polygons have no area; expected the outline of a region"
        )
    scenes, by_epoch = _scenes(settings)
    if settings.source.kind == "files":
        _require_overlap(settings, scenes, by_epoch, area)
    elif settings.model.verb == "dem":
        require_heights(settings, lattice.with_halo(tiles[0]))
    else:
        _require_service(settings, lattice.with_halo(tiles[0]))
    return Plan(settings, lattice, area, tiles, scenes, model, by_epoch)


def _scenes(settings: Settings) -> tuple[tuple[Scene, ...], tuple[tuple[int, ...], ...]]:
    """All files of all epochs, and of each epoch the numbers of its own."""
    known: dict[Path, Footprint] = {}
    scenes: list[Scene] = []
    by_epoch = []
    for epoch in settings.epochs:
        listed = [(path, "", "") for path in settings.matched(epoch.files)]
        for band, patterns in epoch.guides.items():
            for pattern in patterns:
                file, mark, part = pattern.rpartition("#")
                listed += [(p, band, mark + part if mark else "") for p in settings.matched((file or pattern,))]
        first = len(scenes)
        for path, band, part in listed:
            if path not in known:
                known[path] = read_footprint(path, settings.source.assume_crs)
            scenes.append(Scene(known[path], band, part))
        by_epoch.append(tuple(range(first, len(scenes))))
    return tuple(scenes), tuple(by_epoch)


def _service(settings: Settings) -> dict[str, Any]:
    """What the service's file states of the data that are fetched, since its name says nothing of its content."""
    from terrafine.acquire.service import find_collection
    from terrafine.workflows.fetch import service_for

    used = {name: service_for(name, settings.service) for name in (settings.collection, settings.source.radar) if name}
    return {
        name: {"url": service.url} | dataclasses.asdict(find_collection(service, name))
        for name, service in used.items()
    }


def _require_known(settings: Settings) -> None:
    """Refuse names of a sensor or a product that do not exist, before any tile fails for them."""
    from terrafine.raster.products import find_product
    from terrafine.raster.read.images.sensors import SENSORS

    sensor, product = settings.source.sensor, settings.source.product
    if sensor is not None and sensor not in SENSORS:
        raise UsageError(f"{settings.path}: [source] sensor = {sensor!r}: expected one of {', '.join(sorted(SENSORS))}")
    if product is not None:
        find_product(product)


def _require_overlap(
    settings: Settings, scenes: Sequence[Scene], by_epoch: Sequence[tuple[int, ...]], area: Any
) -> None:
    for epoch, numbers in zip(settings.epochs, by_epoch, strict=True):
        if not numbers:
            raise SourceError(f"{settings.path}: [epochs] {epoch.name}: no raster in {', '.join(epoch.files)}")
        if not any(scenes[i].footprint.outline.intersects(area) for i in numbers if not scenes[i].guide):
            raise GridError(
                f"{settings.path}: [epochs] {epoch.name}: none of {len(numbers)} scenes lies in the region "
                f"{settings.region}; expected scenes of that area"
            )


def _require_service(settings: Settings, grid: Any) -> None:
    """Refuse a service, collection or composite that cannot be, without a connection."""
    from terrafine.workflows.fetch import fetch_requests

    for number in range(len(settings.epochs)):
        options = settings.fetch_options(number)
        fetch_requests(options.pop("collection"), grid=grid, **options)


def _model(settings: Settings) -> dict[str, Any]:
    """What identifies the model, once it is certain that there is one that serves."""
    from terrafine.systems import find_model, find_system, list_models

    verb, name = settings.model.verb, settings.model.name
    own = "map" if verb == "image" else verb
    if name is not None and ("/" in name or name.endswith(".safetensors")):
        name = str(settings.beside(name))
    if verb == "dem" and name is None:  # chosen for each DEM by its product
        served = [ref for ref in list_models() if find_system(ref.spec.system).verb == "dem"]
        for ref in served:
            _require_halo(settings, ref)
        named = sorted({(ref.name, ref.spec.version, ref.sha256) for ref in served})
        return {"name": None, "weights": hashlib.sha256(json.dumps(named).encode()).hexdigest()}
    options = settings.options
    scale = {"map": 10, "height": 1}.get(verb) or (options.scale or 4)
    chosen = name or {"map": "citymap", "image": "jointseg", "height": "relief"}[verb]
    ref = find_model(chosen, scale, verb=own)
    _require_halo(settings, ref)
    return {"name": chosen, "version": ref.spec.version, "scale": scale, "weights": ref.sha256}


def _require_halo(settings: Settings, ref: Any) -> None:
    """Refuse a halo that is narrower than the model looks: tiles would not join."""
    cells = ref.spec.halo
    if cells > settings.halo:
        raise UsageError(
            f"{settings.path}: [grid] halo_m: {settings.halo} cells of {settings.resolution_m:g} m; {ref.name} looks "
            f"{cells} cells around each, so expected at least halo_m = {cells * settings.resolution_m:g}"
        )
