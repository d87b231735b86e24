"""Candidate sites of samples, the selection among them, and their split by geography."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.datasets.impervious.options import check_shares
from terrafine.errors import DataError, UsageError

__all__ = ["Choice", "SampleSite", "choose_sites", "nearest_between", "split_sites"]

F64 = NDArray[np.float64]
_TRIALS = 64  # random orders in which blocks are assigned to splits


@dataclass(frozen=True, slots=True)
class SampleSite:
    """A square that could be a sample.

    Attributes
    ----------
    image
        Index of the image.
    row, col
        First cell of the square on the image's grid.
    frame
        Name of the coordinate frame: geocentric for images with a CRS, a separate one for each image without.
    at
        Position in the frame, metres.
    block
        Name of the block; sites of one block belong to one split.
    region
        Stratum.
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
    """Selected sites.

    Attributes
    ----------
    chosen
        Indices of the selected sites.
    spacing_m
        Least distance in metres between the sites of each region and all others.
    """

    chosen: tuple[int, ...]
    spacing_m: dict[str, float]


class _Chosen:
    """Sites chosen so far, by frame."""

    def __init__(self) -> None:
        self._at: dict[str, list[tuple[float, float, float]]] = {}

    def add(self, site: SampleSite) -> None:
        self._at.setdefault(site.frame, []).append(site.at)

    def distance(self, site: SampleSite) -> float:
        """Metres to the nearest; infinite where none lies in the frame."""
        there = self._at.get(site.frame)
        if not there:
            return math.inf
        return float(np.linalg.norm(np.asarray(there) - np.asarray(site.at), axis=1).min())


def choose_sites(sites: Sequence[SampleSite], count: int | None, spacing_m: float, side_m: float, seed: int) -> Choice:
    """Select stratified random sites: equally many from each region, with a minimum spacing.

    Where a region is too small for its share at that spacing, the spacing there is halved until the share is reached,
    down to adjacent sites; the result states the spacing. Without a count, all sites that keep the spacing are
    selected.

    Parameters
    ----------
    sites
        Candidate sites.
    count
        Number of sites, or None.
    spacing_m
        Least distance between sites, metres.
    side_m
        Side of a site, metres.
    seed
        Seed of the random order.

    Returns
    -------
    Choice
        The selected sites.

    Raises
    ------
    UsageError
        For a count below 1 or a negative spacing.
    """
    if (count is not None and count < 1) or spacing_m < 0:
        raise UsageError(f"{count} samples, {spacing_m:g} m apart; expected at least one, and 0 m or more")
    regions = sorted({p.region for p in sites})
    rng = np.random.default_rng(seed)
    spaced, chosen, reached = _Chosen(), [], {}
    wanted = _shares(count, [sum(p.region == r for p in sites) for r in regions])
    for region, want in zip(regions, wanted, strict=True):
        order = rng.permutation([i for i, p in enumerate(sites) if p.region == region]).tolist()
        mine: list[int] = []
        spacing = spacing_m
        while True:
            for i in [i for i in order if i not in set(mine)]:
                if len(mine) >= want:
                    break
                if spaced.distance(sites[i]) >= spacing:
                    spaced.add(sites[i])
                    mine.append(i)
            if count is None or len(mine) >= want or spacing <= 0:
                break
            spacing = spacing / 2 if spacing / 2 >= side_m else 0.0
        reached[region] = spacing
        chosen += mine
    return Choice(tuple(sorted(chosen)), reached)


def _shares(count: int | None, there: Sequence[int]) -> list[int]:
    """Equally many from each region, what a small one lacks taken from the others; without a count all."""
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


def split_sites(
    sites: Sequence[SampleSite], shares: Mapping[str, float], held: Mapping[int, str], seed: int
) -> tuple[list[str], list[str]]:
    """Assign each site to a split ("train" or a key of `shares`), whole blocks at a time.

    Blocks are assigned in random orders, each to the split that lacks most of its share; the order that comes nearest
    to the shares is used.

    Parameters
    ----------
    sites
        Selected sites.
    shares
        Share of each split other than "train".
    held
        Split of all sites of an image, by index of the image.
    seed
        Seed of the random orders.

    Returns
    -------
    tuple
        The split of each site, and notes.

    Raises
    ------
    DataError
        Where no site is left to train on.
    UsageError
        Where the shares are negative or leave no room for training.
    """
    check_shares(shares)
    out = [held.get(p.image, "") for p in sites]
    blocks = sorted({p.block for p, s in zip(sites, out, strict=True) if not s})
    sizes = {b: sum(p.block == b and not s for p, s in zip(sites, out, strict=True)) for b in blocks}
    wanted = {"train": 1 - sum(shares.values())} | {k: s for k, s in shares.items() if s > 0}
    goal = {k: s * len(sites) for k, s in wanted.items()}
    have = {k: float(out.count(k)) for k in goal}
    rng = np.random.default_rng(seed)
    trials = [
        _assign(rng.permutation(len(blocks)).tolist(), [sizes[b] for b in blocks], goal, have) for _ in range(_TRIALS)
    ]
    where = dict(zip(blocks, min(trials, key=lambda d: d[1])[0], strict=True))
    out = [s or where[p.block] for p, s in zip(sites, out, strict=True)]
    if "train" not in out:
        raise DataError(f"{len(sites)} samples in {len(blocks)} blocks: none is left to train on; hold out less")
    missing = [k for k in goal if k not in out]
    notes = (
        [f"No sample is in {', '.join(missing)}: {len(blocks)} blocks are too few for the split."] if missing else []
    )
    return out, notes


def _assign(
    order: Sequence[int], sizes: Sequence[int], goal: Mapping[str, float], have: Mapping[str, float]
) -> tuple[list[str], float]:
    """A split for each block, assigned in that order, and the deviation from the goal."""
    now, out = dict(have), [""] * len(sizes)
    for i in order:
        out[i] = max(goal, key=lambda k: (goal[k] - now[k]) / max(goal[k], 1e-9))
        now[out[i]] += sizes[i]
    return out, sum(abs(goal[k] - now[k]) for k in goal)


def nearest_between(sites: Sequence[SampleSite], splits: Sequence[str]) -> float | None:
    """Compute the distance between a training sample and the nearest sample of another split.

    Parameters
    ----------
    sites
        Sites of the samples.
    splits
        Split of each sample.

    Returns
    -------
    float | None
        Metres between centres; None where it is not known.
    """
    best = math.inf
    for frame in sorted({p.frame for p in sites}):
        here = [i for i, p in enumerate(sites) if p.frame == frame]
        at = np.asarray([sites[i].at for i in here])
        train = np.asarray([splits[i] == "train" for i in here])
        if train.all() or not train.any():
            continue
        others = at[~train]
        for row in at[train]:
            best = min(best, float(np.linalg.norm(others - row, axis=1).min()))
    return None if math.isinf(best) else best
