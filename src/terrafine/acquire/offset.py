"""Resolve for each Sentinel-2 item whether 1,000 is still added to its numbers.

From processing baseline 04.00 (25 January 2022) ESA's products hold reflectance × 10,000 + 1,000. Archives differ in
what they did with it: some removed it, some state so wrongly, and the offset that an asset declares may be of the
product rather than of the file. So the metadata are weighed first, and ground that is known to be dark has the last
word: vegetation in red shows both whether the offset is there and whether it is not, and any number far below 1,000
cannot hold it. The ground is that of the whole scene, so that every part of a region takes a scene in the same way.

References
----------
https://sentiwiki.copernicus.eu/web/s2-processing
https://github.com/Element84/earth-search/issues/9
https://github.com/Element84/earth-search/issues/71
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.look import Look

__all__ = ["Decision", "baseline", "by_ground", "decide", "from_metadata"]

OFFSET = 1000.0
_SINCE, _FROM = 4.0, dt.date(2022, 1, 25)
_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied", "s2:boa_offset_applied")
_BASELINES = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline", "processing:baseline")
# Vegetation is darker than 0.1 in red, so 5 % of its cells are below 1,000 without the offset; with it, they would be
# below 850 only where the atmospheric correction took 0.015 too much from all of them. Above 2,000 it is no vegetation.
_PLANTS_WITHOUT, _PLANTS_WITH, _NO_PLANTS = 850.0, 1050.0, 2000.0
_SURELY_REMOVED = 700.0  # other ground below: no offset of 1,000 is in it, errors of the correction included
_BRIGHT_GROUND = 900.0  # if the darkest of the other scenes is above it as well, the ground is bright
_LIKE = 400.0  # how close to others of dark ground a scene must come for the offset to explain the difference
_AGREES, _STEADY = 300.0, 200.0  # the same between scenes of any ground, whose levels spread less than the second
_OTHERS = 2  # scenes of the same ground that a comparison needs
_BARE_NAME, _DARKEST_NAME = "bare ground is", "the darkest clear numbers are"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether 1,000 is subtracted from an item's numbers, and why.

    Attributes
    ----------
    subtract
        What is subtracted: 1000 or 0.
    by
        What decided: `flag`, `declared`, `baseline`, `date`, `values` or `stated`.
    reason
        The evidence in words.
    warning
        What contradicts it, or empty.
    refused
        Whether the item is left out, because the evidence contradicts itself and the values decide nothing.
    checked
        Whether the ground confirms it, or has decided it.
    """

    subtract: float
    by: str
    reason: str
    warning: str = ""
    refused: bool = False
    checked: bool = False


def baseline(scene: Scene) -> float | None:
    """Return the processing baseline of an item, such as 5.09; None if it states none.

    Parameters
    ----------
    scene
        The item.

    Returns
    -------
    float or None
        From its properties, else from the name of its product, as `_N0509_`.
    """
    for name in _BASELINES:
        value = scene.properties.get(name)
        match = re.fullmatch(r"0*(\d{1,2})[.]?(\d{2})", str(value)) if value is not None else None
        if match:
            return int(match[1]) + int(match[2]) / 100
    named = (scene.id, scene.properties.get("s2:product_uri"), scene.properties.get("title"))
    found = re.search(r"_N(\d{2})(\d{2})_", " ".join(str(n) for n in named if n))
    return int(found[1]) + int(found[2]) / 100 if found else None


def from_metadata(scene: Scene, assets: Sequence[str]) -> Decision:
    """Decide from what the catalogue states: baseline, flag, offset of the assets.

    Parameters
    ----------
    scene
        The item.
    assets
        Its reflectance assets.

    Returns
    -------
    Decision
        With a warning where statements contradict each other.
    """
    version, flag, declared = baseline(scene), _flag(scene.properties), _declared(scene, assets)
    since = version >= _SINCE if version is not None else scene.day >= _FROM
    product = f"baseline {version:05.2f}" if version is not None else f"no baseline stated, acquired {scene.day}"
    holds = f"{product}: the product {'holds' if since else 'does not hold'} the offset"
    offset = "" if declared is None else f"; the assets declare an offset of {declared:g}"
    if flag is not None:
        subtract = OFFSET if since and not flag else 0.0
        said = f"{holds}; the flag states that it was {'removed' if flag else 'not removed'}{offset}"
        odd = ""
        if flag and not since:
            odd = "the flag states that an offset was removed which the product never had"
        elif declared is not None and (declared < 0) != bool(subtract):
            odd = "the offset that the assets declare contradicts flag and baseline"
        return Decision(subtract, "flag", said, odd)
    if declared is not None and (declared < 0) == since:
        return Decision(OFFSET if since else 0.0, "declared", holds + offset)
    odd = "" if declared is None or declared == 0 else "the offset that the assets declare contradicts the baseline"
    return Decision(OFFSET if since else 0.0, "baseline" if version is not None else "date", holds + offset, odd)


def _flag(properties: Mapping[str, Any]) -> bool | None:
    """Whether the archive states that it removed the offset."""
    found = [properties[name] for name in _FLAGS if isinstance(properties.get(name), bool)]
    return found[0] if found else None


def _declared(scene: Scene, assets: Sequence[str]) -> float | None:
    """The offset that the reflectance assets declare, in reflectance; None if they declare none or differ."""
    found = set()
    for name in assets:
        asset = scene.asset(name) or {}
        bands = asset.get("raster:bands") or asset.get("bands") or [{}]
        first = bands[0] if isinstance(bands, list) and bands and isinstance(bands[0], dict) else {}
        value = first.get("offset", first.get("raster:offset", asset.get("raster:offset")))
        found.add(float(value) if isinstance(value, int | float) else None)
    return found.pop() if len(found) == 1 else None


def decide(metadata: Decision, look: Look | None, others: Sequence[tuple[float, Look]] = ()) -> Decision:
    """Decide about one item from its metadata, its own ground, and other items of the same ground.

    Parameters
    ----------
    metadata
        What the catalogue states: `from_metadata`.
    look
        What the whole scene shows; None where it was not looked at.
    others
        What was subtracted from other scenes of the same ground, and what they show.

    Returns
    -------
    Decision
        Changed where the values prove the metadata wrong; `refused` where the values contradict what no metadata
        explain, and where metadata contradict each other and no ground decides.
    """
    if metadata.by == "stated":
        return metadata
    holds, seen = by_ground(look) if look is not None else (None, "the scene was not looked at")
    if holds is None and look is not None and others:
        holds, compared = _by_others(metadata.subtract, look, others)
        seen = f"{seen}; {compared}"
    if holds is None:
        return _unproven(metadata, seen)
    if holds == bool(metadata.subtract):
        warned = f" ({metadata.warning})" if metadata.warning else ""
        return replace(metadata, reason=f"{metadata.reason}{warned}; {seen}", checked=True, warning="")
    against = f"against the metadata ({metadata.reason})"
    if not holds:
        warning = f"{seen}, so the offset is not in them, {against}"
        return replace(metadata, subtract=0.0, by="values", checked=True, warning=warning)
    if "the product holds" in metadata.reason:
        warning = f"{seen}, so the offset is in them, {against}"
        return replace(metadata, subtract=OFFSET, by="values", checked=True, warning=warning)
    return replace(metadata, refused=True, warning=f"{seen}, which the metadata do not explain ({metadata.reason})")


def _unproven(metadata: Decision, seen: str) -> Decision:
    """What is done where no ground decides: the metadata are followed, unless they contradict each other."""
    reason = f"{metadata.reason}; not checked: {seen}"
    if metadata.by == "baseline" and metadata.warning:
        return replace(metadata, reason=reason, refused=True, warning=f"{metadata.warning}, and {seen} ({reason})")
    warning = metadata.warning
    if metadata.by == "date":
        warning = f"its baseline is not stated, and {seen}, so its date decided"
    return replace(metadata, reason=reason, warning=warning)


def by_ground(look: Look) -> tuple[bool | None, str]:
    """Whether the numbers of a scene hold the offset, as far as its own ground proves it.

    Parameters
    ----------
    look
        What the scene shows.

    Returns
    -------
    holds : bool or None
        None where nothing in it is surely dark.
    seen : str
        What was seen, in words.
    """
    if look.plants is not None:
        seen = f"its darkest vegetation is {look.plants:.0f} in red"
        if look.plants < _PLANTS_WITHOUT:
            return False, seen
        if _PLANTS_WITH < look.plants < _NO_PLANTS:
            if look.water is None or look.water >= _SURELY_REMOVED:
                return True, seen
            return None, f"{seen}, and its darkest water {look.water:.0f}"
    if look.water is not None and look.water < _SURELY_REMOVED:
        return False, f"its darkest water is {look.water:.0f} in red"
    if look.darkest is None:
        return None, "too little of it is clear"
    seen = f"the darkest clear numbers are {look.darkest:.0f}"
    return (False if look.darkest < _SURELY_REMOVED else None), seen


def _by_others(subtract: float, look: Look, others: Sequence[tuple[float, Look]]) -> tuple[bool | None, str]:
    """Whether the numbers hold the offset, as far as other scenes of the same ground prove it."""
    for name, level, usual in _levels(look, others):
        if len(usual) < _OTHERS:
            continue
        middle = float(np.median(usual))
        seen = f"{name} {level:.0f} as stored, and {middle:.0f} without the offset in other scenes of this ground"
        steady = float(np.median(np.abs(usual - middle))) < _STEADY
        dark = name == _DARKEST_NAME and middle <= _BRIGHT_GROUND
        shift = level - subtract - middle
        if abs(shift) < _AGREES and steady:
            return bool(subtract), seen
        moved = shift - OFFSET if not subtract else shift + OFFSET
        if (steady and abs(moved) < _AGREES) or (dark and not subtract and abs(moved) < _LIKE):
            return not subtract, seen
    return None, "other scenes of this ground decide nothing"


def _levels(look: Look, others: Sequence[tuple[float, Look]]) -> list[tuple[str, float, NDArray[np.float64]]]:
    """What can be compared: name, level of the scene as stored, levels of the others without the offset."""
    found = []
    if look.bare is not None:
        found.append((_BARE_NAME, look.bare, [o.bare - s for s, o in others if o.bare is not None]))
    if look.darkest is not None:
        found.append((_DARKEST_NAME, look.darkest, [o.darkest - s for s, o in others if o.darkest is not None]))
    return [(name, level, np.array(usual, np.float64)) for name, level, usual in found]
