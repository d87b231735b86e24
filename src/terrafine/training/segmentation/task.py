"""Task of fine images and classes from coarse images: samples of both and labels, in phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from terrafine.nn.system import System
from terrafine.nn.task import SampleBatch
from terrafine.training.batches import Batches
from terrafine.training.segmentation.data import SampleSampler, crop, load_all, sample_files, stack
from terrafine.training.segmentation.picture import draw_samples
from terrafine.training.segmentation.recipe import SampleRecipe
from terrafine.training.task import Task

__all__ = ["TASK", "SegmentationTask"]

UNKNOWN = 255
_DRAWN = 3


class SegmentationTask(Task[SampleRecipe]):
    """Task of classes on a fine grid, and of the fine image where the network has one.

    Parameters
    ----------
    system
        System that is trained.
    recipe
        Recipe of the run.
    """

    recipe_type = SampleRecipe

    def __init__(self, system: System, recipe: SampleRecipe) -> None:
        super().__init__(system, recipe)
        self.settings["phases"] = recipe.phases

    def data(self, root: Path) -> Batches[SampleBatch]:
        """Read the samples in the recipe's folders.

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
        bands, folders = int(recipe.network.get("bands", 3)), [root / name for name in recipe.data.folders]
        training = load_all(folders, recipe.data.train, bands)
        sampler = SampleSampler(training, p.size, p.batch, recipe.seed, p.light, recipe.phase, p.haze)
        checks = [
            stack([crop(s, 0, 0, min(s.coarse.shape[-2:]))], {})
            for s in load_all(folders, recipe.data.validate, bands, recipe.validation_samples)
        ]
        return Batches(sampler, checks)

    def files(self, root: Path) -> Sequence[Path]:
        """List the index of each folder, and the files of its samples for training and validation.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Sequence[Path]
            Paths of the files.

        Raises
        ------
        DataError
            For a folder without an index.
        """
        splits = {*self.recipe.data.train, *self.recipe.data.validate}
        return [p for name in self.recipe.data.folders for p in sample_files(root / name, splits)]

    @torch.no_grad()
    def score(self, network: nn.Module, checks: Sequence[SampleBatch], step: int) -> dict[str, float]:
        """Compute F1, IoU, accuracy and area bias of class 1, and the mean absolute error of the image's reflectance.

        `short` is the score that selects the weights: 1 − F1 once a phase has trained classes, and before that 1 + the
        error of the image.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.
        step
            Number of steps done.

        Returns
        -------
        dict[str, float]
            Scores by name.
        """
        hits = said = true = right = known = 0.0
        error = cells = 0.0
        for batch in checks:
            image, logits = _predicted(self.hooks.predict(network, batch, self.settings))
            labelled, is_one = batch.label != UNKNOWN, batch.label == 1
            one = (logits.argmax(dim=1) == 1) & labelled
            hits += float((one & is_one).sum())
            said, true = said + float(one.sum()), true + float(is_one.sum())
            known += float(labelled.sum())
            right += float(((one == is_one) & labelled).sum())
            error += float((image - batch.fine).abs().sum())
            cells += batch.fine.numel()
        f1, mae = 2 * hits / max(1.0, said + true), error / cells
        return {
            "short": 1 - f1 if self._has_classes(step) else 1 + mae,
            "f1": f1,
            "iou": hits / max(1.0, said + true - hits),
            "overall_accuracy": right / max(1.0, known),
            "area_bias": said / max(1.0, true) - 1,
            "image_mae": mae,
        }

    @torch.no_grad()
    def draw(self, network: nn.Module, checks: Sequence[SampleBatch], path: Path) -> None:
        """Write a picture with coarse, predicted and true image, probability and label of some samples.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.
        path
            PNG to write.
        """
        rows: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
        for batch in checks[:_DRAWN]:
            image, logits = _predicted(self.hooks.predict(network, batch, self.settings))
            rows.append((batch.coarse[0], image[0], batch.fine[0], logits.softmax(dim=1)[0, 1], batch.label[0]))
        draw_samples(rows, path)

    def _has_classes(self, step: int) -> bool:
        """Whether a phase up to that step trained classes."""
        starts = (*self.recipe.optim.starts, 0, step - 1)
        return any(self.recipe.phase(s).get("segment") for s in starts if s < step)


TASK = SegmentationTask


def _predicted(found: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return found["image"], found["logits"]
