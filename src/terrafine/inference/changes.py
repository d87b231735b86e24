"""Differences between the job of a folder and the requested one, in the user's terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["changes", "difference"]

_PARTS = {
    "target.crs": "target_crs",
    "target.resolution": "target_resolution",
    "inputs.vertical": "vertical_datum",
    "inputs.unit": "elevation_unit",
}
_STRIPPED = ("options.", "map.", "inputs.")
_ABSENT = object()


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Describe the differences between two jobs: files, model, options, and last the division into tiles.

    `old` and `new` have the keys `request` and `plan`, as a job's record. The list is empty where they are equal, and
    may be where only what a user cannot see differs.

    Parameters
    ----------
    old, new
        Records of the jobs with the keys `request` and `plan`.

    Returns
    -------
    list[str]
        One line for each difference; empty for equal jobs, and possibly where the difference is not visible to a user.
    """
    before, now = dict(old.get("request", {})), dict(new.get("request", {}))
    lines: list[str] = []
    for key in ("inputs", "anchor"):
        lines += _files(key, before.get(key), now.get(key))
    lines += _model(before.pop("model", None), now.pop("model", None))
    lines += _named("product", before, now)
    for line in difference(before, now):
        where, _, rest = line.partition(": ")
        if not where.endswith((".files", ".sha256")) and not (where.endswith(".shape") and lines):
            lines.append(f"{_plain(where)}: {rest}")
    if lines:
        return list(dict.fromkeys(lines))
    plan = difference(old.get("plan", {}), new.get("plan", {}))
    return [f"tiles of the run, {line}" for line in plan if not line.startswith("memory_bytes")] or plan


def difference(old: Any, new: Any, where: str = "") -> list[str]:
    """List the leaves in which two JSON values differ.

    Parameters
    ----------
    old, new
        JSON values.
    where
        Dotted name of the values, empty for the root.

    Returns
    -------
    list[str]
        For each leaf, its dotted name with the earlier and the present value.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        lines: list[str] = []
        for key in sorted(old.keys() | new.keys()):
            lines += difference(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{where}.{key}" if where else str(key))
        return lines
    if old == new and type(old) is type(new):
        return []
    return [f"{where}: was {_shown(old)}, now {_shown(new)}"]


def _files(key: str, old: Any, new: Any) -> list[str]:
    """The files of an input, or of the anchor, that were changed, added or left out."""
    before, now = (
        {f["path"]: f for f in part.get("files", [])} if isinstance(part, dict) else {} for part in (old, new)
    )
    word = "input" if key == "inputs" else key
    lines = []
    for path in dict.fromkeys((*before, *now)):
        was, found = before.get(path), now.get(path)
        if was is None or found is None:
            lines.append(f"{word} {path}: {'not read before' if was is None else 'no longer read'}")
        elif was.get("sha256") != found.get("sha256"):
            lines.append(f"{word} {path}: its content is another")
        elif was != found:
            lines.append(f"{word} {path}: written again since, with the same content")
    return lines


def _model(old: Any, new: Any) -> list[str]:
    """The model, named by its name, version and scale."""
    if old == new:
        return []
    named = []
    for part in (old, new):
        spec = part.get("spec") if isinstance(part, dict) else None
        if spec:
            named.append(f"{spec.get('name', 'none')} {spec.get('version', '')} ×{spec.get('scale', '')}")
        else:
            named.append(f"weights {part['weights_sha256'][:12]}" if part and "weights_sha256" in part else "none")
    if named[0] != named[1]:
        return [f"model: was {named[0]}, now {named[1]}"]
    sums = [str(part.get("weights_sha256", ""))[:12] if isinstance(part, dict) else "" for part in (old, new)]
    if sums[0] != sums[1]:
        return [f"weights of {named[0]}: was checksum {sums[0]}, now {sums[1]}"]
    return [f"model {named[0]}: {_plain(line)}" for line in difference(old, new)]


def _named(key: str, before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A part that is a record with a key: named by that, and taken out."""
    old, new = before.pop(key, None), now.pop(key, None)
    if old == new:
        return []
    words = [part.get("key", part) if isinstance(part, dict) else part for part in (old, new)]
    if words[0] == words[1]:
        return [f"{key} {words[0]}: {line}" for line in difference(old, new)]
    return [f"{key}: was {_shown(words[0])}, now {_shown(words[1])}"]


def _plain(where: str) -> str:
    if where in _PARTS:
        return _PARTS[where]
    if where.startswith("software."):
        return f"version of {where.removeprefix('software.')}"
    for prefix in _STRIPPED:
        where = where.removeprefix(prefix)
    return where


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 120 else text[:117] + "..."
