"""`train_samples`: a recipe of coarse images, fine images and labels into weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terrafine.errors import NoModelError, RecipeError
from terrafine.nn.blocks import channels_last
from terrafine.nn.task import JointGame, SampleBatch
from terrafine.nn.weights import load
from terrafine.systems import find_system, find_weights
from terrafine.systems.jointseg.segmenters import UNKNOWN
from terrafine.training.adversarial import Players, read_players, run
from terrafine.training.curve import draw_curve
from terrafine.training.publish import publish
from terrafine.training.runner import TrainingResult, place_of
from terrafine.training.segmentation.data import SampleSampler, cut, load_all, stacked
from terrafine.training.segmentation.picture import draw_samples
from terrafine.training.segmentation.recipe import SampleRecipe, read_sample_recipe

__all__ = ["score_samples", "train_samples"]

SCORES = ("short", "f1", "iou", "overall_accuracy", "area_bias", "image_mae")
_DRAWN = 3


def train_samples(
    recipe_path: str | os.PathLike[str],
    *,
    data_root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    device: str = "auto",
    resume: bool = True,
    threads: int | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
    start: str | os.PathLike[str] | None = None,
) -> TrainingResult:
    """Train as the recipe says; a run folder `out` that holds a checkpoint of the same recipe is gone on with.

    The folder receives recipe.json, log.jsonl, curve.png, pictures/, checkpoint.safetensors and at last
    NAME.safetensors: the averaged network with the highest F1 on the samples to select by, once a phase teaches
    classes, and before that the lowest error of the image. `start` replaces the recipe's. Computes in float32. Raises
    RecipeError, DataError, WeightsError, NoModelError, MissingExtraError.
    """
    recipe, out = read_sample_recipe(recipe_path), Path(out)
    if start is not None:
        recipe = replace(recipe, start=os.fspath(start))
    game = find_system(recipe.system).joint
    if game is None:
        raise RecipeError(f"{recipe_path}: system {recipe.system!r} does not learn from samples")
    out.mkdir(parents=True, exist_ok=True)
    if threads:
        torch.set_num_threads(threads)
    place = place_of(device)
    bands = int(recipe.network.get("bands", 3))
    folders = [Path(data_root) / name for name in recipe.data.folders]
    p = recipe.patches
    training = load_all(folders, recipe.data.train, bands)
    sampler = SampleSampler(training, p.size, p.batch, recipe.seed, p.light, recipe.phase, p.haze)
    checks = [
        _to(stacked([cut(s, 0, 0, min(s.coarse.shape[-2:]))], {}), place)
        for s in load_all(folders, recipe.data.validate, bands, recipe.validation_samples)
    ]
    players = _start(game, recipe, place, Path(data_root))
    checkpoint = out / "checkpoint.safetensors"
    if resume and checkpoint.exists():
        read_players(checkpoint, players, recipe.digest)
    (out / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    settings = {"network": recipe.network, "adversary": recipe.adversary, "loss": recipe.loss}
    settings["perceptual"] = _features(recipe, place)

    def score(network: nn.Module) -> dict[str, float]:
        return score_samples(game, network, checks, reads=_reads(recipe, players.step))

    log = run(
        game,
        players,
        lambda step: _to(sampler(step), place),
        settings,
        recipe.optim,
        seed=recipe.seed,
        out=out,
        digest=recipe.digest,
        score=score,
        draw=lambda network, path: _draw(game, network, checks[:_DRAWN], path),
        validate_every=recipe.validate_every,
        checkpoint_every=recipe.checkpoint_every,
        progress=progress,
        by="short",
    )
    draw_curve(log, out / "curve.png", recipe.name, scores=SCORES)
    weights = out / f"{recipe.name}.safetensors"
    return TrainingResult(weights, _publish(weights, game, players, recipe, checks), players.step)


@torch.no_grad()
def score_samples(
    game: JointGame, network: nn.Module, checks: Sequence[SampleBatch], *, reads: bool
) -> dict[str, float]:
    """F1, IoU, accuracy and area bias of class 1, and the mean absolute error of the image's reflectance.

    `short` is what a run is selected by: 1 − F1 where the network reads classes yet, else 1 and the image's error.
    """
    hits = said = true = right = known = 0.0
    error = cells = 0.0
    for batch in checks:
        image, logits = game.show(network, batch.coarse)
        told, is_one = batch.label != UNKNOWN, batch.label == 1
        one = (logits.argmax(dim=1) == 1) & told
        hits += float((one & is_one).sum())
        said, true, known = said + float(one.sum()), true + float(is_one.sum()), known + float(told.sum())
        right += float(((one == is_one) & told).sum())
        error += float((image - batch.fine).abs().sum())
        cells += batch.fine.numel()
    f1, mae = 2 * hits / max(1.0, said + true), error / cells
    return {
        "short": 1 - f1 if reads else 1 + mae,
        "f1": f1,
        "iou": hits / max(1.0, said + true - hits),
        "overall_accuracy": right / max(1.0, known),
        "area_bias": said / max(1.0, true) - 1,
        "image_mae": mae,
    }


def _reads(recipe: SampleRecipe, step: int) -> bool:
    """Whether a phase up to that step taught classes."""
    return any(recipe.phase(s).get("segment") for s in (*recipe.optim.starts, 0, step - 1) if s < step)


def _features(recipe: SampleRecipe, place: torch.device) -> Any:
    """What the perceptual loss compares: EfficientNet-Lite0 with public weights, or "own"."""
    if not any(phase.get("perceptual") for phase in recipe.phases.values()):
        return None
    if recipe.loss.get("perceptual", "lite") == "own":
        return "own"
    from terrafine.systems.jointseg.perceptual import LiteFeatures
    from terrafine.training.pretrained import efficientnet_lite0, load_exactly

    features = LiteFeatures()
    load_exactly(features, efficientnet_lite0(), more=True)
    return channels_last(features, place)


def _start(game: JointGame, recipe: SampleRecipe, place: torch.device, root: Path) -> Players:
    torch.manual_seed(recipe.seed)
    try:
        generator = channels_last(game.build(recipe.network), place)
    except TypeError as e:
        raise RecipeError(f"[network] does not fit system {recipe.system!r}: {e}") from e
    if recipe.start:
        _fill_from(generator, recipe.start, root)
    bands = recipe.network.get("bands", 3)
    judges = game.discriminators({"adversary": {"bands": bands, **recipe.adversary}})
    if not any(phase.get("gan") for phase in recipe.phases.values()):
        judges = {}
    return Players.start(generator, {n: channels_last(net, place) for n, net in judges.items()}, recipe.optim)


def _fill_from(network: nn.Module, start: str, root: Path) -> None:
    """The tensors of a weights file that fit by name and shape; NoModelError or RecipeError where none does."""
    path = root / start if (root / start).is_file() else Path(start)
    try:
        _, tensors = load(path if path.is_file() else find_weights(start))
    except NoModelError as e:
        raise NoModelError(f"start = {start!r}: no such file under {root}, and {e}") from e
    own = network.state_dict()
    fitting = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    if not fitting:
        raise RecipeError(
            f"start = {start!r}: no tensor fits the network of this recipe; expected a network of its size"
        )
    network.load_state_dict(fitting, strict=False)


def _to(batch: SampleBatch, place: torch.device) -> SampleBatch:
    return SampleBatch(batch.coarse.to(place), batch.fine.to(place), batch.label.to(place), batch.phase)


@torch.no_grad()
def _draw(game: JointGame, network: nn.Module, checks: Sequence[SampleBatch], path: Path) -> None:
    rows: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
    for batch in checks:
        image, logits = game.show(network, batch.coarse)
        rows.append((batch.coarse[0], image[0], batch.fine[0], logits.softmax(dim=1)[0, 1], batch.label[0]))
    draw_samples(rows, path)


def _publish(
    path: Path, game: JointGame, players: Players, recipe: SampleRecipe, checks: Sequence[SampleBatch]
) -> dict[str, float]:
    generator = game.build(recipe.network)
    generator.load_state_dict(players.best)
    generator.eval()
    scores = score_samples(
        game, generator, [_to(b, torch.device("cpu")) for b in checks], reads=_reads(recipe, players.step)
    )
    spec = find_system(recipe.system).describe(generator, recipe.network, 10)
    publish(path, generator, spec, recipe, scores)
    return scores
