"""One plain sentence on class maps: which agrees best, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["sample_verdict", "verdict"]


def verdict(records: Sequence[Mapping[str, Any]]) -> str:
    """Return one sentence: which map agrees best, how well, and whether the interval supports it.

    Parameters
    ----------
    records
        The candidates of results.json, best first.

    Returns
    -------
    str
        The sentence.
    """
    best = records[0]
    values = [row["value"] for row in best["classes"]]
    what = f"F1 of {_name(best['classes'][1])}" if values == [0, 1] else f"mean F1 of {len(values)} classes"
    if best["score"] is None:
        return f"{best['name']}: {what} is not defined: no cell is of that class in the map or in the reference."
    text = f"{best['name']}: {what} {best['score']:.3f}{_between(best['score_interval'])} on {best['n']:,} cells"
    if len(records) == 1:
        return text + "."
    gap = records[1]["behind_best"]
    if gap["score"] is None or gap["interval"] is None:
        return f"{text}; whether it is better than {records[1]['name']} is not known."
    low, high = gap["interval"]
    order = "better than" if low > 0 else "not distinguishable from"
    return f"{text}; {order} {records[1]['name']}, by {gap['score']:.3f} (95 % interval {low:+.3f} to {high:+.3f})."


def _name(row: Mapping[str, Any]) -> str:
    return f"class {row['value']}" if row["name"] == str(row["value"]) else str(row["name"])


def _between(pair: Sequence[float] | None) -> str:
    return f" (95 % interval {pair[0]:.3f} to {pair[1]:.3f})" if pair else ""


def sample_verdict(best: Mapping[str, Any]) -> str:
    """Return one sentence on the best map: its overall accuracy, estimated from a sample of points.

    Parameters
    ----------
    best
        The best candidate of results.json.

    Returns
    -------
    str
        The sentence.
    """
    accuracy = best["sample"]["overall_accuracy"]
    return (
        f"{best['name']}: overall accuracy {accuracy['value']:.3f}{_between(accuracy['interval'])}, estimated from "
        f"{best['n']:,} points."
    )
