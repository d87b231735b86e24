"""`train`: a recipe of any system, to the loop that its system learns by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from terrafine.systems import find_system, recipe_folders
from terrafine.training.height.recipe import base_of, read_tables
from terrafine.training.runner import TrainingResult

__all__ = ["found_recipe", "train"]


def train(recipe_path: str | os.PathLike[str], **options: Any) -> TrainingResult:
    """Train as the recipe says: image and heights by `train_images`, samples by `train_samples`, else `loop.train`.

    A bare file name that is not there means the shipped recipe of that name, or a choice of it. Takes the options that
    all take. Raises RecipeError, DataError, WeightsError.
    """
    from terrafine.training.height.task import train_images
    from terrafine.training.runner import train as train_elevation
    from terrafine.training.segmentation.task import train_samples

    recipe_path = found_recipe(recipe_path)
    system = read_tables(recipe_path).get("system")
    if isinstance(system, str) and find_system(system).adversarial is not None:
        return train_images(recipe_path, **options)
    if isinstance(system, str) and find_system(system).joint is not None:
        return train_samples(recipe_path, **options)
    return train_elevation(recipe_path, **options)


def found_recipe(path: str | os.PathLike[str]) -> Path:
    """The recipe itself, or where it lies among the shipped ones, if it is a bare name that is not here."""
    here = Path(path)
    if base_of(here).is_file() or here.name != os.fspath(path):
        return here
    return next((there for f in recipe_folders() if base_of(there := f / here.name).is_file()), here)
