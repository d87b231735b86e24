"""The training loop of every system: interrupted at any step, a run resumes to the same weights.

The batch and every random number of a step follow from seed and step alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn, optim

from terrafine.errors import DataError
from terrafine.nn.device import autocast, full_float32, to_device
from terrafine.training.batches import Batches
from terrafine.training.checkpoint import State, averaged, write_checkpoint
from terrafine.training.curve import draw_curve
from terrafine.training.folder import RunFolder, writing
from terrafine.training.schedule import rate_at
from terrafine.training.task import Task
from terrafine.training.workers import SINGLE_PROCESS, Workers

__all__ = ["Progress", "finished", "fit"]

Progress = Callable[[int, int, dict[str, float]], None]
"""(step, steps, losses and scores of the step)."""

_LOG_EVERY = 20


def fit(
    task: Task[Any],
    data: Batches[Any],
    state: State,
    folder: RunFolder,
    device: torch.device,
    *,
    workers: Workers = SINGLE_PROCESS,
    progress: Progress | None = None,
) -> Sequence[Any]:
    """Train to the last step, or until the held-out score stops improving.

    Parameters
    ----------
    task
        Task of the run.
    data
        Training and validation batches.
    state
        State of the run, changed in place.
    folder
        Folder that receives log.jsonl, curve.png, pictures and checkpoint.safetensors.
    device
        Device of the networks of `state`; batches are moved to it.
    workers
        Processes that share each batch.
    progress
        Function that is called after each step.

    Returns
    -------
    Sequence[Any]
        The validation batches, on the device.

    Raises
    ------
    DataError
        Where a gradient is not finite, or no held-out score was a number.
    OutputError
        Where the folder cannot be written.
    """
    recipe = task.recipe
    checks = [to_device(batch, device) for batch in data.checks]
    with ThreadPoolExecutor(1) as pool, full_float32():
        drawn = None if finished(task, state) else pool.submit(data.batch, state.step)
        if drawn is None and workers.is_first:  # the run may have ended between its last checkpoint and the curve
            _draw_curve(task, folder)
        while drawn is not None:
            batch, following = drawn.result(), state.step + 1
            drawn = pool.submit(data.batch, following) if following < recipe.optim.steps else None
            line = _step(task, state, to_device(workers.share(batch), device), device, workers)
            if workers.is_first:
                folder.write_prepared()
            last = state.step == recipe.optim.steps
            scored = state.step % recipe.validate_every == 0 or last
            if scored:
                line |= _validate(task, state, checks, folder, device, workers)
            last = finished(task, state)
            if workers.is_first:
                _record(task, state, folder, line, scored, last, progress)
            if last:
                break
    if recipe.stop.best_by and not math.isfinite(state.numbers["best"]):
        raise DataError(f"no held-out {recipe.stop.best_by} was a number, so no weights are the best; check the data")
    return checks


def finished(task: Task[Any], state: State) -> bool:
    """Report whether the last step is done, or `[stop] patience` is exhausted.

    Parameters
    ----------
    task
        Task of the run.
    state
        State of the run.

    Returns
    -------
    bool
        True where no further step is due.
    """
    patience = task.recipe.stop.patience
    return bool(state.step >= task.recipe.optim.steps or 0 < patience <= state.numbers["stalled"])


def _step(
    task: Task[Any], state: State, batch: Any, device: torch.device, workers: Workers = SINGLE_PROCESS
) -> dict[str, float]:
    """Forward, the discriminators' step, the network's step, the moving average; the line for the log."""
    hooks, optim_, settings = task.hooks, task.recipe.optim, task.settings
    torch.manual_seed(task.recipe.seed * 1_000_003 + state.step + (workers.rank << 40))
    if state.step in optim_.starts:
        state.numbers |= {"plateau": 1.0, "waited": 0.0}
    rate = rate_at(state.step, optim_, state.numbers["plateau"])
    _set_rate(state, rate, hooks.rate_factors(batch))
    state.network.train()
    with autocast(device, optim_.precision):
        output = hooks.forward(state.network, batch, settings)
        judged = hooks.discriminator_losses(state.discriminators, batch, output, settings)
    for name, loss in judged.items():
        norm = _descend(state.optimisers[name], state.discriminators[name], loss, workers)
        _require_finite(norm, state.step, f"the gradient of the discriminator {name!r}")
    _require_gradients(state.discriminators, False)
    with autocast(device, optim_.precision):
        losses = hooks.loss(state.discriminators, batch, output, settings)
    total, weights = _balanced(task, state, losses, device, workers)
    norm = _descend(state.optimisers["network"], state.network, total, workers, optim_.clip)
    _require_gradients(state.discriminators, True)
    _require_finite(norm, state.step, "the gradient")
    state.step += 1
    _average(state, optim_.ema)
    parts = {name: float(value.detach()) for name, value in (losses | {"total": total}).items()}
    return {"rate": rate, **{f"{name}_loss": float(v.detach()) for name, v in judged.items()}, **parts, **weights}


def _set_rate(state: State, rate: float, factors: Mapping[str, float]) -> None:
    """The rate of every optimiser; the factors are of the network's children alone."""
    for name, optimiser in state.optimisers.items():
        for group in optimiser.param_groups:
            group["lr"] = rate * (factors.get(group["child"], 1.0) if name == "network" else 1.0)


def _require_finite(norm: float, step: int, what: str) -> None:
    if not math.isfinite(norm):
        raise DataError(f"step {step}: {what} is not finite; lower [optim] rate, or check the data")


def _descend(
    optimiser: optim.Optimizer, network: nn.Module, loss: Tensor, workers: Workers, clip: float = 0.0
) -> float:
    """One step of one optimiser, unless the gradient is not finite; its norm."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    workers.average_gradients(network)
    norm = float(nn.utils.clip_grad_norm_(network.parameters(), clip or math.inf))
    if math.isfinite(norm):
        optimiser.step()
    return norm


def _require_gradients(networks: Mapping[str, nn.Module], wanted: bool) -> None:
    for network in networks.values():
        network.requires_grad_(wanted)


def _balanced(
    task: Task[Any], state: State, losses: Mapping[str, Tensor], device: torch.device, workers: Workers
) -> tuple[Tensor, dict[str, float]]:
    """The total with the terms of [balance] re-weighted, and the weight of each, for the log.

    The total counts each term by its weight in [loss], so a factor f adds (f - 1) × weight × term.
    """
    total = losses["total"]
    if state.balance is None:
        return total, {}
    names, given = state.balance.settings.terms, task.recipe.loss
    values = workers.mean({n: float(losses[n].detach()) for n in names if n in losses}, names, device)
    factors = state.balance.factors(state.step, values)
    for name, factor in factors.items():
        if name in losses:
            total = total + (factor - 1) * given[name] * losses[name]
    return total, {f"weight_{name}": given[name] * factor for name, factor in factors.items()}


@torch.no_grad()
def _average(state: State, ema: float) -> None:
    """Move the average toward the network; at first it follows faster."""
    keep = min(ema, state.step / (state.step + 10))
    for name, value in state.network.state_dict().items():
        mean = state.average[name]
        mean.copy_(torch.lerp(mean, value, 1 - keep) if keep and value.is_floating_point() else value)


def _validate(
    task: Task[Any], state: State, checks: Sequence[Any], folder: RunFolder, device: torch.device, workers: Workers
) -> dict[str, float]:
    """Held-out scores of the averaged network; the best one is kept."""
    with averaged(state) as network:
        scores = task.score(network, checks, state.step)
        if workers.is_first:
            with writing(folder.path):
                task.draw(network, checks, folder.picture(state.step))
    if by := task.recipe.stop.best_by:
        _remember(task, state, workers.broadcast(scores[by], device))
    return scores


def _remember(task: Task[Any], state: State, score: float) -> None:
    """Keep the best weights; lower the rate, and count towards the end, where nothing gets better."""
    numbers, plan, stop = state.numbers, task.recipe.optim, task.recipe.stop
    if stop.better(score, numbers["best"]):
        numbers |= {"best": score, "waited": 0.0, "stalled": 0.0}
        for name, value in state.average.items():
            if state.best is not None:
                state.best[name].copy_(value)
        return
    numbers["waited"] += 1
    numbers["stalled"] += state.step > max(plan.starts, default=0)  # only the last phase can end early
    if plan.decay == "plateau" and numbers["waited"] >= plan.patience:
        numbers |= {"plateau": numbers["plateau"] * plan.factor, "waited": 0.0}


def _record(
    task: Task[Any],
    state: State,
    folder: RunFolder,
    line: dict[str, float],
    scored: bool,
    last: bool,
    progress: Progress | None,
) -> None:
    """Report the step; write the log, and the checkpoint and the curve where they are due."""
    recipe = task.recipe
    if progress is not None:
        progress(state.step, recipe.optim.steps, line)
    if scored or state.step % _LOG_EVERY == 0:
        folder.append(state.step, line)
    if last or state.step % recipe.checkpoint_every == 0:
        with writing(folder.path):
            write_checkpoint(folder.checkpoint, state, recipe.digest)
        _draw_curve(task, folder)


def _draw_curve(task: Task[Any], folder: RunFolder) -> None:
    with writing(folder.path):
        draw_curve(folder.log, folder.path / "curve.png", task.recipe.stem, task.recipe.SCORES)
