"""The input of one unit: scenes of files merged on the tile, or the part of a DEM that covers it with its guides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.campaign.plan import Plan, Unit
from terrafine.errors import EmptyError, SourceError

if TYPE_CHECKING:
    from terrafine.raster.products import Product

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
    """

    path: Path
    clear: float
    lineage: Mapping[str, Any]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    product: Product | None = None
    guides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


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
    if plan.settings.source.kind == "stac":
        return _fetched(plan, unit, work, records)
    return _heights(plan, unit, work) if plan.settings.model.verb == "dem" else _image(plan, unit, work)


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
    from terrafine.schema.files import read_json
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
    lineage = read_json(made.lineage, SourceError, "the lineage of what was fetched", 64_000_000)
    listed = lineage.get("items", []) if isinstance(lineage, dict) else []
    kept = ("id", "pixels_sha256", "processing_baseline", "offset")
    items = [{k: item[k] for k in kept if k in item} for item in listed if isinstance(item, dict)]
    stated = {k: lineage[k] for k in ("service", "collection", "licence", "attribution") if k in lineage}
    left = tuple(f"{name}: left out, {why}" for name, why in sorted(made.failed.items()))
    names = tuple(str(item.get("id")) for item in items)
    notes = tuple(n.replace(f"{made.path}: ", "") for n in made.notes if not n.startswith("left out: "))
    return Input(
        made.path, 1.0 - made.empty_share, {"items": items, **stated}, names, (*left, *notes), tags=made.offset_tags
    )


def bands_of(plan: Plan) -> tuple[str, ...]:
    """Bands that the model of a campaign of images reads."""
    from terrafine.systems import find_model

    verb = plan.settings.model.verb
    ref = find_model(plan.model["name"], int(plan.model["scale"]), verb="map" if verb == "image" else verb)
    return tuple(ref.spec.inputs)


def _heights(plan: Plan, unit: Unit, work: Path) -> Input:
    from terrafine.raster.products import find_product, resolve_product
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
        stated = None if s.source.product is None else find_product(s.source.product)
        kind = resolve_product(source, stated, own_level=False)  # neighbouring tiles may come from other files
        cut = cut_surface(source, plan.lattice.outline(unit.tile, margin), target)
    guides: dict[str, tuple[str, ...]] = {}
    for scene in listed:
        if scene.guide:
            guides[scene.guide] = (*guides.get(scene.guide, ()), scene.footprint.path + scene.part)
    return Input(
        target,
        cut.valid,
        {
            "files": [{"name": Path(f.footprint.path).name, "sha256": f.footprint.sha256} for f in listed],
            "product": kind.product.key,
            # What heights alone suggest is of these files, and may differ in other tiles; `status` compares.
            "product_how": kind.how if kind.how == "stated" or kind.how.startswith("from the") else kind.line,
        },
        tuple(Path(f.path).name for f in used),
        tuple(source.notes),
        kind.product if kind.known else None,
        guides,
    )
