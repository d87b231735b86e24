"""Recipes of systems that super-resolve elevation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from terrafine.training.dem.degrade import Family
from terrafine.training.dem.optical import OpticalFamily
from terrafine.training.dem.radar import RadarFamily
from terrafine.training.recipe import Recipe, held_out_problems

__all__ = ["DemData", "DemPatches", "DemRecipe"]


@dataclass(frozen=True, slots=True)
class DemData:
    """files: glob under the data folder -> weight; held_out: terrain -> fraction of rows [from, to); gap in cells."""

    files: Mapping[str, float]
    held_out: Mapping[str, Sequence[float]]
    gap: int = 64
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class DemPatches:
    """size in coarse cells; batch; coarsen: factor -> probability; exaggerate: heights × exp(±this)."""

    size: int
    batch: int
    coarsen: Mapping[str, float] = field(default_factory=lambda: {"1": 1.0})
    exaggerate: float = 0.0
    mirror: bool = True


@dataclass(frozen=True, kw_only=True)
class DemRecipe(Recipe):
    """A recipe of elevation super-resolution.

    Attributes
    ----------
    scale, scales
        Fine cells along a coarse one. Where one set of weights serves several scales, they take turns step by step,
        and `scale` is the one that is scored.
    degrade
        How the coarse side is made from the fine one.
    radar, optical
        How guides are simulated over the fine side, or None.
    validation_patches
        Held-out patches that are scored.
    """

    scale: int
    data: DemData
    patches: DemPatches
    degrade: Family
    radar: RadarFamily | None = None
    optical: OpticalFamily | None = None
    scales: Sequence[int] = ()
    validation_patches: int = 64

    TABLES: ClassVar = {
        **Recipe.TABLES,
        "data": DemData,
        "patches": DemPatches,
        "degrade": Family,
        "radar": RadarFamily,
        "optical": OpticalFamily,
    }
    SCORES: ClassVar = ("to_bicubic", "to_consistent", "slope_to_bicubic")

    @property
    def stem(self) -> str:
        """Name of the weights file: NAME-xK, or NAME where the weights serve several scales."""
        return self.name if self.scales else f"{self.name}-x{self.scale}"

    def problems(self) -> list[str]:
        """What contradicts itself, or is out of range; in words."""
        p = self.patches
        checks = (
            (self.scale < 2, f"scale = {self.scale}: expected 2 or more"),
            (
                any(not w > 0 for w in self.data.files.values()),
                f"[data.files] {dict(self.data.files)}: expected weights above 0",
            ),
            (
                any(not k.isdecimal() or int(k) < 1 or not v >= 0 for k, v in p.coarsen.items())
                or not sum(p.coarsen.values()) > 0,
                f"[patches] coarsen = {dict(p.coarsen)}: expected whole factors and their probabilities",
            ),
            (
                not self.patches.exaggerate >= 0,
                f"[patches] exaggerate = {p.exaggerate}: expected 0 or more",
            ),
            (bool(self.scales) and min(self.scales) < 2, f"scales = {list(self.scales)}: expected 2 or more"),
            (bool(self.scales) and self.scale not in self.scales, f"scale {self.scale} is not among scales"),
            (p.size < 8 or p.batch < 1, f"[patches] size = {p.size}, batch = {p.batch}: expected 8 or more, 1 or more"),
            (not self.data.held_out, "[data] held_out is empty: without held-out terrain no score means anything"),
            (self.validation_patches < 1, f"validation_patches = {self.validation_patches}: expected 1 or more"),
        )
        bands = held_out_problems(self.data.held_out, self.data.gap)
        return super().problems() + bands + [text for bad, text in checks if bad]
