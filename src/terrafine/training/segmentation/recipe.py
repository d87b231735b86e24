"""Recipes of systems that learn from samples of coarse image, fine image and label, phase by phase."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from typing import Any

from terrafine.errors import RecipeError
from terrafine.training.adversarial import Schedule
from terrafine.training.dem.recipe import _fill
from terrafine.training.height.recipe import read_tables

__all__ = ["SampleData", "SamplePatches", "SampleRecipe", "read_sample_recipe"]


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


@dataclass(frozen=True, slots=True)
class SampleRecipe:
    """The whole of a run.

    phases  name -> `steps` and weights of losses, in their order
    start   weights to start from: a file under the data folder, or the name of shipped ones; what fits is taken
    """

    system: str
    name: str
    version: str
    seed: int
    data: SampleData
    patches: SamplePatches
    optim: Schedule
    phases: Mapping[str, Mapping[str, float]]
    network: Mapping[str, Any] = field(default_factory=dict)
    adversary: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    validate_every: int = 500
    checkpoint_every: int = 500
    validation_samples: int = 16

    def phase(self, step: int) -> Mapping[str, float]:
        """What is learnt at that step."""
        for end, phase in zip(
            accumulate(int(p["steps"]) for p in self.phases.values()), self.phases.values(), strict=True
        ):
            if step < end:
                return phase
        return list(self.phases.values())[-1]

    def to_json(self) -> str:
        """Canonical JSON of every setting, defaults included; phases keep their order."""
        return json.dumps({**asdict(self), "phases": [[k, dict(v)] for k, v in self.phases.items()]}, sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_sample_recipe(path: str | os.PathLike[str]) -> SampleRecipe:
    """Read and check a recipe, or a choice of one; RecipeError names the file, the table and the key.

    A phase of 0 steps is left out. Rates warm up and fall anew in each phase.
    """
    record = read_tables(path)
    phases = record.get("phases", {})
    if not isinstance(phases, dict) or not all(
        isinstance(p, dict) and all(isinstance(v, int | float) for v in p.values()) and "steps" in p
        for p in phases.values()
    ):
        raise RecipeError(f"{path}: [phases.NAME] needs numbers, `steps` among them")
    phases = {name: phase for name, phase in phases.items() if phase["steps"] > 0}
    ends = list(accumulate(int(p["steps"]) for p in phases.values()))
    if not ends:
        raise RecipeError(f"{path}: no phase has steps; expected at least one [phases.NAME] with steps")
    record["phases"] = phases
    if "steps" in record.get("optim", {}):
        raise RecipeError(f"{path}: [optim] steps: the phases say how many steps; expected none here")
    record["optim"] = {"decay": "cosine", **record.get("optim", {}), "steps": ends[-1]}
    for table, kind in (("data", SampleData), ("patches", SamplePatches), ("optim", Schedule)):
        if table in record:
            record[table] = _fill(kind, record[table], f"{path}: [{table}]")
    recipe: SampleRecipe = _fill(SampleRecipe, record, str(path))
    recipe = replace(recipe, optim=replace(recipe.optim, starts=tuple(ends[:-1])))
    _check(recipe, path)
    return recipe


def _check(recipe: SampleRecipe, path: str | os.PathLike[str]) -> None:
    p, o, folders = recipe.patches, recipe.optim, recipe.data.folders
    checks = (
        (
            not folders or not all(isinstance(name, str) for name in folders),
            f"[data] samples = {recipe.data.samples!r}: expected the name of a folder, or a list of at least one",
        ),
        (p.size < 8 or p.size % 8 != 0, f"[patches] size = {p.size}: expected a multiple of 8 coarse cells"),
        (
            p.batch < 1 or p.light < 0 or p.haze < 0,
            f"[patches] batch = {p.batch}, light = {p.light}, haze = {p.haze}: expected 1 or more, 0 or more",
        ),
        (o.rate <= 0 or not 0 <= o.ema < 1, f"[optim] rate = {o.rate}, ema = {o.ema}: expected above 0, 0 to below 1"),
        (o.decay not in ("cosine", "plateau", "none"), f"[optim] decay = {o.decay!r}: cosine, plateau or none"),
        (
            min(recipe.checkpoint_every, recipe.validate_every, recipe.validation_samples) < 1,
            "checkpoint_every, validate_every, validation_samples: expected 1 or more",
        ),
        (
            recipe.loss.get("perceptual", "lite") not in ("lite", "own"),
            f"[loss] perceptual = {recipe.loss.get('perceptual')!r}: expected lite or own",
        ),
    )
    if problems := [text for bad, text in checks if bad]:
        raise RecipeError(f"{path}: {'; '.join(problems)}")
