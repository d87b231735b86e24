"""What a fetched raster was made from: tags for the file, and a JSON file with every item, digest and decision."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.offset import baseline
from terrafine.acquire.request import Request
from terrafine.acquire.signing import bare
from terrafine.version import __version__

__all__ = ["lineage_bytes", "tags_of"]

_LISTED = 20  # items that a tag lists


def lineage_bytes(
    request: Request, plan: Mapping[str, Any], read: Mapping[str, str], failed: Mapping[str, str]
) -> bytes:
    """Return the lineage as JSON: the request, each item with its offset and digest, and what was left out.

    Parameters
    ----------
    request, plan
        What was asked for, and how it was done.
    read
        Scene to the SHA-256 of the numbers that were read of it, block by block.
    failed
        Scene to why it, or part of it, was left out.

    Returns
    -------
    bytes
        UTF-8; the same for the same pixels.
    """
    scenes = [Scene(item) for item in plan["items"]]
    record = {
        "terrafine": __version__,
        "service": {"key": request.service.key, "name": request.service.name, "url": request.service.url},
        "licence": request.collection.licence,
        "attribution": request.collection.attribution,
        "request": request.record(),
        "items": [_item(request, plan, scene, read) for scene in scenes if scene.id in read],
        "left_out": [{"id": name, "reason": text} for name, text in sorted(failed.items())],
        "clouds": plan.get("clouds") or request.options.mask,
        "notes": plan["notes"],
    }
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()


def _item(request: Request, plan: Mapping[str, Any], scene: Scene, read: Mapping[str, str]) -> dict[str, Any]:
    names = [*(request.collection.assets[b] for b in request.bands), request.collection.mask]
    assets = {}
    for name in filter(None, names):
        asset = scene.asset(name) or {}
        stated = {key: asset[key] for key in ("file:checksum", "checksum:multihash") if key in asset}
        assets[name] = {"href": bare(str(asset.get("href", ""))), **stated}
    self_link = next((link.get("href") for link in scene.item.get("links", ()) if link.get("rel") == "self"), None)
    found = {
        "id": scene.id,
        "collection": scene.item.get("collection"),
        "self": None if self_link is None else bare(str(self_link)),
        "datetime": scene.time.isoformat(),
        "platform": scene.platform or None,
        "processing_baseline": baseline(scene),
        "cloud_cover": scene.cloud,
        "clear_share": plan["clear"].get(scene.id),
        "orbit": scene.properties.get("sat:orbit_state"),
        "offset": plan["decisions"].get(scene.id),
        "assets": assets,
        "pixels_sha256": read[scene.id],
    }
    return {key: value for key, value in found.items() if value is not None}


def tags_of(
    request: Request, plan: Mapping[str, Any], read: Mapping[str, str], failed: Mapping[str, str]
) -> dict[str, str]:
    """Return the tags of the file.

    Parameters
    ----------
    request, plan, read, failed
        As in `lineage_bytes`.

    Returns
    -------
    dict of str
        Tags of the domain TERRAFINE.
    """
    collection = request.collection
    scenes = [s for s in (Scene(item) for item in plan["items"]) if s.id in read]
    days = sorted(str(s.day) for s in scenes)
    tags = {
        "VERSION": __version__,
        "SOURCE": f"{request.service.key} {collection.id}",
        "SOURCE_KIND": collection.kind,
        "COMPOSITE": request.composite,
        "CLOUDS": str(plan.get("clouds", "")),
        "ITEMS": str(len(scenes)),
        "ITEM_IDS": ", ".join(s.id for s in scenes[:_LISTED]) + (", ..." if len(scenes) > _LISTED else ""),
        "ITEMS_LEFT_OUT": ", ".join(sorted(failed)[:_LISTED]),
        "DATES": "" if request.dates is None or not days else f"{days[0]}/{days[-1]}",
        "ORBIT": request.orbit,
        "LICENCE": collection.licence,
        "ATTRIBUTION": collection.attribution,
        "PRODUCT": collection.product,
    }
    if collection.kind == "sentinel-2-l2a":
        tags |= _offset_tags(plan, {s.id for s in scenes})
    return {name: value for name, value in tags.items() if value}


def _offset_tags(plan: Mapping[str, Any], used: set[str]) -> dict[str, str]:
    """The offset that was subtracted, how it was decided, and for which items against the metadata."""
    decided = {name: d for name, d in plan["decisions"].items() if name in used}
    counts = Counter((d["subtract"], d["by"]) for d in decided.values())
    listed = [f"{value:g} by {how}: {n}" for (value, how), n in sorted(counts.items())]
    odd = [name for name, d in decided.items() if d["warning"]]
    open_ = [name for name, d in decided.items() if not d["checked"] and d["by"] != "stated"]
    return {
        "OFFSET_SUBTRACTED": "; ".join(listed),
        "OFFSET_CONTRADICTED": ", ".join(odd[:_LISTED]),
        "OFFSET_UNCHECKED": ", ".join(open_[:_LISTED]),
    }
