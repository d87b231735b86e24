"""A first look at every scene, from its overviews: how clear it is over the area, and which offset its numbers hold."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from terrafine.acquire import offset as offsets
from terrafine.acquire.catalogue import Scene
from terrafine.acquire.masks import clear_cells
from terrafine.acquire.observe import stored_numbers
from terrafine.acquire.offset import Decision
from terrafine.acquire.remote import AssetError, AssetReader
from terrafine.acquire.request import Request
from terrafine.errors import EmptyError

__all__ = ["Survey", "survey"]

_SIDE = 256  # cells along the longer side of the first look
_DARK = 0.005  # quantile that is called the darkest


@dataclass
class Survey:
    """What the first look found.

    Attributes
    ----------
    scenes
        Those that are used, oldest first.
    clear
        Scene to the share of the area where it shows clear ground.
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
    factor = max(1.0, max(request.geobox.shape) / _SIDE)
    small = request.geobox.zoom_out(factor) if factor > 1 else request.geobox
    with ThreadPoolExecutor(request.options.connections) as pool:
        looks = list(pool.map(lambda scene: _look(reader, request, scene, small), scenes))
    for scene, (share, _, problem) in zip(scenes, looks, strict=True):
        if problem:
            found.failed[scene.id] = problem
        else:
            found.clear[scene.id] = share
    good = [s for s in scenes if s.id not in found.failed]
    if not good:
        raise EmptyError(
            f"{request.area.name}: none of {len(scenes)} scenes can be read, such as {_first(found.failed)}; "
            "expected at least one. Check the service, and the names of assets in its file"
        )
    _resolve(found, request, good, {s.id: dark for s, (_, dark, _) in zip(scenes, looks, strict=True)})
    found.scenes = [
        s for s in good if s.id not in found.failed and found.clear[s.id] >= max(request.options.min_clear, 1e-9)
    ]
    if not found.scenes:
        best = max(found.clear.values(), default=0.0)
        raise EmptyError(
            f"{request.area.name}: none of {len(scenes)} scenes shows clear ground (the clearest {100 * best:.0f} % of "
            f"the area; expected {100 * request.options.min_clear:g} %): all cloud. Widen the dates, or "
            "state min_clear=0"
        )
    return found


def _look(reader: AssetReader, request: Request, scene: Scene, geobox: Any) -> tuple[float, float, str]:
    """Share of clear cells, darkest clear number, and what is wrong with the scene."""
    try:
        numbers, classes = stored_numbers(reader, request, scene, geobox)
    except AssetError as error:
        return 0.0, np.nan, str(error)
    clear = np.isfinite(numbers).all(axis=0) & (numbers > 0).all(axis=0)
    if classes is not None:
        clear &= clear_cells(request.collection.kind, classes)
    if not clear.any():
        return 0.0, np.nan, ""
    return float(clear.mean()), float(np.quantile(numbers[:, clear], _DARK, axis=1).min()), ""


def _resolve(found: Survey, request: Request, scenes: Sequence[Scene], darkest: dict[str, float]) -> None:
    """The offset of each Sentinel-2 item; those whose offset is not identifiable are left out."""
    if request.collection.kind != "sentinel-2-l2a":
        return
    stated = request.options.offset
    assets = [request.collection.assets[b] for b in request.bands]
    if stated != "auto":
        value = offsets.OFFSET if stated == "subtract" else 0.0
        found.decisions = {s.id: Decision(value, "stated", f'offset="{stated}"') for s in scenes}
        return
    first = [offsets.from_metadata(s, assets) for s in scenes]
    checked = offsets.check_by_values(first, [darkest[s.id] for s in scenes])
    for scene, decision in zip(scenes, checked, strict=True):
        found.decisions[scene.id] = decision
        if decision.refused:
            found.failed[scene.id] = f"{scene.id}: its offset is not identifiable: {decision.warning}"
        elif decision.warning:
            found.notes.append(f"{scene.id}: {decision.subtract:g} is subtracted, by {decision.by}: {decision.warning}")


def _first(failed: dict[str, str]) -> str:
    return next(iter(failed.values()), "none")
