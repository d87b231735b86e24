"""Recipes of systems that learn classes from images of a real sensor and partial labels of the same ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from terrafine.schema.types import DataPath, DataPathOrNone, Interval, Items, Name, Share, Within, shown
from terrafine.training.recipe import Recipe

__all__ = ["Scene", "SceneData", "ScenePatches", "SceneRecipe"]

_Values = Annotated[Sequence[Annotated[int, Within(0, 65_535)]], Items(0, 100)]
_Span = Annotated[Sequence[float], Interval(0, 1, strict=True)]
_Box = Annotated[Mapping[Name, _Span], Items(0, 2)]
_AXES = ("rows", "cols")


@dataclass(frozen=True, slots=True)
class Scene:
    """One place of `[data.scenes.NAME]`: images of several dates on one grid, and labels.

    Attributes
    ----------
    images
        Images of red, green, blue and near infrared under the data folder, one for each date, on one metric grid.
    labels
        Raster of label values in the same CRS; empty for a place without labels.
    impervious, pervious
        Label values that mean impervious, and not impervious; other values leave it unknown.
    building, other
        Label values that mean building, and not building.
    held_out
        `rows` and `cols`, fractions [from, to) of the image: ground that is neither trained on nor selected by.
    validate
        The same for the ground on which weights are selected and calibrated.
    green
        NDVI that, reached on any of the dates, marks ground without a label of its own as not impervious; 1 for none.
    far_m
        Distance from the nearest building, metres, beyond which ground without building counts weakly as not
        impervious; 0 for none.
    """

    images: Annotated[Sequence[DataPath], Items(1, 100)]
    labels: DataPathOrNone = ""
    impervious: _Values = ()
    pervious: _Values = ()
    building: _Values = ()
    other: _Values = ()
    held_out: _Box = field(default_factory=dict)
    validate: _Box = field(default_factory=dict)
    green: Share = 0.5
    far_m: Annotated[float, Within(0, 10_000)] = 0.0


@dataclass(frozen=True, slots=True)
class SceneData:
    """A recipe's `[data]`: the places, and folders of simulated samples.

    Attributes
    ----------
    scenes
        Name -> place.
    use
        Names of the places that are used; all where empty.
    samples
        Folders that `terrafine dataset impervious` wrote, whose 10 m images are simulated.
    sample_share
        Share of patches that are taken from them.
    margin_m
        Distance that training patches keep from held-out and validation ground, metres.
    register
        Whether labels are moved to each image by the strongest correlation with NDVI.
    licence
        Licence of the data, for the provenance of the weights.
    """

    scenes: Annotated[Mapping[Name, Scene], Items(1, 1_000)]
    use: Annotated[Sequence[Name], Items(0, 1_000)] = ()
    samples: Annotated[Sequence[DataPath], Items(0, 100)] = ()
    sample_share: Share = 0.25
    margin_m: Annotated[float, Within(0, 100_000)] = 300.0
    register: bool = True
    licence: str = "not stated"

    @property
    def used(self) -> Mapping[str, Scene]:
        """The places that are used."""
        return {name: scene for name, scene in self.scenes.items() if not self.use or name in self.use}


@dataclass(frozen=True, slots=True)
class ScenePatches:
    """A recipe's `[patches]`: size and augmentation of patches.

    Attributes
    ----------
    size
        10 m cells along a patch.
    border
        Cells around a patch that the network reads and that count in no loss.
    batch
        Patches in a batch.
    stretch
        Largest change of scale, as a logarithm: 0.2 for 0.82 to 1.22.
    light
        Spread of the logarithm of brightness; each band varies by two thirds of it besides.
    haze
        Largest reflectance that is added, mostly to blue; half as much is taken away at most.
    gamma
        Spread of the logarithm of each band's exponent.
    noise
        Spread of noise that is added to each cell, reflectance.
    no_infrared
        Share of patches without near infrared, and the weight of copies of scenes without it on which trees are grown.
    surface
        Weight of copies of scenes with the light of the atmosphere removed, about as in level 2A, beside the scenes
        themselves, and the chance of a patch by that; for images of level 1C alone.
    """

    size: Annotated[int, Within(16, 1_024)]
    batch: Annotated[int, Within(1, 4_096)]
    border: Annotated[int, Within(0, 256)] = 0
    stretch: Annotated[float, Within(0, 1)] = 0.25
    light: Annotated[float, Within(0, 2)] = 0.15
    haze: Annotated[float, Within(0, 0.5)] = 0.03
    gamma: Annotated[float, Within(0, 1)] = 0.06
    noise: Annotated[float, Within(0, 0.1)] = 0.002
    no_infrared: Share = 0.05
    surface: Share = 0.0


_CELLS = 2**24


@dataclass(frozen=True, kw_only=True)
class SceneRecipe(Recipe):
    """Recipe of classes from scenes of a real sensor with partial labels.

    Attributes
    ----------
    data, patches
        Tables of the data and of the patches.
    """

    data: SceneData
    patches: ScenePatches

    TABLES: ClassVar = {**Recipe.TABLES, "data": SceneData, "patches": ScenePatches}
    DEFAULTS: ClassVar = {"stop": {"best_by": "auc", "mode": "max"}}
    SCORES: ClassVar = ("auc", "auc_impervious", "auc_building", "loss")
    HIGHER: ClassVar = ("auc", "auc_impervious", "auc_building")

    def problems(self) -> list[str]:
        """Find settings that are invalid, as one message for each."""
        data, p = self.data, self.patches
        unknown = [name for name in data.use if name not in data.scenes]
        boxes = [box for scene in data.scenes.values() for box in (scene.held_out, scene.validate)]
        axes = sorted({axis for box in boxes for axis in box if axis not in _AXES})
        checks = (
            (unknown, f"[data] use = {shown(unknown)}: no such scene; expected names of {shown(sorted(data.scenes))}"),
            (axes, f"[data.scenes] held_out or validate: found {shown(axes)}; expected rows and cols"),
            (
                not any(scene.validate for scene in data.used.values()),
                "[data.scenes]: no scene in use has `validate`; expected ground that weights are selected by",
            ),
            (p.size % 4 != 0, f"[patches] size = {p.size}: expected a multiple of 4 cells"),
            (
                p.batch * (p.size + 2 * p.border) ** 2 > _CELLS,
                f"[patches] size = {p.size}, border = {p.border}, batch = {p.batch}: expected up to {_CELLS:,} cells "
                "in a batch",
            ),
        )
        return super().problems() + [text for bad, text in checks if bad]
