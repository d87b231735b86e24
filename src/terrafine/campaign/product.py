"""`publish_campaign`: a STAC collection of the finished tiles, mosaics that QGIS opens at once, and their style.

    isa/collection.json                 STAC collection
    isa/items/2019/32N/…                an item for each tile and epoch
    isa/isa_2019_32N.vrt, .qml          all tiles of an epoch in a UTM zone, with their overviews, and its style
    isa/holes.csv                       tiles without a result, and why

All links are relative, so the folder can be moved or served as it is.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.campaign.folder import DONE, Folder, State
from terrafine.campaign.stac_fields import extensions_of
from terrafine.errors import IncompleteError, OutputError, SourceError
from terrafine.raster.utm_tiles import zone_name
from terrafine.schema.files import read_json
from terrafine.version import __version__
from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.campaign.plan import Plan, Unit

__all__ = ["Publication", "publish_campaign"]

PathLike = str | os.PathLike[str]
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_CHECKED = 200
_WHAT = {
    "class": "impervious surface",
    "probability": "probability of impervious surface",
    "elevation": "height above the vertical datum of the input",
    "relief": "height above an unstated level",
    "image": "reflectance",
}


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published.

    Attributes
    ----------
    collection
        The STAC collection.
    items
        How many items it has.
    mosaics
        The VRT files, one for each epoch and UTM zone.
    holes
        Tiles and epochs without a result.
    """

    collection: Path
    items: int
    mosaics: tuple[Path, ...]
    holes: int


@names_own_arguments()
def publish_campaign(campaign: PathLike, *, partial: bool = False) -> Publication:
    """Describe the finished tiles as a STAC collection, and lay them out as mosaics with a style.

    Collection and items are validated by pystac against the STAC 1.1.0 schemas that it holds. The schemas of extensions
    are on the network, and are not fetched; the tests of this package validate their fields.

    Parameters
    ----------
    campaign
        The settings file or the folder of a campaign.
    partial
        Publish a campaign with tiles that have no result; holes.csv lists them, and the collection states how many.

    Returns
    -------
    Publication

    Raises
    ------
    IncompleteError
        For tiles without a result, unless `partial`.
    OutputError
        For a collection that is not valid.
    UsageError, SourceError, GridError, WeightsError, JobError
        As in `run_campaign`.
    MissingExtraError
        Where the extra `campaign` is not installed.
    """
    from terrafine.acquire.stac_check import require_valid_stac
    from terrafine.campaign.api import open_campaign
    from terrafine.campaign.status import states_of, status_of

    plan, folder = open_campaign(campaign)
    states = states_of(plan, folder)
    status = status_of(plan, states)
    done = [(unit, state) for unit, state in states if state.name == DONE]
    if not done:
        raise IncompleteError(f"{plan.settings.name}: no tile is done; run the campaign first")
    missing = [(unit, state) for unit, state in states if state.name != DONE]
    if not status.complete and not partial:
        raise IncompleteError(
            f"{plan.settings.name}: {len(missing):,} of {len(plan):,} tiles have no result; run or retry them first, "
            "or publish what is there: partial"
        )
    with folder.locked():
        mosaics = _mosaics(plan, folder, done)
        items = [_item(plan, folder, unit, state) for unit, state in done]
        collection = _collection(plan, items, len(missing))
        require_valid_stac(collection, items[:: max(1, len(items) // _CHECKED)])
        _write_items(folder.path, items)
        _write_json(folder.path / "collection.json", collection)
        _write_holes(plan, folder.path / "holes.csv", missing)
    return Publication(folder.path / "collection.json", len(items), tuple(mosaics), len(missing))


def _item(plan: Plan, folder: Folder, unit: Unit, state: State) -> dict[str, Any]:
    from terrafine.raster.read.tile_header import read_header

    s, epoch = plan.settings, plan.settings.epochs[unit.epoch]
    zone = zone_name(unit.tile.epsg)
    beside = folder.tile(plan, unit).parent
    outline = _outline(plan, unit)
    assets = {}
    for entry in state.record["files"]:
        header = read_header(beside / entry["name"])
        assets[entry["asset"]] = {
            "href": f"../../../tiles/{epoch.name}/{zone}/{entry['name']}",
            "type": _COG,
            "title": _WHAT.get(entry["asset"], entry["asset"]),
            "roles": ["data"],
            "proj:shape": list(header.shape),
            "proj:transform": list(header.transform),
            "bands": [_band(header.classes, band) for band in header.bands],
            "file:size": int(entry["bytes"]),
            "file:checksum": "1220" + str(entry["sha256"]),
        }
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"{s.name}-{epoch.name}-{unit.tile.name}",
        "collection": s.name,
        "geometry": outline.__geo_interface__,
        "bbox": [round(float(v), 9) for v in outline.bounds],
        "properties": {
            "datetime": None,
            "start_datetime": f"{epoch.begin}T00:00:00Z",
            "end_datetime": f"{epoch.end}T23:59:59Z",
            "created": _now(),
            "gsd": plan.lattice.resolution_m,
            "proj:code": f"EPSG:{unit.tile.epsg}",
            "proj:bbox": list(plan.lattice.bounds(unit.tile)),
            "processing:software": {"Terrafine": __version__},
            "processing:lineage": _lineage(plan, state.record),
            "terrafine:epoch": epoch.name,
            "terrafine:tile": unit.tile.name,
            "terrafine:unit_key": unit.key,
            "terrafine:clear_share": state.record.get("clear"),
        },
        "links": [
            {"rel": "root", "href": "../../../collection.json", "type": "application/json"},
            {"rel": "parent", "href": "../../../collection.json", "type": "application/json"},
            {"rel": "collection", "href": "../../../collection.json", "type": "application/json"},
        ],
        "assets": assets,
    }
    item["stac_extensions"] = extensions_of(item)
    return item


def _band(classes: Mapping[int, str], band: Any) -> dict[str, Any]:
    record: dict[str, Any] = {"name": band.name, "data_type": band.dtype}
    if band.nodata is not None:
        record["nodata"] = "nan" if band.nodata != band.nodata else band.nodata
    if band.unit:
        record["unit"] = band.unit
    if band.scale != 1.0:
        record["raster:scale"] = band.scale
    record["raster:spatial_resolution"] = band.cell
    record["raster:sampling"] = "area"
    if classes:
        from terrafine.raster.write.class_style import COLOURS

        record["classification:classes"] = [
            {"value": v, "name": n, "description": n, "color_hint": "".join(f"{c:02X}" for c in COLOURS[v])}
            for v, n in classes.items()
        ]
    return record


def _lineage(plan: Plan, record: Mapping[str, Any]) -> str:
    s = plan.settings
    model = plan.model["name"] or "the model that the product of the DEM asks for"
    inputs = record.get("inputs", {})
    listed = inputs.get("files") or inputs.get("items") or ()
    names = ", ".join(str(f.get("name") or f.get("id")) for f in listed[:20])
    how = f"{s.source.composite} composite of " if s.model.verb != "dem" else ""
    return f"{how}{len(listed)} scenes ({names}); `terrafine {s.model.verb}` with {model}"


def _outline(plan: Plan, unit: Unit) -> Any:
    import numpy as np
    import shapely

    from terrafine.raster.read.vectors.region import wrapped

    outline = plan.lattice.outline(unit.tile)
    west, _, east, _ = outline.bounds
    if east - west > 180:
        outline = wrapped(shapely.transform(outline, lambda xy: xy + np.where(xy < 0, 360.0, 0.0) * np.array([1, 0])))
    return shapely.set_precision(outline, 1e-9)


def _collection(plan: Plan, items: Sequence[Mapping[str, Any]], holes: int) -> dict[str, Any]:
    s, product = plan.settings, plan.settings.product
    boxes = [item["bbox"] for item in items]
    box = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    said = product.description or f"`terrafine {s.model.verb}` over {plan.area_km2:,.0f} km² in {len(s.epochs)} epochs."
    if holes:
        said += f" {holes:,} of {len(plan):,} tiles have no result; holes.csv lists them."
    record: dict[str, Any] = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": s.name,
        "title": product.title or s.name,
        "description": said,
        "license": product.licence,
        "extent": {
            "spatial": {"bbox": [box]},
            "temporal": {"interval": [[f"{s.epochs[0].begin}T00:00:00Z", f"{s.epochs[-1].end}T23:59:59Z"]]},
        },
        "summaries": {
            "proj:code": sorted({item["properties"]["proj:code"] for item in items}),
            "terrafine:epoch": [epoch.name for epoch in s.epochs],
        },
        "item_assets": {
            name: {k: asset[k] for k in ("type", "title", "roles", "bands")}
            for name, asset in sorted(items[0]["assets"].items())
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            *({"rel": "item", "href": _href(item), "type": "application/geo+json"} for item in items),
        ],
    }
    if product.provider:
        record["providers"] = [{"name": product.provider, "roles": ["producer", "licensor"]}]
    if product.doi:
        record["sci:doi"] = product.doi
        record["links"].append({"rel": "cite-as", "href": f"https://doi.org/{product.doi}"})
    if product.citation:
        record["sci:citation"] = product.citation
    record["stac_extensions"] = extensions_of(record)
    return record


def _href(item: Mapping[str, Any]) -> str:
    properties = item["properties"]
    zone = str(properties["terrafine:tile"]).partition("-")[0]
    return f"./items/{properties['terrafine:epoch']}/{zone}/{properties['terrafine:tile']}.json"


def _write_items(root: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write every item, and remove those of tiles that are no longer part of the campaign; other files stay.

    Raises OutputError where the folder of items is a link.
    """
    if (root / "items").is_symlink():
        raise OutputError(f"{root / 'items'}: is a link, where the items of the collection belong; move it")
    written = set()
    for item in items:
        path = root / _href(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_json(path, item)
        written.add(path.resolve())
    for path in (root / "items").rglob("*.json"):
        if path.resolve() not in written and _is_item(path):
            path.unlink()


def _is_item(path: Path) -> bool:
    """Whether a file is an item that an earlier publication wrote."""
    try:
        record = read_json(path, SourceError, "an item")
    except SourceError:
        return False
    return isinstance(record, dict) and "terrafine:unit_key" in (record.get("properties") or ())


def _mosaics(plan: Plan, folder: Folder, done: Sequence[tuple[Unit, State]]) -> list[Path]:
    from terrafine.campaign.style import write_styles
    from terrafine.raster.read.tile_header import read_header
    from terrafine.raster.write.class_style import BUILDING
    from terrafine.raster.write.vrt_mosaic import write_mosaic

    groups: dict[tuple[str, str, str], list[Path]] = {}
    for unit, state in done:
        beside = folder.tile(plan, unit).parent
        for entry in state.record["files"]:
            key = plan.settings.epochs[unit.epoch].name, zone_name(unit.tile.epsg), str(entry["asset"])
            groups.setdefault(key, []).append(beside / str(entry["name"]))
    made = []
    for (epoch, zone, asset), paths in sorted(groups.items()):
        first = asset in ("class", "elevation", "relief", "image")
        name = f"{plan.settings.name}_{epoch}_{zone}" + ("" if first else f"_{asset}")
        target = folder.path / f"{name}.vrt"
        write_mosaic(target, paths)
        write_styles(target, asset, buildings=BUILDING in read_header(paths[0]).classes)
        made.append(target)
    for stale in folder.path.glob(f"{plan.settings.name}_*.vrt"):
        if stale not in made:
            stale.unlink()
            stale.with_suffix(".qml").unlink(missing_ok=True)
    return made


def _write_holes(plan: Plan, path: Path, missing: Sequence[tuple[Unit, State]]) -> None:
    from terrafine.atomic import write_whole

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("epoch", "tile", "state", "reason"))
    for unit, state in missing:
        reason = str(state.record.get("message", ""))
        writer.writerow((plan.settings.epochs[unit.epoch].name, unit.tile.name, state.name, reason))
    write_whole(path, text.getvalue().encode())


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    from terrafine.atomic import write_whole

    write_whole(path, json.dumps(record, indent=1, allow_nan=False).encode())


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
