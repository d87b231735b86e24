"""Task of heights from images: patches of scenes, scored by tile with the network's objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terrafine.errors import DataError
from terrafine.nn.task import ImageBatch
from terrafine.training.batches import Batches
from terrafine.training.calibration import calibration_of
from terrafine.training.height.data import ImageSampler, Scene, all_tiles, crop, load_scenes, split_scenes, stack
from terrafine.training.height.published import load_tiles
from terrafine.training.height.recipe import ImageRecipe
from terrafine.training.height.scores import draw_tiles, level_of, score_tiles
from terrafine.training.task import Task

__all__ = ["TASK", "HeightTask"]

_DRAWN = 4


class HeightTask(Task[ImageRecipe]):
    """Task of heights from one optical image."""

    recipe_type = ImageRecipe

    @property
    def objective(self) -> str:
        """Level of the heights: `global`, `shift` or `relief`."""
        return str(self.recipe.network.get("normalisation", "shift"))

    def data(self, root: Path) -> Batches[ImageBatch]:
        """Read the scenes or tiles under a folder and split them by ground.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Batches
            Training and validation batches.

        Raises
        ------
        DataError
            For missing or unusable data.
        """
        recipe, p = self.recipe, self.recipe.patches
        if recipe.data.pairs:
            scenes = load_scenes(root, recipe.data.pairs, recipe.data.sensor or None)
            training, validation = split_scenes(scenes, recipe.data.held_out, recipe.data.gap)
        else:
            training, validation = load_tiles(root, recipe.data)
        sampler = ImageSampler(training, p.size, p.batch, recipe.seed, p.least, p.mirror, p.light)
        return Batches(sampler, _checks(validation, recipe))

    def files(self, root: Path) -> Sequence[Path]:
        """List both files of each pair, or all tiles that the patterns match and the file of the splits.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Sequence[Path]
            Paths of the files.
        """
        data = self.recipe.data
        if data.pairs:
            return [root / name for pair in data.pairs.items() for name in pair]
        tiles = [p for pattern in (data.images, data.heights) for p in root.glob(pattern)]
        return tiles if data.split == "blocks" else [*tiles, root / data.splits]

    def score(self, network: nn.Module, checks: Sequence[ImageBatch], step: int = 0) -> dict[str, float]:
        """Compute the means over tiles of `score_tiles`, and `to_mean`, the MAE relative to that of the tiles' means.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.
        step
            Not used.

        Returns
        -------
        dict[str, float]
            Scores by name.
        """
        found: dict[str, list[Tensor]] = {}
        plain = []
        for batch in checks:
            surface, truth = self.surfaces(network, batch)
            for name, value in score_tiles(surface, truth, batch.valid).items():
                found.setdefault(name, []).append(value)
            mean = batch.target - level_of(batch.target, batch.valid, "relief")
            plain.append(score_tiles(mean, batch.target, batch.valid)["mae"])
        scores = {name: float(torch.cat(values).mean()) for name, values in found.items()}
        return scores | {"to_mean": scores["mae"] / float(torch.cat(plain).mean())}

    @torch.no_grad()
    def surfaces(self, network: nn.Module, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """Predict the heights of a batch and apply the objective's level.

        The level of the prediction is removed only for `relief`.

        Parameters
        ----------
        network
            Network in evaluation mode.
        batch
            Batch of images.

        Returns
        -------
        tuple[Tensor, Tensor]
            Predicted and true heights in metres, (n, 1, y, x).
        """
        surface = self.hooks.predict(network, batch, self.settings)["elevation"]
        if self.objective == "relief":
            surface = level_of(surface, batch.valid, "relief")
        return surface, level_of(batch.target, batch.valid, self.objective)

    def draw(self, network: nn.Module, checks: Sequence[ImageBatch], path: Path) -> None:
        """Write a picture with the image, true and predicted heights of some tiles.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.
        path
            PNG to write.
        """
        few = ImageBatch(*(part[:_DRAWN] for part in (checks[0].image, checks[0].target, checks[0].valid)))
        surface, truth = self.surfaces(network, few)
        truth = torch.where(few.valid > 0, truth, torch.nan)
        draw_tiles(
            [tuple(t.cpu() for t in row) for row in zip(few.image, truth[:, 0], surface[:, 0], strict=True)], path
        )

    @torch.no_grad()
    def spec_fields(self, network: nn.Module, checks: Sequence[ImageBatch]) -> Mapping[str, Any]:
        """Calibrate σ over the valid cells of held-out tiles, where the network has it.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.

        Returns
        -------
        Mapping[str, Any]
            Values by field of the spec.
        """
        ratios = []
        for batch in checks:
            found = self.hooks.predict(network, batch, self.settings)
            if "elevation_sigma" not in found:
                return {}
            surface, truth = self.surfaces(network, batch)
            ratios.append(((surface - truth).abs() / found["elevation_sigma"])[batch.valid > 0])
        return {"calibration": calibration_of(ratios)}


TASK = HeightTask


def _checks(validation: Sequence[Scene], recipe: ImageRecipe) -> list[ImageBatch]:
    """Validation tiles on a lattice, thinned evenly to the number wanted, in batches."""
    size, scenes = recipe.patches.size, {s.terrain.name: s for s in validation}
    spots = list(all_tiles(validation, size, min(0.9, recipe.patches.least)))
    if not spots:
        raise DataError(f"no held-out tile of {size} × {size} cells has heights; take smaller patches")
    step = max(1, -(-len(spots) // recipe.validation_tiles))
    tiles = [crop(scenes[name], y, x, size) for name, y, x in spots[::step]]
    batch = max(_DRAWN, recipe.patches.batch)
    return [stack(tiles[i : i + batch]) for i in range(0, len(tiles), batch)]
