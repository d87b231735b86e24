"""Recipes of systems that super-resolve elevation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from terrafine.errors import RecipeError
from terrafine.schema.types import DataPath, Items, Matches, Weight, Within, shown
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.misfit import MisfitFamily
from terrafine.training.dem.optical import OpticalFamily
from terrafine.training.dem.products import ProductFamily
from terrafine.training.dem.radar import RadarFamily
from terrafine.training.dem.real_pair import RealPair
from terrafine.training.dem.resampled import ResampleFamily
from terrafine.training.recipe import HeldOut, Recipe

__all__ = ["DemData", "DemPatches", "DemRecipe"]

_Scale = Annotated[int, Within(2, 64)]
_CELLS = 2**28  # fine cells in a batch: a gigabyte for each tensor


@dataclass(frozen=True, slots=True)
class DemData:
    """A recipe's `[data]`: elevation models, and the held-out part of them.

    Attributes
    ----------
    files
        Glob under the data folder -> weight.
    held_out
        Name of a terrain -> fractions [from, to) of its rows.
    gap
        Cells between training windows and a held-out band.
    licence
        Licence of the data, for the provenance of the weights.
    """

    files: Annotated[Mapping[DataPath, Weight], Items(1, 10_000)]
    held_out: HeldOut
    gap: Annotated[int, Within(0, 1_000_000)] = 64
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class DemPatches:
    """A recipe's `[patches]`: size and augmentation of patches.

    Attributes
    ----------
    size
        Coarse cells along a patch.
    batch
        Patches in a batch.
    coarsen
        Factor -> probability, by which the terrain is averaged first.
    exaggerate
        Largest logarithm of the factor of the heights.
    mirror
        Whether patches are reflected and rotated at random.
    """

    size: Annotated[int, Within(8, 4_096)]
    batch: Annotated[int, Within(1, 4_096)]
    coarsen: Mapping[Annotated[str, Matches(r"[1-9][0-9]?", "one of the whole factors 1 to 99")], Weight] = field(
        default_factory=lambda: {"1": 1.0}
    )
    exaggerate: Annotated[float, Within(0, 10)] = 0.0
    mirror: bool = True


@dataclass(frozen=True, kw_only=True)
class DemRecipe(Recipe):
    """Recipe of elevation super-resolution.

    Attributes
    ----------
    scale
        Fine cells along a coarse one; with several scales, the one that is scored.
    data, patches
        Tables of the data and of the patches.
    degrade, products
        Distribution of the degradations from fine to coarse heights: one of the two. `products` is also given to the
        network.
    misfit
        How real cells depart from the product that is stated to the network, or None.
    pair
        A real pair whose patches and errors are mixed in, or None.
    resample
        Larger cells, rotation and unequal axes of the terrain that patches are drawn from, or None.
    radar, optical
        Simulation of guides over the fine heights, or None.
    scales
        Scales that one set of weights serves, trained in turn step by step; empty for one scale.
    validation_patches
        Number of held-out patches that are scored.
    """

    scale: _Scale
    data: DemData
    patches: DemPatches
    degrade: Family | None = None
    products: ProductFamily | None = None
    misfit: MisfitFamily | None = None
    pair: RealPair | None = None
    resample: ResampleFamily | None = None
    radar: RadarFamily | None = None
    optical: OpticalFamily | None = None
    scales: Annotated[Sequence[_Scale], Items(0, 16)] = ()
    validation_patches: Annotated[int, Within(1, 100_000)] = 64

    TABLES: ClassVar = {
        **Recipe.TABLES,
        "data": DemData,
        "patches": DemPatches,
        "degrade": Family,
        "products": ProductFamily,
        "misfit": MisfitFamily,
        "pair": RealPair,
        "resample": ResampleFamily,
        "radar": RadarFamily,
        "optical": OpticalFamily,
    }
    SCORES: ClassVar = ("to_bicubic", "to_consistent", "slope_to_bicubic")

    @property
    def family(self) -> Family | ProductFamily:
        """How the coarse side is made."""
        found = self.products or self.degrade
        if found is None:
            raise RecipeError("expected one of the tables [degrade] and [products]")
        return found

    @property
    def stem(self) -> str:
        """Name of the weights file without its suffix: NAME-xK, or NAME where the weights serve several scales."""
        return self.name if self.scales else f"{self.name}-x{self.scale}"

    def problems(self) -> list[str]:
        """Find settings that are invalid, as one message for each."""
        p, edge = self.patches, self.loss.get("edge", 4)
        served = tuple(self.scales) or (self.scale,)
        fine = p.batch * (p.size * max(self.scale, *self.scales, 1)) ** 2
        checks = (
            (
                any(not w > 0 for w in self.data.files.values()),
                f"[data.files] {shown(self.data.files)}: expected weights above 0",
            ),
            (
                not sum(p.coarsen.values()) > 0,
                f"[patches] coarsen = {shown(p.coarsen)}: expected whole factors and their probabilities",
            ),
            (bool(self.scales) and self.scale not in self.scales, f"scale {self.scale} is not among scales"),
            (
                fine > _CELLS,
                f"[patches] size = {p.size}, batch = {p.batch}: {fine:,} fine cells; expected up to {_CELLS:,}",
            ),
            (
                isinstance(edge, int) and 2 * edge >= p.size,
                f"[loss] edge = {shown(edge)}: leaves nothing of [patches] size = {p.size}; expected below half of it",
            ),
            (
                (self.degrade is None) == (self.products is None),
                "expected one of the tables [degrade] and [products], which state how the coarse side is made",
            ),
            (
                self.misfit is not None and self.products is None,
                "[misfit] states how cells depart from [products], which is absent; add it, or leave [misfit] out",
            ),
            (
                self.pair is not None and (self.products is None or self.misfit is None),
                "[pair] mixes real cells into those of [products] and [misfit]; add both, or leave [pair] out",
            ),
            (
                self.pair is not None and self.pair.scale not in served,
                f"[pair] scale = {self.pair.scale if self.pair else 0}: expected one of the scales of the recipe, "
                f"{shown(served)}",
            ),
            (
                self.pair is not None and bool(self.radar or self.optical),
                "[pair] has no guides; leave out [radar] and [optical], or [pair]",
            ),
            (not self.data.held_out, "[data] held_out is empty: without held-out terrain no score means anything"),
        )
        return super().problems() + [text for bad, text in checks if bad]
