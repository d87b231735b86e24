"""`train`: a recipe of any system, to the loop that its system learns by."""

from __future__ import annotations

import os
from typing import Any

from terrafine.systems import find_system
from terrafine.training.images_recipe import read_tables
from terrafine.training.loop import TrainingResult

__all__ = ["train"]


def train(recipe_path: str | os.PathLike[str], **options: Any) -> TrainingResult:
    """Train as the recipe says: image and heights by `train_images`, samples by `train_samples`, else `loop.train`.

    Takes the options that all take. Raises RecipeError, DataError, WeightsError.
    """
    from terrafine.training.images_train import train_images
    from terrafine.training.joint import train_samples
    from terrafine.training.loop import train as train_elevation

    system = read_tables(recipe_path).get("system")
    if isinstance(system, str) and find_system(system).adversarial is not None:
        return train_images(recipe_path, **options)
    if isinstance(system, str) and find_system(system).joint is not None:
        return train_samples(recipe_path, **options)
    return train_elevation(recipe_path, **options)
