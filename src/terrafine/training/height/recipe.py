"""Recipes of systems that learn heights from images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from terrafine.schema.types import DataPath, DataPathOrNone, Items, Matches, Within
from terrafine.training.height.data import Mirror
from terrafine.training.recipe import HeldOut, Recipe

__all__ = ["ImageData", "ImagePatches", "ImageRecipe"]

_CELLS = 2**28  # cells in a batch: a gigabyte for each band


@dataclass(frozen=True, slots=True)
class ImageData:
    """A recipe's `[data]`: pairs of rasters, held out by geography, or a folder of tiles in the published layout.

    pairs      image -> heights, under the data folder; sensor of the images, found where it is not stated
    held_out   name of an image without its suffix -> fraction of rows [from, to); gap in cells
    images, heights  globs of tiles that pair by the number at the end of their names; `white`: reflectance of 255
    splits     dataset_splits.json; `split` 1-4 is one of its splits, `blocks` a geographic split by block_m metres

    Attributes
    ----------
    pairs
        Image -> heights, under the data folder.
    sensor
        Sensor of the images; detected where empty.
    held_out
        Name of an image without its suffix -> fractions [from, to) of its rows.
    gap
        Cells between training windows and a held-out band.
    images, heights
        Globs of tiles that pair by the number at the end of their names.
    white
        Reflectance of the value 255 of a tile.
    splits
        JSON file of the published splits.
    split
        `1` to `4`, a split of that file, or `blocks`, a geographic split.
    block_m
        Side of a block in metres.
    licence
        Licence of the data, for the provenance of the weights.
    """

    pairs: Annotated[Mapping[DataPath, DataPath], Items(0, 10_000)] = field(default_factory=dict)
    sensor: Annotated[str, Matches(r"[A-Za-z0-9_-]{0,40}", "the name of a sensor")] = ""
    held_out: HeldOut = field(default_factory=dict)
    gap: Annotated[int, Within(0, 1_000_000)] = 64
    images: DataPathOrNone = ""
    heights: DataPathOrNone = ""
    white: Annotated[float, Within(0, 100, above=True)] = 0.3
    splits: DataPath = "dataset_splits.json"
    split: Literal["1", "2", "3", "4", "blocks"] = "1"
    block_m: Annotated[float, Within(1, 1e7)] = 50_000.0
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class ImagePatches:
    """A recipe's `[patches]`: size and augmentation of patches.

    Attributes
    ----------
    size
        Cells along a patch.
    batch
        Patches in a batch.
    least, mirror, light
        As in `height.data.ImageSampler`.
    """

    size: Annotated[int, Within(16, 16_384)]
    batch: Annotated[int, Within(1, 4_096)]
    least: Annotated[float, Within(0, 1, above=True)] = 1.0
    mirror: Mirror = "all"
    light: Annotated[float, Within(0, 10)] = 0.0


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """Recipe of heights from images.

    Attributes
    ----------
    data, patches
        Tables of the data and of the patches.
    validation_tiles
        Number of held-out tiles that are scored.
    """

    data: ImageData
    patches: ImagePatches
    validation_tiles: Annotated[int, Within(1, 100_000)] = 64

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
        """Find settings that are invalid, as one message for each."""
        d, p = self.data, self.patches
        tiled = bool(d.images or d.heights)
        checks = (
            (bool(d.pairs) == tiled, "[data] needs either pairs, or images and heights"),
            (
                bool(d.pairs) and not d.held_out,
                "[data] held_out is empty: without held-out ground no score means anything",
            ),
            (bool(d.images) != bool(d.heights), "[data] images and heights pair; expected both or neither"),
            (
                p.batch * p.size**2 > _CELLS,
                f"[patches] size = {p.size}, batch = {p.batch}: expected up to {_CELLS:,} cells in a batch",
            ),
        )
        return super().problems() + [text for bad, text in checks if bad]
