"""The input of one unit: scenes of files merged on the tile, or the part of a DEM that covers it with its guides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.campaign.plan import Plan, Unit
from terrafine.errors import EmptyError, SourceError

if TYPE_CHECKING:
    from terrafine.acquire.fetch import Fetched
    from terrafine.raster.products import Product, Resolved

__all__ = ["Input", "bands_of", "gather"]

_WANTED = 16  # cells of the DEM around the halo, so that a warp to the tile's grid has all that it needs


@dataclass(frozen=True, slots=True)
class Input:
    """What a unit's model reads.

    Attributes
    ----------
    path
        The image or the DEM.
    clear
        Share of its cells that were measured.
    lineage
        What it was made of: files with digests, or items.
    names
        Names of the scenes.
    notes
        What a user should read.
    product
        Product of a DEM, or None.
    guides
        Band to files of the guides that lie in the tile.
    tags
        Further tags for the tile: how the offset of Sentinel-2 was resolved.
    incidence
        File with the incidence of fetched radar, or None.
    """

    path: Path
    clear: float
    lineage: Mapping[str, Any]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    product: Product | None = None
    guides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    incidence: str | None = None


def gather(plan: Plan, unit: Unit, work: Path, records: Path) -> Input:
    """Bring the input of a unit together.

    Parameters
    ----------
    plan, unit
        The plan and the unit.
    work
        Folder for the file that is made.
    records
        Folder of what is decided about fetched scenes, for all tiles alike.

    Returns
    -------
    Input

    Raises
    ------
    EmptyError
        Where the sources hold no observation of the tile.
    TerrafineError
        For sources that cannot serve.
    """
    fetches = plan.settings.source.kind == "stac"
    if plan.settings.model.verb == "dem":
        return _fetched_heights(plan, unit, work) if fetches else _heights(plan, unit, work)
    return _fetched(plan, unit, work, records) if fetches else _image(plan, unit, work)


def _image(plan: Plan, unit: Unit, work: Path) -> Input:
    from terrafine.raster.read.images.composite import composite_scenes

    s = plan.settings
    scenes = [plan.scenes[i].footprint for i in unit.scenes if not plan.scenes[i].guide]
    if not scenes:
        raise EmptyError(f"no scene of epoch {s.epochs[unit.epoch].name} reaches the tile {unit.tile.name}")
    target = work / "composite.tif"
    made = composite_scenes(
        [f.path for f in scenes],
        plan.lattice.with_halo(unit.tile),
        target,
        bands_of(plan),
        method=s.source.composite,
        sensor=s.source.sensor,
        nodata=s.source.nodata,
        assume_crs=s.source.assume_crs,
    )
    used = [f for f in scenes if f.path in made.scenes]
    lineage = {"files": [{"name": Path(f.path).name, "sha256": f.sha256} for f in used], "sensors": list(made.sensors)}
    return Input(target, made.clear, lineage, tuple(Path(f.path).name for f in used), made.notes)


def _fetched(plan: Plan, unit: Unit, work: Path, records: Path) -> Input:
    """The composite of the scenes that a STAC API lists for the tile and the dates of the epoch."""
    from terrafine.acquire.fetch import fetch_raster
    from terrafine.acquire.options import FetchOptions
    from terrafine.workflows.fetch import fetch_requests

    source = plan.settings.source
    fields = plan.settings.fetch_options(unit.epoch)
    request = fetch_requests(
        fields.pop("collection"),
        grid=plan.lattice.with_halo(unit.tile),
        bands=bands_of(plan),
        options=FetchOptions(max_cloud=source.max_cloud, min_clear=source.min_clear, offset=source.offset),
        **fields,
    )[0]
    made = fetch_raster(replace(request, part=True, records=records), work / "composite.tif")
    lineage, names, notes = _stated(made)
    return Input(made.path, 1.0 - made.empty_share, lineage, names, notes, tags=made.offset_tags)


def _stated(made: Fetched) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """What the record of a tile keeps of a fetch: its lineage in short, the names of its items, and its notes."""
    from terrafine.schema.files import read_json

    lineage = read_json(made.lineage, SourceError, "the lineage of what was fetched", 64_000_000)
    listed = lineage.get("items", []) if isinstance(lineage, dict) else []
    kept = ("id", "pixels_sha256", "processing_baseline", "offset")
    items = [{k: item[k] for k in kept if k in item} for item in listed if isinstance(item, dict)]
    stated = {k: lineage[k] for k in ("service", "collection", "licence", "attribution") if k in lineage}
    left = tuple(f"{name}: left out, {why}" for name, why in sorted(made.failed.items()))
    notes = tuple(n.replace(f"{made.path}: ", "") for n in made.notes if not n.startswith("left out: "))
    return {"items": items, **stated}, tuple(str(item.get("id")) for item in items), (*left, *notes)


def bands_of(plan: Plan) -> tuple[str, ...]:
    """Bands that the model of a campaign of images reads."""
    from terrafine.systems import find_model

    verb = plan.settings.model.verb
    ref = find_model(plan.model["name"], int(plan.model["scale"]), verb="map" if verb == "image" else verb)
    return tuple(ref.spec.inputs)


def _heights(plan: Plan, unit: Unit, work: Path) -> Input:
    from terrafine.raster.read.cut import cut_surface
    from terrafine.raster.read.source import open_source

    s, epoch = plan.settings, plan.settings.epochs[unit.epoch]
    listed = [plan.scenes[i] for i in unit.scenes]
    used = [scene.footprint for scene in listed if not scene.guide]
    files = [f.path for f in used]
    if not files:
        raise EmptyError(f"no DEM of epoch {epoch.name} reaches the tile {unit.tile.name}")
    margin = (plan.lattice.halo + _WANTED) * plan.lattice.resolution_m
    target = work / "surface.tif"
    with open_source(
        files,
        vertical_datum=s.source.vertical_datum,
        assume_crs=s.source.assume_crs,
        nodata=s.source.nodata,
        elevation_unit=s.source.elevation_unit,
    ) as source:
        kind = _kind(plan, source)
        cut = cut_surface(source, plan.lattice.outline(unit.tile, margin), target)
    lineage = {"files": [{"name": Path(f.footprint.path).name, "sha256": f.footprint.sha256} for f in listed]}
    return Input(
        target,
        cut.valid,
        {**lineage, **_product_fields(kind)},
        tuple(Path(f.path).name for f in used),
        tuple(source.notes),
        kind.product if kind.known else None,
        _guide_files(plan, unit),
    )


def _fetched_heights(plan: Plan, unit: Unit, work: Path) -> Input:
    """The DEM around the tile that a STAC API has, on its own grid, with guides of files or of the same service."""
    from terrafine.acquire.fetch import fetch_raster
    from terrafine.campaign.stac_heights import dem_request, radar_request
    from terrafine.raster.area import grid_area
    from terrafine.raster.read.source import open_source

    s = plan.settings
    area = grid_area(plan.lattice.with_halo(unit.tile).pad(_WANTED))
    request, resampled = dem_request(s, unit.epoch, area)
    made = fetch_raster(request, work / "surface.tif")
    lineage, names, notes = _stated(made)
    with open_source([made.path]) as source:
        source.require_valid()
        kind = _kind(plan, source)
        notes = (*resampled, *notes, *source.notes)
    listed = [plan.scenes[i].footprint for i in unit.scenes]
    lineage["files"] = [{"name": Path(f.path).name, "sha256": f.sha256} for f in listed]
    guides, incidence = _guide_files(plan, unit), None
    if s.source.radar is not None:
        radar = radar_request(s, unit.epoch, area, f"EPSG:{unit.tile.epsg}")
        try:
            seen = fetch_raster(radar, work / "radar.tif")
        except EmptyError as error:
            notes = (*notes, f"without a radar guide: {error}")
        else:
            of_radar, radar_names, radar_notes = _stated(seen)
            lineage["items"] += of_radar["items"]
            names, notes = (*names, *radar_names), (*notes, *radar_notes)
            guides = {b: (f"{seen.path}#{n}",) for n, b in enumerate(radar.names, start=1) if b in ("vv", "vh")}
            incidence = os.fspath(seen.path) if "incidence" in radar.names else None
    return Input(
        made.path,
        1.0 - made.empty_share,
        {**lineage, **_product_fields(kind)},
        names,
        notes,
        kind.product if kind.known else None,
        guides,
        incidence=incidence,
    )


def _kind(plan: Plan, source: Any) -> Resolved:
    """The product of a tile's DEM, without a noise level of its own: neighbouring tiles may come from other files."""
    from terrafine.raster.products import find_product, resolve_product

    named = plan.settings.source.product
    return resolve_product(source, None if named is None else find_product(named), own_level=False)


def _product_fields(kind: Resolved) -> dict[str, str]:
    """The product in the record of a tile; `status` compares what heights alone suggest over all tiles."""
    how = kind.how if kind.how == "stated" or kind.how.startswith("from the") else kind.line
    return {"product": kind.product.key, "product_how": how}


def _guide_files(plan: Plan, unit: Unit) -> dict[str, tuple[str, ...]]:
    """Band to the files of the epoch that guide it in the tile."""
    guides: dict[str, tuple[str, ...]] = {}
    for scene in (plan.scenes[i] for i in unit.scenes):
        if scene.guide:
            guides[scene.guide] = (*guides.get(scene.guide, ()), scene.footprint.path + scene.part)
    return guides
