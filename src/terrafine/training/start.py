"""`train`: from a recipe of any system to weights."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from terrafine.errors import RecipeError
from terrafine.nn.device import find_device, full_float32
from terrafine.schema.types import shown
from terrafine.systems import find_system, recipe_folders, system_names
from terrafine.training.balance import Balance
from terrafine.training.checkpoint import averaged, read_checkpoint, start_state
from terrafine.training.data_record import data_record, require_unchanged
from terrafine.training.folder import RunFolder, open_folder, writing
from terrafine.training.recipe import base_recipe, read_recipe, read_tables
from terrafine.training.result import write_result
from terrafine.training.runner import Progress, fit
from terrafine.training.sheet import check_extras
from terrafine.training.task import Task, task_class
from terrafine.training.workers import join_workers

__all__ = ["TrainingResult", "find_recipe", "read_task", "train"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training.

    Attributes
    ----------
    weights
        The weights file.
    scores
        Scores on the held-out data.
    steps
        Number of steps done.
    """

    weights: Path
    scores: dict[str, float]
    steps: int


def train(
    recipe: PathLike,
    *,
    data_root: PathLike,
    out: PathLike,
    device: str = "auto",
    restart: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    start: PathLike | None = None,
    packed: PathLike | None = None,
) -> TrainingResult:
    """Train the model that a recipe describes.

    Under torchrun, every process computes its share of each batch. A training that is refused leaves no folder.

    Parameters
    ----------
    recipe
        A TOML file, a choice of one, or the bare name of a shipped one.
    data_root
        Folder that the recipe's file names start from.
    out
        Run folder, which receives recipe.json, log.jsonl, curve.png, checkpoint.safetensors, pictures where the task
        draws some, and at the end the weights. A folder that holds a checkpoint of the same recipe is resumed.
    device
        As in `terrafine.nn.device.find_device`.
    restart
        Start from scratch where there is a checkpoint.
    threads
        CPU threads; None leaves torch's number.
    progress
        Function that is called after each step with (step, steps, losses and scores).
    start
        Weights to start from, in place of the recipe's.
    packed
        File of `Task.pack`, read in place of the data folder.

    Returns
    -------
    TrainingResult
        The weights file, its held-out scores and the steps done.

    Raises
    ------
    RecipeError, DataError, WeightsError, NoModelError, MissingExtraError, JobError, OutputError
        For an invalid recipe; unusable data; weights to start from that are damaged or unknown; a package that is not
        installed; a folder that another process uses; a folder that cannot be written.
    """
    task = read_task(recipe, start=start)
    if packed is not None:
        if type(task).pack is Task.pack:
            raise RecipeError(f"packed={os.fspath(packed)!r}: only recipes of elevation train from packed terrain")
        task.packed = Path(packed)
    check_extras()
    task.check_extras()
    workers = join_workers()
    workers.refuse_uneven(task.recipe.patches.batch)
    where = find_device(device, workers.rank)
    if threads:
        torch.set_num_threads(threads)
    root, plan = Path(data_root), task.recipe
    network, discriminators = task.networks(root, where)
    task.device = where
    data = task.data(root)
    task.prepare(network, data)
    balance = None if plan.balance is None else Balance(plan.balance, plan.seed)
    state = start_state(network, discriminators, plan.optim, plan.stop, balance)
    target = Path(out).resolve() if ".." in Path(out).parts else Path(out)  # a/.. does not require a folder a
    weights = target / f"{plan.stem}.safetensors"
    record = (
        data_record(root if task.packed is None else task.packed.parent, task.files(root)) if workers.is_first else {}
    )

    def run(folder: RunFolder) -> dict[str, float]:
        if not restart and folder.checkpoint.exists():
            read_checkpoint(folder.checkpoint, state, plan.digest)
            if workers.is_first:
                require_unchanged(folder.data_record, record)
        if workers.is_first:
            folder.restart = restart
            folder.prepare(plan.to_json(), state.step, json.dumps(record, indent=1))
        checks = fit(task, data, state, folder, where, workers=workers, progress=progress)
        if not workers.is_first:
            return {}
        with averaged(state, state.published) as network, full_float32():
            scores = task.score(network, checks, state.step)
            spec = task.system.describe(network, plan.network, task.scale)
            fields = task.spec_fields(network, checks)
            domain = data.sampler.domain()
            with writing(folder.path):
                write_result(weights, network, spec, plan, scores, domain, **fields)
        return scores

    if workers.is_first:
        with open_folder(target) as folder:
            scores = run(folder)
    else:
        scores = run(RunFolder(target))
    workers.leave()
    return TrainingResult(weights, scores, state.step)


def read_task(recipe: PathLike, *, start: PathLike | None = None) -> Task[Any]:
    """Read a recipe and create its task.

    Parameters
    ----------
    recipe
        A TOML file, a choice of one, or the bare name of a shipped one.
    start
        Weights to start from, in place of the recipe's.

    Returns
    -------
    Task[Any]
        The task of the recipe's system.

    Raises
    ------
    RecipeError
        For an invalid recipe, or a system without weights.
    """
    path = find_recipe(recipe)
    name = read_tables(path).get("system")
    if not isinstance(name, str) or name not in system_names():
        raise RecipeError(f"{path}: system = {shown(name)}: expected one of {', '.join(system_names())}")
    system = find_system(str(name))
    if system.training is None:
        raise RecipeError(f"{path}: system {name!r} has no weights to train")
    kind = task_class(system.training)
    hooks = system.training
    tables = {"network": system.network, "loss": hooks.loss_table, "adversary": hooks.adversary_table}
    plan = read_recipe(path, kind.recipe_type, tables)
    if problem := hooks.refuses_size(plan.network, plan.patches.size, plan.adversary):
        raise RecipeError(f"{path}: {problem}")
    return kind(system, plan if start is None else replace(plan, start=os.fspath(start)))


def find_recipe(path: PathLike) -> Path:
    """Find a recipe by its path, or a shipped one by its bare name.

    Parameters
    ----------
    path
        Path or bare name.

    Returns
    -------
    Path
        Path of the recipe; the given path where there is none.
    """
    here = Path(path)
    if base_recipe(here).is_file() or here.name != os.fspath(path):
        return here
    return next((there for f in recipe_folders() if base_recipe(there := f / here.name).is_file()), here)
