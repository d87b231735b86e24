"""Recipes of systems that learn heights from images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from terrafine.training.height.data import MIRRORS
from terrafine.training.recipe import Recipe, held_out_problems

__all__ = ["ImageData", "ImagePatches", "ImageRecipe"]


@dataclass(frozen=True, slots=True)
class ImageData:
    """Either pairs of rasters, held out by geography, or a folder of tiles in the published layout.

    pairs      image -> heights, under the data folder; sensor of the images, found where it is not stated
    held_out   name of an image without its suffix -> fraction of rows [from, to); gap in cells
    images, heights  globs of tiles that pair by the number at the end of their names; `white`: reflectance of 255
    splits     dataset_splits.json; `split` 1-4 is one of its splits, `blocks` a geographic split by block_m metres
    """

    pairs: Mapping[str, str] = field(default_factory=dict)
    sensor: str = ""
    held_out: Mapping[str, Sequence[float]] = field(default_factory=dict)
    gap: int = 64
    images: str = ""
    heights: str = ""
    white: float = 0.3
    splits: str = "dataset_splits.json"
    split: str = "1"
    block_m: float = 50_000.0
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class ImagePatches:
    """size in cells; batch; least share with heights; mirror none, sun or all; light: see `ImageSampler`."""

    size: int
    batch: int
    least: float = 1.0
    mirror: str = "all"
    light: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """A recipe of heights from images; `validation_tiles` held-out tiles are scored."""

    data: ImageData
    patches: ImagePatches
    validation_tiles: int = 64

    TABLES: ClassVar = {**Recipe.TABLES, "data": ImageData, "patches": ImagePatches}
    DEFAULTS: ClassVar = {
        "optim": {
            "rate": 2e-4,
            "beta1": 0.5,
            "beta2": 0.999,
            "warmup": 1,
            "decay": "plateau",
            "ema": 0.0,
            "clip": 0.0,
            "precision": "float32",
        },
        "stop": {"best_by": "mae"},
    }
    SCORES: ClassVar = ("mae", "rmse", "ssim", "r2", "to_mean")
    HIGHER: ClassVar = ("ssim", "r2")

    def problems(self) -> list[str]:
        """What contradicts itself, or is out of range; in words."""
        d, p = self.data, self.patches
        tiled = bool(d.images or d.heights)
        checks = (
            (bool(d.pairs) == tiled, "[data] needs either pairs, or images and heights"),
            (
                bool(d.pairs) and not d.held_out,
                "[data] held_out is empty: without held-out ground no score means anything",
            ),
            (
                tiled and d.split not in ("1", "2", "3", "4", "blocks"),
                f"[data] split = {d.split!r}: expected 1-4, blocks",
            ),
            (
                p.size < 16 or p.batch < 1,
                f"[patches] size = {p.size}, batch = {p.batch}: expected 16 or more, 1 or more",
            ),
            (not d.white > 0, f"[data] white = {d.white}: expected above 0"),
            (not d.block_m > 0, f"[data] block_m = {d.block_m}: expected above 0"),
            (not p.light >= 0, f"[patches] light = {p.light}: expected 0 or more"),
            (p.mirror not in MIRRORS, f"[patches] mirror = {p.mirror!r}: expected one of {', '.join(MIRRORS)}"),
            (not 0 < p.least <= 1, f"[patches] least = {p.least}: expected above 0, up to 1"),
            (self.validation_tiles < 1, f"validation_tiles = {self.validation_tiles}: expected 1 or more"),
        )
        bands = held_out_problems(d.held_out, d.gap)
        return super().problems() + bands + [text for bad, text in checks if bad]
