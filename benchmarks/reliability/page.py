"""Tables of docs/reliability.md, from the records of all families."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.reliability import RESULTS, Record

__all__ = ["SECTIONS"]

TITLES = {
    "kills_dem": "`dem` killed, then given again: the bytes of a calm run",
    "kills_map": "`map` killed, then given again: the bytes of a calm run",
    "kills_train": "`train` killed, then given again: the same weights",
    "kills_evaluate": "`evaluate` killed, then given again: the same results and tables",
    "kills_campaign": "`campaign run` killed, then given again: the same tiles",
    "kills_fetch": "`fetch` killed, then given again: the bytes of a calm run and its lineage",
    "disks": "disks full at a size: our error, no part left, the next run whole",
    "files": "mutated rasters: read or refused, no crash, no hang",
    "recipes": "mutated recipes: read or refused",
    "settings": "mutated gates, regions, splits, product files, indices and job plans: read or refused",
    "weights": "forged weights: loaded as they are or refused",
    "sources": "hostile sources: refused, nothing read or fetched",
    "memory": "wide rasters: peak within the projection",
    "large": "large rasters, almost empty: run to the end, peak within the projection",
}


def _records() -> dict[str, Record]:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    return {name: found[name] for name in TITLES if name in found}


def _table() -> str:
    records = _records()
    lines = ["| attack | tried | failed |", "|---|---|---|"]
    lines += [f"| {TITLES[n]} | {r['tried']:,} | {len(r['failures'])} |" for n, r in records.items()]
    failures = [f"- {name}: {failure}" for name, record in records.items() for failure in record["failures"]]
    return "\n".join([*lines, "", "Failures:" if failures else "Failures: none.", *failures]) + "\n"


def _memory() -> str:
    lines = ["| input | scale | model | projected MB | peak MB | minutes |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r['height']:,} × {r['width']:,} | {r['scale']} | {r['model']} | {r['projected'] / 1e6:,.0f} "
        f"| {r['peak'] / 1e6:,.0f} | {r['seconds'] / 60:,.1f} |"
        for name in ("memory", "large")
        for r in _records().get(name, {}).get("runs", [])
    ]
    return "\n".join(lines) + "\n"


def _outcomes() -> str:
    """What became of each kind of mutated file."""
    lines = ["| file | variants | read | refused | unexpected | hang or crash |", "|---|---|---|---|---|---|"]
    for name in ("recipes", "settings", "weights", "files"):
        for kind, found in _records().get(name, {}).get("kinds", {}).items():
            bad = sum(n for outcome, n in found.items() if outcome.startswith("unexpected"))
            worse = sum(n for outcome, n in found.items() if outcome.startswith(("hang", "crash")))
            total, read = sum(found.values()), found.get("read", 0)
            lines.append(f"| {kind} | {total} | {read} | {total - read - bad - worse} | {bad} | {worse} |")
    return "\n".join(lines) + "\n"


def _mutation() -> str:
    """The score of the tests, and the mutants that none of them noticed."""
    file = RESULTS / "mutation.json"
    if not file.exists():
        return "Not counted yet.\n"
    record = json.loads(file.read_text(encoding="utf-8"))
    lines = [
        "| part | mutants | killed by a test | out of time | survived | equivalent | score |",
        "|---|---|---|---|---|---|---|",
    ]
    for part, n in record["parts"].items():
        noticed = n["killed"] + n["out_of_time"]
        counted = noticed + n["survived"]
        score = f"{100 * noticed / counted:.0f} %" if counted else ""
        lines.append(
            f"| `{part}/` | {n['tried']:,} | {n['killed']:,} | {n['out_of_time']:,} | {n['survived']:,} "
            f"| {n['equivalent']:,} | {score} |"
        )
    first = {part: n for part, n in record.get("first", {}).items() if n != record["parts"][part]}
    for part, n in first.items():
        score = 100 * (n["killed"] + n["out_of_time"]) / (n["tried"] - n["equivalent"])
        lines.append(
            f"| `{part}/`, before tests were added | {n['tried']:,} | {n['killed']:,} | {n['out_of_time']:,} "
            f"| {n['survived']:,} | {n['equivalent']:,} | {score:.0f} % |"
        )
    controls, tests = record["controls"], ", ".join(f"`{path}`" for path in record["tests"])
    lines += [
        "",
        f"Seed {record['seed']}; tests: {tests}. Tests were run on unchanged code {controls['tried']} times as a "
        f"check, of which {controls['failed']} failed.",
    ]
    if record["survivors"]:
        lines += ["", "Survived:", *(f"- `{name}`" for name in record["survivors"])]
    if record["equivalent"]:
        lines += ["", "Equivalent:", *(f"- `{name}`: {why}" for name, why in record["equivalent"].items())]
    return "\n".join(lines) + "\n"


SECTIONS: dict[str, Callable[[], str]] = {
    "reliability": _table,
    "reliability_memory": _memory,
    "reliability_outcomes": _outcomes,
    "reliability_mutation": _mutation,
}
