"""Task of classes from scenes of a real sensor with partial labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import DataError
from terrafine.nn.device import to_device
from terrafine.nn.task import SceneBatch
from terrafine.training.batches import Batches
from terrafine.training.scenes.data import TRAIN, VALIDATE, DatedScene, load_scenes, scene_files
from terrafine.training.scenes.labels import QUARTER, SURE, class_factors
from terrafine.training.scenes.patches import SceneSampler, whole_scenes
from terrafine.training.scenes.recipe import SceneRecipe
from terrafine.training.scenes.scores import area_under_curve, balanced_threshold, fitted, unbiased_threshold
from terrafine.training.segmentation.data import load_all, sample_bands, sample_files
from terrafine.training.task import Task

__all__ = ["TASK", "SceneTask"]

HEADS = ("impervious", "building")
_SURE = 0.99
_AROUND = 20  # cells around validation ground that the network reads
_SELECTED = {"impervious"}  # heads whose labelled ground was selected by class, so that its share says nothing
_MOST = 400_000  # cells of one date that calibration uses


class SceneTask(Task[SceneRecipe]):
    """Task of classes that do not exclude each other, from images of 10 m and partial labels.

    Parameters
    ----------
    system
        System that is trained.
    recipe
        Recipe of the run.
    """

    recipe_type = SceneRecipe

    def data(self, root: Path) -> Batches[SceneBatch]:
        """Read the scenes and samples of the recipe.

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
        recipe, data = self.recipe, self.recipe.data
        places = load_scenes(root, data)
        samples = [s for name in data.samples for s in load_all([root / name], ("train",), sample_bands(root / name))]
        share = data.sample_share if samples else 0.0
        factors = [class_factors(p.targets, (p.purpose == TRAIN) & p.valid) for p in places]
        sampler = SceneSampler(places, samples, share, recipe.patches, recipe.seed, factors)
        checks = [check for place in places if (check := _check(place)) is not None]
        if not any(_has_both(check, head) for check in checks for head in range(len(HEADS))):
            raise DataError("no validation ground has labels of both classes; expected [data.scenes] validate on such")
        return Batches(sampler, checks)

    def check_extras(self) -> None:
        """Check that the packages that the system needs to prepare its network are installed."""
        self.hooks.check_extras()

    def prepare(self, network: nn.Module, data: Any) -> None:
        """Set what gradients do not train, on whole scenes.

        Parameters
        ----------
        network
            Network on its device, changed in place.
        data
            Training and validation batches.
        """
        sampler, device = data.sampler, next(network.parameters()).device
        scenes = whole_scenes(sampler.places, sampler.factors, sampler.patches.no_infrared, sampler.patches.surface)
        settings = {**self.settings, "seed": self.recipe.seed}
        self.hooks.prepare(network, (to_device(scene, device) for scene in scenes), settings)

    def files(self, root: Path) -> Sequence[Path]:
        """List images, labels and samples.

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
        samples = [path for name in data.samples for path in sample_files(root / name, {"train"})]
        return [*scene_files(root, data.used), *samples]

    @torch.no_grad()
    def score(self, network: nn.Module, checks: Sequence[SceneBatch], step: int) -> dict[str, float]:
        """Compute the area under the ROC curve of each head over the labels of the validation ground.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation ground of each date.
        step
            Number of steps done.

        Returns
        -------
        dict[str, float]
            `auc`, the mean over heads and dates; that of each head whose labels have both classes; and `loss`, the mean
            cross-entropy.
        """
        areas: dict[str, list[float]] = {head: [] for head in HEADS}
        losses: list[float] = []
        for batch in checks:
            logits = self.hooks.predict(network, batch, self.settings)["logits"]
            for i, head in enumerate(HEADS):
                score, share = _known(logits, batch, i)
                if score.numel():
                    areas[head].append(area_under_curve(_array(score), _array(share) > 0.5))
                    losses.append(float(functional.binary_cross_entropy_with_logits(score, share)))
        means = {head: _mean([a for a in found if np.isfinite(a)]) for head, found in areas.items()}
        known = {head: mean for head, mean in means.items() if np.isfinite(mean)}
        return {
            "auc": _mean(list(known.values())),
            **{f"auc_{head}": mean for head, mean in known.items()},
            "loss": _mean(losses),
        }

    @torch.no_grad()
    def spec_fields(self, network: nn.Module, checks: Sequence[SceneBatch]) -> Mapping[str, Any]:
        """Calibrate the probability of each head on the labels of the validation ground, each date counting the same.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation ground of each date.

        Returns
        -------
        Mapping[str, Any]
            `calibration`: by head `HEAD_scale` and `HEAD_odds`, and `HEAD_threshold`: for an area without bias, or for
            impervious ground, of which streets and buildings are labelled rather than a sample, for equal error rates.
        """
        found: dict[str, float] = {}
        for i, head in enumerate(HEADS):
            pairs = [
                _thinned(*_known(self.hooks.predict(network, batch, self.settings)["logits"], batch, i))
                for batch in checks
            ]
            pairs = [(x, y) for x, y in pairs if x.size and 0 < y.mean() < 1]
            if not pairs:
                continue
            logit, share = (np.concatenate(a) for a in zip(*pairs, strict=True))
            scale, odds = fitted(logit, share)
            chance = 1 / (1 + np.exp(-(scale * logit + np.log(odds))))
            found |= {
                f"{head}_scale": scale,
                f"{head}_odds": odds,
                f"{head}_threshold": (balanced_threshold if head in _SELECTED else unbiased_threshold)(chance, share),
            }
        return {"calibration": found}


TASK = SceneTask


def _check(place: DatedScene) -> SceneBatch | None:
    """The validation ground of a date as one batch, with some ground around it; None where it has none."""
    checked = place.purpose == VALIDATE
    rows, cols = np.nonzero(checked)
    if not rows.size:
        return None
    spans = [
        slice(max(0, int(a.min()) - _AROUND) // 4 * 4, min(n, -(-(int(a.max()) + 1 + _AROUND) // 4) * 4))
        for a, n in ((rows, checked.shape[0]), (cols, checked.shape[1]))
    ]
    fine = np.s_[:, *(slice(QUARTER * s.start, QUARTER * s.stop) for s in spans)]
    image = np.ascontiguousarray(place.image[:, spans[0], spans[1]])
    share, known = (a[fine].astype(np.float32) / SURE for a in (place.targets.share, place.targets.known))
    known *= np.kron(checked[spans[0], spans[1]], np.ones((QUARTER, QUARTER), np.float32))
    tensors = [torch.from_numpy(np.ascontiguousarray(a))[None] for a in (image, share, known)]
    return SceneBatch(tensors[0], torch.ones(1, 1, 1, 1), tensors[1], tensors[2])


def _has_both(batch: SceneBatch, head: int) -> bool:
    """Whether labels of a head hold the class and other ground."""
    share = batch.share[:, head][batch.known[:, head] >= _SURE] > 0.5
    return bool(share.any()) and not bool(share.all())


def _known(logits: Tensor, batch: SceneBatch, head: int) -> tuple[Tensor, Tensor]:
    """Logit and share of the cells whose label is certain."""
    sure = batch.known[:, head] >= _SURE
    return logits[:, head][sure], batch.share[:, head][sure]


def _array(values: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = values.float().cpu().numpy()
    return found


def _thinned(logit: Tensor, share: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    step = max(1, logit.numel() // _MOST)
    return _array(logit[::step]), _array(share[::step])


def _mean(values: Sequence[float]) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")
