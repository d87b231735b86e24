"""`train_images`: a recipe of image and heights into weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from terrafine.errors import DataError, RecipeError
from terrafine.nn.blocks import channels_last
from terrafine.nn.task import Adversarial, ImageBatch, Settings
from terrafine.systems import find_system
from terrafine.training.adversarial import Players, read_players, run
from terrafine.training.calibration import calibration_of
from terrafine.training.curve import draw_curve
from terrafine.training.height.data import ImageSampler, Scene, all_tiles, cut, load_scenes, split_scenes, stack
from terrafine.training.height.recipe import ImageRecipe, read_image_recipe
from terrafine.training.height.scores import draw_tiles, level_of, score_tiles
from terrafine.training.publish import publish
from terrafine.training.runner import TrainingResult, place_of

__all__ = ["score_generator", "train_images"]

SCORES = ("mae", "rmse", "ssim", "r2", "to_mean")
_DRAWN = 4


def train_images(
    recipe_path: str | os.PathLike[str],
    *,
    data_root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    device: str = "auto",
    resume: bool = True,
    threads: int | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> TrainingResult:
    """Train as the recipe says; a run folder `out` that holds a checkpoint of the same recipe is gone on with.

    The folder receives recipe.json, log.jsonl, curve.png, pictures/, checkpoint.safetensors and at last
    NAME.safetensors, the generator with the lowest validation MAE. Computes in float32. Raises RecipeError, DataError,
    WeightsError.
    """
    recipe, out = read_image_recipe(recipe_path), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if threads:
        torch.set_num_threads(threads)
    place = place_of(device)
    game = find_system(recipe.system).adversarial
    if game is None:
        raise RecipeError(f"{recipe_path}: system {recipe.system!r} does not learn from images")
    training, validation = _scenes(recipe, Path(data_root))
    p = recipe.patches
    sampler = ImageSampler(training, p.size, p.batch, recipe.seed, p.least, p.mirror, p.light)
    checks = _checks(validation, recipe)
    players = _start(game, recipe, place)
    checkpoint = out / "checkpoint.safetensors"
    if resume and checkpoint.exists():
        read_players(checkpoint, players, recipe.digest)
    (out / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    settings = {"network": recipe.network, "adversary": recipe.adversary, "loss": recipe.loss}
    objective = str(recipe.network.get("normalisation", "shift"))
    log = run(
        game,
        players,
        lambda step: _to(sampler(step), place),
        settings,
        recipe.optim,
        seed=recipe.seed,
        out=out,
        digest=recipe.digest,
        score=lambda network: score_generator(game, network, checks, objective, settings),
        draw=lambda network, path: _draw(game, network, checks[0], objective, settings, path),
        validate_every=recipe.validate_every,
        checkpoint_every=recipe.checkpoint_every,
        progress=progress,
    )
    draw_curve(log, out / "curve.png", recipe.name, scores=SCORES)
    weights = out / f"{recipe.name}.safetensors"
    return TrainingResult(weights, _publish(weights, game, players, recipe, checks, objective), players.step)


@torch.no_grad()
def score_generator(
    game: Adversarial, network: nn.Module, checks: Sequence[ImageBatch], objective: str, settings: Settings
) -> dict[str, float]:
    """Means over tiles of `score_tiles` under the objective, and `to_mean`: MAE over that of each tile's own mean."""
    found: dict[str, list[Tensor]] = {}
    plain = []
    for batch in checks:
        made = level_free(game.metres(game.make(network, batch, settings), settings), batch, objective)
        truth = level_of(batch.target, batch.valid, objective)
        for name, value in score_tiles(made, truth, batch.valid).items():
            found.setdefault(name, []).append(value)
        mean = batch.target - level_of(batch.target, batch.valid, "relief")
        plain.append(score_tiles(mean, batch.target, batch.valid)["mae"])
    scores = {name: float(torch.cat(values).mean()) for name, values in found.items()}
    return scores | {"to_mean": scores["mae"] / float(torch.cat(plain).mean())}


def level_free(made: Tensor, batch: ImageBatch, objective: str) -> Tensor:
    """What is made, as the objective reads it: only relief has its level taken out, the others state one."""
    return level_of(made, batch.valid, "relief") if objective == "relief" else made


def _scenes(recipe: ImageRecipe, root: Path) -> tuple[list[Scene], list[Scene]]:
    if recipe.data.pairs:
        scenes = load_scenes(root, recipe.data.pairs, recipe.data.sensor or None)
        return split_scenes(scenes, recipe.data.held_out, recipe.data.gap)
    from terrafine.training.height.published import load_tiles

    return load_tiles(root, recipe.data)


def _checks(validation: Sequence[Scene], recipe: ImageRecipe) -> list[ImageBatch]:
    """Validation tiles on a lattice, thinned evenly to the number wanted, in batches."""
    size, scenes = recipe.patches.size, {s.terrain.name: s for s in validation}
    spots = list(all_tiles(validation, size, min(0.9, recipe.patches.least)))
    if not spots:
        raise DataError(f"no held-out tile of {size} × {size} cells has heights; take smaller patches")
    step = max(1, -(-len(spots) // recipe.validation_tiles))
    tiles = [cut(scenes[name], y, x, size) for name, y, x in spots[::step]]
    batch = max(_DRAWN, recipe.patches.batch)
    return [stack(tiles[i : i + batch]) for i in range(0, len(tiles), batch)]


def _start(game: Adversarial, recipe: ImageRecipe, place: torch.device) -> Players:
    torch.manual_seed(recipe.seed)
    try:
        generator = channels_last(game.build(recipe.network), place)
        judges = game.discriminators({"adversary": recipe.adversary})
    except TypeError as e:
        raise RecipeError(f"[network] or [adversary] does not fit system {recipe.system!r}: {e}") from e
    discriminators = {name: channels_last(network, place) for name, network in judges.items()}
    return Players.start(generator, discriminators, recipe.optim)


def _to(batch: ImageBatch, place: torch.device) -> ImageBatch:
    return ImageBatch(batch.image.to(place), batch.target.to(place), batch.valid.to(place))


def _draw(
    game: Adversarial,
    network: nn.Module,
    batch: ImageBatch,
    objective: str,
    settings: Settings,
    path: Path,
) -> None:
    few = ImageBatch(batch.image[:_DRAWN], batch.target[:_DRAWN], batch.valid[:_DRAWN])
    made = level_free(game.metres(game.make(network, few, settings), settings), few, objective)
    truth = torch.where(few.valid > 0, level_of(few.target, few.valid, objective), torch.nan)
    draw_tiles(list(zip(few.image, truth[:, 0], made[:, 0], strict=True)), path)


def _publish(
    path: Path, game: Adversarial, players: Players, recipe: ImageRecipe, checks: list[ImageBatch], objective: str
) -> dict[str, float]:
    generator = game.build(recipe.network)
    generator.load_state_dict(players.best)
    generator.eval()
    settings = {"network": recipe.network, "adversary": recipe.adversary, "loss": recipe.loss}
    scores = score_generator(game, generator, checks, objective, settings)
    spec = find_system(recipe.system).describe(generator, recipe.network, 1)
    calibration = _calibrate(game, generator, checks, objective, settings) if len(spec.outputs) > 1 else {}
    publish(path, generator, spec, recipe, scores, calibration=calibration)
    return scores


@torch.no_grad()
def _calibrate(
    game: Adversarial, network: nn.Module, checks: Sequence[ImageBatch], objective: str, settings: Settings
) -> dict[str, float]:
    """As `calibration_of`, over valid cells of held-out tiles."""
    ratios = []
    unit = float(game.metres(torch.ones(1, 1, 1, 1), settings) - game.metres(torch.zeros(1, 1, 1, 1), settings))
    for batch in checks:
        made = game.make(network, batch, settings)
        surface = level_free(game.metres(made, settings), batch, objective)
        error = (surface - level_of(batch.target, batch.valid, objective)).abs()
        ratios.append((error / (made[:, 1:2].exp() * unit))[batch.valid > 0])
    return calibration_of(ratios)
