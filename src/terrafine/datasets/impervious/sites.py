"""Where samples may lie, which of them are taken, and how they are split by geography."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import DataError, UsageError

__all__ = ["Choice", "Place", "choose", "nearest_between", "split"]

F64 = NDArray[np.float64]
_DEALS = 64


@dataclass(frozen=True, slots=True)
class Place:
    """One square of ground that could be a sample.

    image, row, col   which image, and the square's first cell on that image's grid
    frame, at         metres (3) in a frame: geocentric for images with a CRS, their own for each image without one
    block             places of one block go to one split
    region            stratum
    """

    image: int
    row: int
    col: int
    frame: str
    at: tuple[float, float, float]
    block: str
    region: str


@dataclass(frozen=True)
class Choice:
    """Places that were taken, by index, and for each region the metres that they keep from all others."""

    taken: tuple[int, ...]
    spacing_m: dict[str, float]


class _Kept:
    """Places taken so far, by frame."""

    def __init__(self) -> None:
        self._at: dict[str, list[tuple[float, float, float]]] = {}

    def add(self, place: Place) -> None:
        self._at.setdefault(place.frame, []).append(place.at)

    def distance(self, place: Place) -> float:
        """Metres to the nearest; infinite where none lies in the frame."""
        there = self._at.get(place.frame)
        if not there:
            return math.inf
        return float(np.linalg.norm(np.asarray(there) - np.asarray(place.at), axis=1).min())


def choose(places: Sequence[Place], count: int | None, spacing_m: float, side_m: float, seed: int) -> Choice:
    """Stratified random places: as many from each region, each `spacing_m` from all others where that leaves enough.

    Where a region is too small for its share at that spacing, the spacing there is halved until it is reached, at last
    down to places side by side; what it came to is told. Without a count: all that keep the spacing. Raises UsageError.
    """
    if (count is not None and count < 1) or spacing_m < 0:
        raise UsageError(f"{count} samples, {spacing_m:g} m apart; expected at least one, and 0 m or more")
    regions = sorted({p.region for p in places})
    rng = np.random.default_rng(seed)
    kept, taken, reached = _Kept(), [], {}
    wanted = _shares(count, [sum(p.region == r for p in places) for r in regions])
    for region, want in zip(regions, wanted, strict=True):
        order = rng.permutation([i for i, p in enumerate(places) if p.region == region]).tolist()
        mine: list[int] = []
        spacing = spacing_m
        while True:
            for i in [i for i in order if i not in set(mine)]:
                if len(mine) >= want:
                    break
                if kept.distance(places[i]) >= spacing:
                    kept.add(places[i])
                    mine.append(i)
            if count is None or len(mine) >= want or spacing <= 0:
                break
            spacing = spacing / 2 if spacing / 2 >= side_m else 0.0
        reached[region] = spacing
        taken += mine
    return Choice(tuple(sorted(taken)), reached)


def _shares(count: int | None, there: Sequence[int]) -> list[int]:
    """As many from each region, what a small one lacks given to the others; without a count all."""
    if count is None:
        return list(there)
    out = [0] * len(there)
    left = min(count, sum(there))
    while left:
        for i, n in enumerate(there):
            if left and out[i] < n:
                out[i] += 1
                left -= 1
    return out


def split(
    places: Sequence[Place], shares: Mapping[str, float], held: Mapping[int, str], seed: int
) -> tuple[list[str], list[str]]:
    """The split of each place ("train" or a key of `shares`), whole blocks at a time; and notes.

    `held` gives a split to all places of an image. The other blocks are dealt in random orders, each to the split that
    lacks most of its share, and the deal that comes nearest to the shares is taken. Raises DataError where nothing is
    left to train on, UsageError for shares that leave no room.
    """
    if any(s < 0 for s in shares.values()) or sum(shares.values()) >= 1:
        raise UsageError(f"shares {dict(shares)}; expected 0 or more each, and less than 1 together")
    out = [held.get(p.image, "") for p in places]
    blocks = sorted({p.block for p, s in zip(places, out, strict=True) if not s})
    sizes = {b: sum(p.block == b and not s for p, s in zip(places, out, strict=True)) for b in blocks}
    wanted = {"train": 1 - sum(shares.values())} | {k: s for k, s in shares.items() if s > 0}
    goal = {k: s * len(places) for k, s in wanted.items()}
    have = {k: float(out.count(k)) for k in goal}
    rng = np.random.default_rng(seed)
    deals = [
        _deal(rng.permutation(len(blocks)).tolist(), [sizes[b] for b in blocks], goal, have) for _ in range(_DEALS)
    ]
    where = dict(zip(blocks, min(deals, key=lambda d: d[1])[0], strict=True))
    out = [s or where[p.block] for p, s in zip(places, out, strict=True)]
    if "train" not in out:
        raise DataError(f"{len(places)} samples in {len(blocks)} blocks: none is left to train on; hold out less")
    missing = [k for k in goal if k not in out]
    notes = (
        [f"No sample is in {', '.join(missing)}: {len(blocks)} blocks are too few for the split."] if missing else []
    )
    return out, notes


def _deal(
    order: Sequence[int], sizes: Sequence[int], goal: Mapping[str, float], have: Mapping[str, float]
) -> tuple[list[str], float]:
    """A split for each block, dealt in that order, and how far the outcome is from the goal."""
    now, out = dict(have), [""] * len(sizes)
    for i in order:
        out[i] = max(goal, key=lambda k: (goal[k] - now[k]) / max(goal[k], 1e-9))
        now[out[i]] += sizes[i]
    return out, sum(abs(goal[k] - now[k]) for k in goal)


def nearest_between(places: Sequence[Place], splits: Sequence[str]) -> float | None:
    """Metres from a training sample's middle to the nearest one of another split; None where no frame holds both."""
    best = math.inf
    for frame in sorted({p.frame for p in places}):
        here = [i for i, p in enumerate(places) if p.frame == frame]
        at = np.asarray([places[i].at for i in here])
        train = np.asarray([splits[i] == "train" for i in here])
        if train.all() or not train.any():
            continue
        others = at[~train]
        for row in at[train]:
            best = min(best, float(np.linalg.norm(others - row, axis=1).min()))
    return None if math.isinf(best) else best
