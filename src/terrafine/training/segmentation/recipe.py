"""Recipes of systems that learn from samples of coarse image, fine image and label, in phases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, ClassVar

from terrafine.errors import RecipeError
from terrafine.schema.check import conform
from terrafine.schema.types import DataPath, Items, Name, Share, Within, shown
from terrafine.training.recipe import Recipe

__all__ = ["SampleData", "SamplePatches", "SampleRecipe"]


@dataclass(frozen=True, slots=True)
class SampleData:
    """A recipe's `[data]`: folders of samples and their splits.

    Attributes
    ----------
    samples
        Folder that `terrafine dataset` wrote, or several, under the data folder.
    train, validate
        Splits for training and for validation.
    licence
        Licence of the data, for the provenance of the weights.
    """

    samples: DataPath | Annotated[Sequence[DataPath], Items(1, 1_000)] = "."
    train: Annotated[Sequence[Name], Items(1, 100)] = ("train",)
    validate: Annotated[Sequence[Name], Items(1, 100)] = ("val",)
    licence: str = "not stated"

    @property
    def folders(self) -> Sequence[str]:
        """Names of all folders."""
        return [self.samples] if isinstance(self.samples, str) else self.samples


@dataclass(frozen=True, slots=True)
class SamplePatches:
    """A recipe's `[patches]`: size and augmentation of patches.

    haze  largest offset of each band's reflectance, uniformly to either side

    Attributes
    ----------
    size
        Coarse cells along a patch.
    batch
        Patches in a batch.
    light
        Spread of the logarithm of brightness; each band varies by half of it besides.
    haze
        Largest offset of each band's reflectance, drawn uniformly in both directions.
    """

    size: Annotated[int, Within(8, 2_048)]
    batch: Annotated[int, Within(1, 4_096)]
    light: Annotated[float, Within(0, 10)] = 0.0
    haze: Share = 0.0


Phases = Annotated[Mapping[Name, Mapping[Name, Annotated[float, Within(0, 1e9)]]], Items(0, 100)]
_CELLS = 2**28  # fine cells in a batch: a gigabyte for each band
_SCALE = 10


@dataclass(frozen=True, kw_only=True)
class SampleRecipe(Recipe):
    """Recipe of classes from images; the rate warms up and decays in each phase.

    Attributes
    ----------
    data, patches
        Tables of the data and of the patches.
    phases
        Name -> `steps` and weights of losses, in their order; a phase of 0 steps is left out.
    validation_samples
        Number of held-out samples that are scored.
    """

    data: SampleData
    patches: SamplePatches
    phases: Phases
    validation_samples: Annotated[int, Within(1, 100_000)] = 16

    TABLES: ClassVar = {**Recipe.TABLES, "data": SampleData, "patches": SamplePatches}
    DEFAULTS: ClassVar = {
        "optim": {
            "rate": 2e-4,
            "beta1": 0.5,
            "beta2": 0.999,
            "warmup": 1,
            "ema": 0.0,
            "clip": 0.0,
            "precision": "float32",
        },
        "stop": {"best_by": "short"},
    }
    SCORES: ClassVar = ("short", "f1", "iou", "overall_accuracy", "area_bias", "image_mae")
    HIGHER: ClassVar = ("f1", "iou", "overall_accuracy")
    SIGNED: ClassVar = ("area_bias",)

    @classmethod
    def prepare_tables(cls, record: dict[str, Any], where: str) -> dict[str, Any]:
        """Derive the steps of `[optim]` and the starts of the phases from the steps of the phases.

        Parameters
        ----------
        record
            Tables as read.
        where
            Path of the recipe, for messages.

        Returns
        -------
        dict[str, Any]
            The converted tables.

        Raises
        ------
        RecipeError
            For phases of another form or without steps.
        """
        phases = conform(Phases, record.get("phases", {}), f"{where}: [phases]", RecipeError)
        for name, phase in phases.items():
            if not isinstance(phase.get("steps"), int):
                raise RecipeError(
                    f"{where}: [phases.{name}] needs numbers, `steps` among them; found steps = "
                    f"{phase.get('steps', 'absent')}, expected a whole number from 0"
                )
        phases = {name: phase for name, phase in phases.items() if phase["steps"] > 0}
        ends = list(accumulate(int(p["steps"]) for p in phases.values()))
        if not ends:
            raise RecipeError(f"{where}: no phase has steps; expected at least one [phases.NAME] with steps")
        optim = record.get("optim", {})
        if not isinstance(optim, dict):
            raise RecipeError(f"{where}: [optim]: expected a table")
        if "steps" in optim:
            raise RecipeError(f"{where}: [optim] steps: the phases say how many steps; expected none here")
        optim = {**optim, "steps": ends[-1], "starts": tuple(ends[:-1])}
        return {**record, "phases": phases, "optim": optim}

    def phase(self, step: int) -> Mapping[str, float]:
        """Find the phase of a step.

        Parameters
        ----------
        step
            Number of steps done.

        Returns
        -------
        Mapping[str, float]
            Weights of losses by name.
        """
        passed = sum(step >= start for start in self.optim.starts)
        return list(self.phases.values())[passed]

    def to_json(self) -> str:
        """Return canonical JSON of every setting, defaults included; phases keep their order."""
        record = json.loads(super().to_json())
        return json.dumps(record | {"phases": [[k, dict(v)] for k, v in self.phases.items()]}, sort_keys=True)

    def problems(self) -> list[str]:
        """Find settings that are invalid, as one message for each."""
        p, perceptual = self.patches, self.loss.get("perceptual", "lite")
        checks = (
            (perceptual not in ("lite", "own"), f"[loss] perceptual = {shown(perceptual)}: expected lite or own"),
            (p.size % 8 != 0, f"[patches] size = {p.size}: expected a multiple of 8 coarse cells"),
            (
                p.batch * (p.size * _SCALE) ** 2 > _CELLS,
                f"[patches] size = {p.size}, batch = {p.batch}: expected up to {_CELLS:,} fine cells in a batch",
            ),
        )
        return super().problems() + [text for bad, text in checks if bad]
