"""A first look at every scene: how clear it is, and which offset its numbers hold.

What belongs to a scene is decided from the whole scene: its offset always, and for a part of a region also whether it
is clear enough. Otherwise neighbouring parts would use one scene differently.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from terrafine.acquire import offset as offsets
from terrafine.acquire.catalogue import Scene, find_scenes, ground_of
from terrafine.acquire.look import Look, look_at
from terrafine.acquire.masks import clear_cells
from terrafine.acquire.observe import stored_numbers
from terrafine.acquire.offset import Decision
from terrafine.acquire.remote import AssetError, AssetReader
from terrafine.acquire.request import Request
from terrafine.acquire.scene_records import SceneRecords
from terrafine.errors import EmptyError
from terrafine.raster.area import AreaOfInterest

__all__ = ["Survey", "survey"]

_SIDE = 256  # cells along the longer side of the first look at an area
_DAYS, _NEIGHBOURS, _CLOUD = 120, 8, 60.0  # other scenes of a ground: how far in time, how many, with how much cloud
_MOST = 10_000  # scenes of any ground that a search for them may find
_STATE = 'State offset="none" or offset="subtract" if you know it'
_MIDDLE = 0.005  # degrees around the middle of a scene that others must cover


@dataclass
class Survey:
    """What the first look found.

    Attributes
    ----------
    scenes
        Those that are used, oldest first.
    clear
        Scene to the share that is clear ground: of the area, or of the scene where the area is a part of a region.
    decisions
        Scene to its offset.
    failed
        Scene to why it is left out.
    notes
        What a user should know.
    """

    scenes: list[Scene]
    clear: dict[str, float] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def survey(reader: AssetReader, request: Request, scenes: Sequence[Scene]) -> Survey:
    """Look at every scene in few cells, and decide which are used and how.

    Parameters
    ----------
    reader, request
        How, and what.
    scenes
        Those that the search found.

    Returns
    -------
    Survey

    Raises
    ------
    EmptyError
        If no scene shows enough clear ground, or none can be read.
    NetworkError
        If a server does not answer.
    """
    found = Survey(list(scenes))
    if not request.optical:
        return found
    records = SceneRecords(request.service.url, request.collection, request.records)
    factor = max(1.0, max(request.geobox.shape) / _SIDE)
    small = request.geobox.zoom_out(factor) if factor > 1 else request.geobox

    least = max(request.options.min_clear, 1e-9)

    def see(scene: Scene) -> float:
        if request.part:
            return _whole(reader, request, records, scene).clear
        return _share(reader, request, scene, small)

    def resolve(scene: Scene) -> Decision:
        if request.options.offset != "auto":
            return _stated(request.options.offset)
        return records.decision(scene, lambda: _decision(reader, request, records, scene))

    with ThreadPoolExecutor(request.options.connections) as pool:
        _collect(found, scenes, pool.map(lambda s: _or_problem(see, s), scenes), found.clear)
        if request.collection.kind == "sentinel-2-l2a":
            good = [s for s in scenes if found.clear.get(s.id, 0.0) >= least]
            _collect(found, good, pool.map(lambda s: _or_problem(resolve, s), good), found.decisions)
    _require_readable(found, request, scenes)
    for name, decision in found.decisions.items():
        if decision.refused:
            found.failed[name] = f"{name}: its offset is not identifiable: {decision.warning}. {_STATE}"
        elif decision.warning:
            found.notes.append(f"{name}: {decision.subtract:g} is subtracted, by {decision.by}: {decision.warning}")
    found.scenes = [s for s in scenes if s.id not in found.failed and found.clear[s.id] >= least]
    if found.decisions and not found.scenes:
        _require_readable(found, request, [s for s in scenes if s.id in found.failed])
    if not found.scenes:
        best = max(found.clear.values(), default=0.0)
        raise EmptyError(
            f"{request.area.name}: none of {len(scenes)} scenes shows clear ground (the clearest {100 * best:.0f} % of "
            f"the {'scene' if request.part else 'area'}; expected {100 * request.options.min_clear:g} %): all cloud. "
            "Widen the dates, or state min_clear=0"
        )
    return found


def _or_problem(see: Any, scene: Scene) -> Any:
    try:
        return see(scene)
    except AssetError as error:
        return error


def _collect(found: Survey, scenes: Sequence[Scene], seen: Any, into: dict[str, Any]) -> None:
    for scene, result in zip(scenes, seen, strict=True):
        if isinstance(result, AssetError):
            found.failed[scene.id] = str(result)
        else:
            into[scene.id] = result


def _require_readable(found: Survey, request: Request, scenes: Sequence[Scene]) -> None:
    if len(found.failed) == len(scenes):
        first = next(iter(found.failed.values()))
        raise EmptyError(
            f"{request.area.name}: none of {len(scenes)} scenes can be used, such as {first}; expected at least one. "
            "Check the service, and the names of assets in its file"
        )


def _whole(reader: AssetReader, request: Request, records: SceneRecords, scene: Scene) -> Look:
    def make() -> Look:
        try:
            return look_at(reader, request.collection, scene)
        except AssetError:
            if request.options.mask == "classes" or not request.collection.mask:
                raise
            return look_at(reader, replace(request.collection, mask=""), scene)  # the mask is not used, nor needed

    return records.look(scene, make)


def _share(reader: AssetReader, request: Request, scene: Scene, geobox: Any) -> float:
    """Share of the cells of the area that are clear ground."""
    numbers, classes = stored_numbers(reader, request, scene, geobox, masks=("classes", "omnicloudmask"))
    clear = np.isfinite(numbers).all(axis=0) & (numbers > 0).all(axis=0)
    if classes is not None:
        clear &= clear_cells(request.collection.kind, classes)
    return float(clear.mean())


def _decision(reader: AssetReader, request: Request, records: SceneRecords, scene: Scene) -> Decision:
    """The offset of a scene, from nothing but the scene and others of its ground."""
    metadata = _metadata(request, scene)
    look = _whole(reader, request, records, scene)
    others: list[tuple[float, Look]] = []
    if offsets.by_ground(look)[0] is None and look.darkest is not None:
        for other in _same_ground(request, scene):
            try:
                seen = _whole(reader, request, records, other)
            except AssetError:
                continue
            judged = offsets.decide(_metadata(request, other), seen)
            if not (judged.refused or (judged.warning and not judged.checked)):
                others.append((judged.subtract, seen))
    return offsets.decide(metadata, look, others)


def _stated(offset: str) -> Decision:
    return Decision(offsets.OFFSET if offset == "subtract" else 0.0, "stated", f'offset="{offset}"')


def _metadata(request: Request, scene: Scene) -> Decision:
    return offsets.from_metadata(scene, list(request.collection.assets.values()))


def _same_ground(request: Request, scene: Scene) -> list[Scene]:
    """The nearest scenes in time of the same ground, whatever dates and area are fetched."""
    box = scene.item.get("bbox")
    if not box:
        return []
    half = len(box) // 2
    east, north = float(box[half]), float(box[half + 1])
    west = float(box[0])
    x = (west + (east if east >= west else east + 360)) / 2
    x, y = (x + 180) % 360 - 180, (float(box[1]) + north) / 2
    area = AreaOfInterest.parse((x - _MIDDLE, y - _MIDDLE, x + _MIDDLE, y + _MIDDLE))
    span = (scene.day - dt.timedelta(_DAYS), scene.day + dt.timedelta(_DAYS))
    limits = replace(request.options, max_cloud=_CLOUD, max_scenes=_MOST)
    try:
        found = find_scenes(request.service, request.collection, area, span, limits)
    except EmptyError:
        return []
    same = [s for s in found if s.id != scene.id and s.time != scene.time and ground_of(s) == ground_of(scene)]
    return sorted(same, key=lambda s: (abs(s.time - scene.time), s.id))[:_NEIGHBOURS]
