"""What the Sat2DEM benchmark is made of: areas, tiles, baselines, anchors, and scores under each objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import F64, Mask, back_projected, bicubic, block_mean, fill_nearest
from terrafine.raster.warp.fusion import fuse
from terrafine.raster.warp.relief_gain import ReliefGain, local_anomaly

AREAS = ("beavercreek", "gutzler", "riceridge", "ecklund", "zion")
COARSE_TRUTH = {"zion": 3}  # cells of the image along a cell of the truth that there is: SRTM at 90 m
TILES = (64, 128, 256)
EDGE = 32  # cells left out along the border of anchored scores: beyond it nobody knows the coarse heights


@dataclass(frozen=True)
class Area:
    """image (3, y, x) reflectance, z and valid (y, x), voids of z filled from the nearest cell."""

    name: str
    image: NDArray[np.float32]
    z: F64
    valid: Mask


def pair_of(area: str) -> tuple[str, str]:
    """Image and heights under the data folder."""
    dem = "zion_srtm_90m.tif" if area == "zion" else f"{area}_dem.tif"
    return f"image_height/{area}_landsat8.tif", f"image_height/{dem}"


def read_area(data: Path, name: str) -> Area:
    """The pair as the training reads it."""
    from terrafine.training.height.data import load_scenes

    image, dem = pair_of(name)
    (scene,) = load_scenes(data, {image: dem}, "landsat-l1")
    valid = scene.terrain.heights != scene.terrain.nodata
    return Area(name, scene.image, fill_nearest(scene.terrain.heights.astype(np.float64), valid), valid)


def relief_of(model: Any, image: NDArray[np.float32]) -> F64:
    """The model over the whole image through the engine's tiles; (y, x) metres, cells of 30 m."""
    from terrafine.inference.engine import run_in_memory
    from terrafine.inference.planner import make_plan
    from terrafine.raster.read.array import ArraySource

    bands: dict[str, Any] = dict(zip(("red", "green", "blue"), image, strict=True))
    source = ArraySource(bands, np.full((2, image.shape[1]), 30.0))
    plan = make_plan((image.shape[1], image.shape[2]), model.spec)
    out, _ = run_in_memory(plan, model.spec, source, model, outputs=("relief",))
    return out[0].astype(np.float64)


def tiles(valid: Mask, side: int) -> Iterator[tuple[slice, slice]]:
    """Windows of a regular lattice of which nine tenths are valid."""
    for y in range(0, valid.shape[0] - side + 1, side):
        for x in range(0, valid.shape[1] - side + 1, side):
            at = slice(y, y + side), slice(x, x + side)
            if valid[at].mean() >= 0.9:
                yield at


def plane_through(z: F64, valid: Mask) -> F64:
    """The plane nearest to the valid cells."""
    y, x = np.indices(z.shape)
    table = np.stack([np.ones(valid.sum()), y[valid], x[valid]], axis=1)
    level, down, across = np.linalg.lstsq(table, z[valid], rcond=None)[0]
    return np.asarray(level + down * y + across * x)


def tile_scores(made: F64, truth: F64, valid: Mask) -> dict[str, float]:
    """MAE, RMSE, SSIM and R² of one tile."""
    from terrafine.training.height.scores import score_tiles

    a, b, v = (torch.from_numpy(np.ascontiguousarray(x, np.float32))[None, None] for x in (made, truth, valid))
    return {name: float(value[0]) for name, value in score_tiles(a, b, v).items()}


def shift_scores(area: Area, relief: F64, side: int, mean_height: float) -> dict[str, dict[str, float]]:
    """Means over tiles of heights above the tile's lowest cell, by method.

    Two methods know nothing of the level, `constant` (the mean height above the lowest cell of other areas' tiles) and
    `relief above its own lowest cell`; three are given the truth's mean in the tile: `tile mean`, `relief, mean known`,
    and `plane fit`, which is given the tilt besides.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for at in tiles(area.valid, side):
        valid = area.valid[at]
        truth = area.z[at] - area.z[at][valid].min()
        mine, mean = relief[at], truth[valid].mean()
        level = mine - mine[valid].mean()
        methods = {
            "constant": np.full_like(truth, mean_height),
            "relief above its own lowest cell": mine - mine[valid].min(),
            "tile mean": np.full_like(truth, mean),
            "plane fit": plane_through(truth, valid),
            "relief, mean known": level + mean,
        }
        for name, surface in methods.items():
            rows.setdefault(name, []).append(tile_scores(surface, truth, valid))
    return {name: {k: float(np.mean([r[k] for r in found])) for k in found[0]} for name, found in rows.items()}


def mean_shift_height(areas: Mapping[str, Area], side: int) -> float:
    """Mean height above the tile's lowest cell over tiles of these areas."""
    found = [a.z[at][a.valid[at]] for a in areas.values() for at in tiles(a.valid, side)]
    return float(np.mean([z.mean() - z.min() for z in found]))


def anchored_scores(area: Area, relief: F64, metres: int) -> dict[str, dict[str, float]]:
    """Absolute heights (the Global objective) of what can be made of cell means of the truth, `metres` wide.

    `relief taken whole` adds the image's detail as it is, `image on the coarse DEM` as far as the coarse DEM bears it
    out, as `terrafine height --anchor` does.
    The truth's cells that the means are made of are scored, EDGE cells from the border and in blocks that are wholly
    valid; where the truth is coarser than the image, both are averaged to its cells first.
    """
    k, own = metres // 30, COARSE_TRUTH.get(area.name, 1)
    y, x = (n // k * k for n in area.z.shape)
    z, valid = area.z[:y, :x], area.valid[:y, :x]
    coarse = block_mean(z, k)
    smooth, gain = back_projected(coarse, k), ReliefGain(coarse.shape)
    both = block_mean(valid.astype(float), k) == 1
    gain.add(0, local_anomaly(block_mean(relief[:y, :x], k), both), local_anomaly(coarse, both), both)
    known, there = np.ones(coarse.shape, bool), np.ones((y, x), bool)
    believed = gain.rows(slice(0, len(coarse)), k)
    joins = {
        name: fuse(coarse, known, relief[:y, :x], there, g, k)
        for name, g in (("relief taken whole", np.ones_like(believed)), ("image on the coarse DEM", believed))
    }
    methods = {
        "coarse DEM": coarse.repeat(k, 0).repeat(k, 1),
        "bicubic": bicubic(coarse, k),
        "back-projected bicubic": smooth,
        **joins,
    }
    whole = (block_mean(valid.astype(float), k) == 1).repeat(k, 0).repeat(k, 1)
    whole[:EDGE] = whole[-EDGE:] = False
    whole[:, :EDGE] = whole[:, -EDGE:] = False
    truth, cells = z, whole
    if own > 1:
        trim = np.s_[: y // own * own, : x // own * own]
        methods = {name: block_mean(surface[trim], own) for name, surface in methods.items()}
        truth, cells = block_mean(z[trim], own), block_mean(whole[trim].astype(float), own) == 1
    return {name: tile_scores(surface, truth, cells) for name, surface in methods.items()}


def turned(model: Any, area: Area, quarter: int, metres: int = 900) -> dict[str, float]:
    """Skill when image and ground are turned by so many quarters under a light that the model takes to stand still.

    r2_band: 1 - squared error / variance of what the cell means of `metres` leave; correlation with it.
    """
    image = np.rot90(area.image, quarter, axes=(1, 2)).copy()
    relief = np.rot90(relief_of(model, image), -quarter).copy()
    k = metres // 30
    y, x = (n // k * k for n in area.z.shape)
    detail = area.z[:y, :x] - back_projected(block_mean(area.z[:y, :x], k), k)
    mine = relief[:y, :x] - back_projected(block_mean(relief[:y, :x], k), k)
    whole = (block_mean(area.valid[:y, :x].astype(float), k) == 1).repeat(k, 0).repeat(k, 1)
    whole[:EDGE] = whole[-EDGE:] = False
    whole[:, :EDGE] = whole[:, -EDGE:] = False
    a, b = mine[whole], detail[whole]
    return {
        "r2_band": float(1 - np.mean((a - b) ** 2) / np.mean(b**2)),
        "correlation": float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 else 0.0,
    }


def checkerboard(z: F64, period: int = 2) -> float:
    """How mean absolute slope differs between the phases of a lattice of that period: spread over mean; 0 is none."""
    slope = np.abs(np.diff(z, axis=1))[1:-1]
    width = slope.shape[1] // period * period
    phases = slope[:, :width].reshape(-1, width // period, period).mean(axis=(0, 1))
    return float(phases.std() / phases.mean())
