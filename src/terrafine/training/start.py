"""`train`: a recipe of any system, to the loop that its system learns by."""

from __future__ import annotations

import os
from typing import Any

from terrafine.systems import find_system
from terrafine.training.images_recipe import read_tables
from terrafine.training.loop import TrainingResult

__all__ = ["train"]


def train(recipe_path: str | os.PathLike[str], **options: Any) -> TrainingResult:
    """Train as the recipe says: pairs of image and heights by `train_images`, elevation by `loop.train`.

    Takes the options that both take. Raises RecipeError, DataError, WeightsError.
    """
    from terrafine.training.images_train import train_images
    from terrafine.training.loop import train as train_elevation

    system = read_tables(recipe_path).get("system")
    if isinstance(system, str) and find_system(system).adversarial is not None:
        return train_images(recipe_path, **options)
    return train_elevation(recipe_path, **options)
