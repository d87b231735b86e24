"""One plain sentence: better than interpolation or not, by how much, with its interval."""

from __future__ import annotations

import math
from typing import Any

from terrafine.evaluation.bootstrap import interval
from terrafine.evaluation.elevation.strata import BlockSums

__all__ = ["BASELINE_NAMES", "verdict"]

BASELINE_NAMES = {"bicubic": "bicubic interpolation", "back_projected": "back-projected bicubic interpolation"}

_SAME = 5e-4  # a smaller change of the RMSE, printed as 0.0 %, is rounding and no merit, however narrow its interval


def _metres(value: float) -> str:
    return f"{value:.2f} m" if value >= 0.1 else f"{value:.4f} m"


def verdict(
    name: str, own: BlockSums, baselines: dict[str, BlockSums], weights: Any, missing: str = "no coarse input was given"
) -> dict[str, Any]:
    """Compare a candidate with the stronger baseline on the same cells, in one paired bootstrap.

    "Better" or "worse" is stated only if the whole 95 % interval of the ratio of RMSEs is on one side of 1 and the
    ratio differs from 1 by 0.05 % or more.

    Parameters
    ----------
    name
        Name of the candidate.
    own
        Its sums by bootstrap block.
    baselines
        Sums of the baselines by name.
    weights
        Bootstrap weights of the blocks (draw, block).
    missing
        Why there is no baseline, for the sentence.

    Returns
    -------
    dict
        The `Verdict`.
    """
    n, _, _, squares = own.sums.sum(axis=1)
    rmse = math.sqrt(squares / n)
    spread = own.statistics(weights)["rmse"]
    if not baselines:
        pair = interval(spread)
        spread_text = f" (95 % interval {_metres(pair[0])} to {_metres(pair[1])})" if pair else ""
        sentence = (
            f"{name} has an RMSE of {_metres(rmse)}{spread_text} on {int(n):,} cells; {missing}, so whether it is "
            "better than interpolation is not known."
        )
        return {"sentence": sentence, "better": None, "rmse_ratio": None, "rmse_ratio_interval": None}
    totals = {key: float(b.sums[3].sum()) for key, b in baselines.items()}
    key = min(totals, key=lambda k: (totals[k], k))
    base = math.sqrt(totals[key] / n)
    ratio = rmse / base if base > 0 else None
    theirs = baselines[key].statistics(weights)["rmse"]
    pair = interval(spread / theirs) if base > 0 else None
    better = None if pair is None else (True if pair[1] < 1 else False if pair[0] > 1 else None)
    if ratio is not None and abs(1 - ratio) < _SAME:
        better = None
    return {
        "sentence": _sentence(name, rmse, base, key, ratio, pair, better, int(n)),
        "better": better,
        "baseline": key,
        "rmse_ratio": ratio,
        "rmse_ratio_interval": pair,
    }


def _sentence(
    name: str,
    rmse: float,
    base: float,
    key: str,
    ratio: float | None,
    pair: list[float] | None,
    better: bool | None,
    n: int,
) -> str:
    against = f"RMSE {_metres(rmse)} against {_metres(base)}"
    if ratio is None or pair is None:
        return f"{name} and {BASELINE_NAMES[key]} cannot be compared: {against} on {n:,} cells in too few blocks."
    if abs(1 - ratio) < _SAME:
        return f"{name} is as good as {BASELINE_NAMES[key]}: {against}, on {n:,} cells."
    change = 100 * abs(1 - ratio)
    way = "lower" if ratio < 1 else "higher"
    if better is None:
        low, high = (100 * (p - 1) for p in pair)
        return (
            f"{name} is not distinguishable from {BASELINE_NAMES[key]}: {against}, {change:.1f} % {way}, with a "
            f"95 % interval from {low:+.1f} to {high:+.1f} %, on {n:,} cells."
        )
    ends = sorted(100 * abs(1 - p) for p in pair)
    return (
        f"{name} is {'better' if better else 'worse'} than {BASELINE_NAMES[key]}: {against}, {change:.1f} % {way} "
        f"(95 % interval {ends[0]:.1f} to {ends[1]:.1f} %), on {n:,} cells."
    )
