"""Recipes of systems that learn from samples of coarse image, fine image and label, phase by phase."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

from terrafine.errors import RecipeError
from terrafine.training.recipe import Recipe

__all__ = ["SampleData", "SamplePatches", "SampleRecipe"]


@dataclass(frozen=True, slots=True)
class SampleData:
    """samples: folder that `terrafine dataset` wrote, or several, under the data folder; train, validate: splits."""

    samples: str | Sequence[str] = "."
    train: Sequence[str] = ("train",)
    validate: Sequence[str] = ("val",)
    licence: str = "not stated"

    @property
    def folders(self) -> Sequence[str]:
        """The names of all folders."""
        return [self.samples] if isinstance(self.samples, str) else self.samples


@dataclass(frozen=True, slots=True)
class SamplePatches:
    """size in coarse cells; batch; light: spread of brightness, and half of it of each band's, as a logarithm.

    haze  largest offset of each band's reflectance, uniformly to either side
    """

    size: int
    batch: int
    light: float = 0.0
    haze: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SampleRecipe(Recipe):
    """A recipe of classes from images; rates warm up and fall again in each phase.

    Attributes
    ----------
    phases
        Name -> `steps` and weights of losses, in their order. A phase of 0 steps is left out.
    validation_samples
        Held-out samples that are scored.
    """

    data: SampleData
    patches: SamplePatches
    phases: Mapping[str, Mapping[str, float]]
    validation_samples: int = 16

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
    def prepared(cls, record: dict[str, Any], where: str) -> dict[str, Any]:
        """The steps of the phases as those of `[optim]`, and the steps at which phases start."""
        phases = record.get("phases", {})
        if not isinstance(phases, dict) or not all(
            isinstance(p, dict) and all(isinstance(v, int | float) for v in p.values()) and "steps" in p
            for p in phases.values()
        ):
            raise RecipeError(f"{where}: [phases.NAME] needs numbers, `steps` among them")
        for name, phase in phases.items():
            if type(phase["steps"]) is not int or phase["steps"] < 0:
                raise RecipeError(f"{where}: [phases.{name}] steps = {phase['steps']}: expected a whole number from 0")
        phases = {name: phase for name, phase in phases.items() if phase["steps"] > 0}
        ends = list(accumulate(int(p["steps"]) for p in phases.values()))
        if not ends:
            raise RecipeError(f"{where}: no phase has steps; expected at least one [phases.NAME] with steps")
        if "steps" in record.get("optim", {}):
            raise RecipeError(f"{where}: [optim] steps: the phases say how many steps; expected none here")
        optim = {**record.get("optim", {}), "steps": ends[-1], "starts": tuple(ends[:-1])}
        return {**record, "phases": phases, "optim": optim}

    def phase(self, step: int) -> Mapping[str, float]:
        """The phase of a step: weights of losses by name."""
        passed = sum(step >= start for start in self.optim.starts)
        return list(self.phases.values())[passed]

    def to_json(self) -> str:
        """Canonical JSON of every setting, defaults included; phases keep their order."""
        record = json.loads(super().to_json())
        return json.dumps(record | {"phases": [[k, dict(v)] for k, v in self.phases.items()]}, sort_keys=True)

    def problems(self) -> list[str]:
        """What contradicts itself, or is out of range; in words."""
        p, folders = self.patches, self.data.folders
        checks = (
            (
                not folders or not all(isinstance(name, str) for name in folders),
                f"[data] samples = {self.data.samples!r}: expected the name of a folder, or a list of at least one",
            ),
            (p.size < 8 or p.size % 8 != 0, f"[patches] size = {p.size}: expected a multiple of 8 coarse cells"),
            (
                p.batch < 1 or p.light < 0 or p.haze < 0,
                f"[patches] batch = {p.batch}, light = {p.light}, haze = {p.haze}: expected 1 or more, 0 or more",
            ),
            (self.validation_samples < 1, f"validation_samples = {self.validation_samples}: expected 1 or more"),
            (
                self.loss.get("perceptual", "lite") not in ("lite", "own"),
                f"[loss] perceptual = {self.loss.get('perceptual')!r}: expected lite or own",
            ),
        )
        return super().problems() + [text for bad, text in checks if bad]
