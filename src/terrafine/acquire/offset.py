"""Resolve for each Sentinel-2 item whether 1,000 is still added to its numbers.

From processing baseline 04.00 (25 January 2022) ESA's products hold reflectance × 10,000 + 1,000. Archives differ in
what they did with it: some removed it, some state so wrongly, and the offset that an asset declares may be of the
product rather than of the file. So the metadata are weighed first, and the darkest clear ground has the last word where
it proves something: numbers far below 1,000 cannot hold the offset.

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

from terrafine.acquire.catalogue import Scene

__all__ = ["Decision", "baseline", "check_by_values", "from_metadata"]

OFFSET = 1000.0
_SINCE, _FROM = 4.0, dt.date(2022, 1, 25)
_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied", "s2:boa_offset_applied")
_BASELINES = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline", "processing:baseline")
_SURELY_REMOVED = 700.0  # darkest numbers below: no offset of 1,000 is in them, errors of the correction included
_MAY_HOLD = 900.0  # darkest numbers above: the offset may be in them, or the ground is bright
_BRIGHT_GROUND = 900.0  # if the darkest of every other item is above it as well, the ground is bright
_LIKE = 400.0  # how close to the others an item must come for the offset to explain the difference


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
    """

    subtract: float
    by: str
    reason: str
    warning: str = ""
    refused: bool = False


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


def check_by_values(decisions: Sequence[Decision], darkest: Sequence[float]) -> list[Decision]:
    """Hold the decisions of all items of one ground against the darkest clear numbers in each.

    Parameters
    ----------
    decisions
        From the metadata.
    darkest
        For each item the darkest clear number over its bands, as stored; NaN where no clear cell was seen.

    Returns
    -------
    list of Decision
        Changed where the values prove the metadata wrong; `refused` where the two contradict and the values cannot
        decide.
    """
    stored = np.asarray(darkest, np.float64)
    plain = stored - np.array([d.subtract for d in decisions])
    return [_checked(d, float(stored[i]), np.delete(plain, i)) for i, d in enumerate(decisions)]


def _checked(decision: Decision, darkest: float, others: Any) -> Decision:
    if decision.by == "stated" or np.isnan(darkest):
        return decision
    seen = f"the darkest clear numbers are {darkest:.0f}"
    if decision.subtract and darkest < _SURELY_REMOVED:
        return replace(
            decision,
            subtract=0.0,
            by="values",
            warning=f"{seen}, so the offset is not in them, against the metadata ({decision.reason})",
        )
    others = others[np.isfinite(others)]
    usual = float(np.median(others)) if others.size else np.inf
    # Where every item of this ground is bright, or there is no other, the metadata stand.
    explained = usual <= _BRIGHT_GROUND and abs(darkest - OFFSET - usual) < _LIKE
    if decision.subtract or darkest < _MAY_HOLD or not explained:
        return decision
    seen = f"{seen}, and {usual:.0f} in other items of this ground"
    if "the product holds" in decision.reason:
        against = f"{seen}, so the offset is in them, against the metadata ({decision.reason})"
        return replace(decision, subtract=OFFSET, by="values", warning=against)
    return replace(decision, refused=True, warning=f"{seen}, which the metadata do not explain ({decision.reason})")
