"""`train`: a recipe of any system into weights."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from terrafine.errors import RecipeError
from terrafine.schema.types import shown
from terrafine.systems import find_system, recipe_folders, system_names
from terrafine.training.balance import Balance
from terrafine.training.checkpoint import averaged, read_checkpoint, start_state
from terrafine.training.curve import check_extras
from terrafine.training.data_record import data_record, require_unchanged
from terrafine.training.device import find_device, full_float32, join_workers
from terrafine.training.folder import RunFolder, open_folder, writing
from terrafine.training.recipe import base_of, read_recipe, read_tables
from terrafine.training.result import write_result
from terrafine.training.runner import Progress, fit
from terrafine.training.task import Task, task_class

__all__ = ["TrainingResult", "find_recipe", "read_task", "train"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """weights: the finished file; scores: on the held-out data; steps done."""

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
) -> TrainingResult:
    """Train the model that a recipe describes.

    Under torchrun every process takes its share of each batch. A training that is refused leaves no folder.

    Parameters
    ----------
    recipe
        A TOML file, a choice of one, or the bare name of a shipped one.
    data_root
        Folder that the recipe's file names start from.
    out
        Run folder: receives recipe.json, data.json with a digest of each file, log.jsonl, curve.png,
        checkpoint.safetensors, pictures where the task draws some, and at last the weights. A folder that holds a
        checkpoint of the same recipe is resumed, unless the data have changed.
    device
        `auto`, `cpu`, `cuda`, or a device of torch, such as `cuda:1`.
    restart
        Start from scratch where there is a checkpoint.
    threads
        CPU threads; None leaves torch's number.
    progress
        Called after each step with (step, steps, losses and scores).
    start
        Weights to start from, instead of the recipe's.

    Returns
    -------
    TrainingResult
        The weights file, its held-out scores and the steps done.

    Raises
    ------
    RecipeError, DataError, WeightsError, NoModelError, MissingExtraError, JobError, OutputError
    """
    task = read_task(recipe, start=start)
    check_extras()
    task.check_extras()
    workers = join_workers()
    workers.refuse_uneven(task.recipe.patches.batch)
    where = find_device(device, workers.rank)
    if threads:
        torch.set_num_threads(threads)
    root, plan = Path(data_root), task.recipe
    network, discriminators = task.networks(root, where)
    data = task.data(root)
    balance = None if plan.balance is None else Balance(plan.balance, plan.seed)
    state = start_state(network, discriminators, plan.optim, plan.stop, balance)
    target = Path(out).resolve() if ".." in Path(out).parts else Path(out)  # a/.. needs no folder a
    weights = target / f"{plan.stem}.safetensors"
    record = data_record(root, task.files(root)) if workers.leads else {}

    def run(folder: RunFolder) -> dict[str, float]:
        if not restart and folder.checkpoint.exists():
            read_checkpoint(folder.checkpoint, state, plan.digest)
            if workers.leads:
                require_unchanged(folder.data_record, record)
        if workers.leads:
            folder.restart = restart
            folder.begin(plan.to_json(), state.step, json.dumps(record, indent=1))
        checks = fit(task, data, state, folder, where, workers=workers, progress=progress)
        if not workers.leads:
            return {}
        with averaged(state, state.published) as network, full_float32():
            scores = task.score(network, checks, state.step)
            spec = task.system.describe(network, plan.network, task.scale)
            fields = task.spec_fields(network, checks)
            domain = task.domain(data)
            with writing(folder.path):
                write_result(weights, network, spec, plan, scores, domain, **fields)
        return scores

    if workers.leads:
        with open_folder(target) as folder:
            scores = run(folder)
    else:
        scores = run(RunFolder(target))
    workers.leave()
    return TrainingResult(weights, scores, state.step)


def read_task(recipe: PathLike, *, start: PathLike | None = None) -> Task[Any]:
    """The task of a recipe: its system by name, its type by the system's task. Raises RecipeError."""
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
    return kind(system, plan if start is None else replace(plan, start=os.fspath(start)))


def find_recipe(path: PathLike) -> Path:
    """The recipe itself, or the shipped one of that name where a bare name is given that is not here."""
    here = Path(path)
    if base_of(here).is_file() or here.name != os.fspath(path):
        return here
    return next((there for f in recipe_folders() if base_of(there := f / here.name).is_file()), here)
