"""The training loop: a recipe in, weights out; interrupted at any step, it goes on to the same weights."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from terrafine.errors import DataError, RecipeError
from terrafine.nn.blocks import channels_last
from terrafine.nn.system import System, TrainingBatch
from terrafine.nn.weights import load
from terrafine.systems import find_system, find_weights
from terrafine.training.balance import Balance
from terrafine.training.checkpoint import State, read_checkpoint, read_log, write_checkpoint
from terrafine.training.curve import draw_curve
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.patches import Batch, Sampler
from terrafine.training.dem.recipe import Recipe, read_recipe
from terrafine.training.dem.scores import calibrate, score, turning_error
from terrafine.training.dem.terrain import check_leak, load_terrains, split
from terrafine.training.optimisers import Muon
from terrafine.training.publish import publish

__all__ = ["TrainingResult", "place_of", "train"]

Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """weights: the finished file; scores: on the held-out terrain; steps done."""

    weights: Path
    scores: dict[str, float]
    steps: int


def train(
    recipe_path: str | os.PathLike[str],
    *,
    data_root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    device: str = "auto",
    resume: bool = True,
    threads: int | None = None,
    progress: Report | None = None,
) -> TrainingResult:
    """Train as the recipe says; a run folder `out` that holds a checkpoint of the same recipe is gone on with.

    The folder receives recipe.json, log.jsonl, curve.png, checkpoint.safetensors and at last NAME-xK.safetensors.
    Under torchrun every process takes its share of each batch. Raises RecipeError, DataError, WeightsError.
    """
    recipe = read_recipe(recipe_path)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rank, world = _distribute()
    if threads:
        torch.set_num_threads(threads)
    place = place_of(device, rank)
    system = find_system(recipe.system)
    if system.build is None or system.loss is None or system.predict is None:
        raise RecipeError(f"{recipe_path}: system {recipe.system!r} has no weights to train")
    samplers, checker = _samplers(recipe, Path(data_root))
    torch.manual_seed(recipe.seed)
    state = _start(system, recipe, place)
    checkpoint = out / "checkpoint.safetensors"
    if resume and checkpoint.exists():
        read_checkpoint(checkpoint, state, recipe.digest)
    log = read_log(out / "log.jsonl", state.step)
    if rank == 0:
        (out / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
        (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    checks = [
        _to_device(checker(i), place, recipe.scale)
        for i in range(-(-recipe.validation_patches // recipe.patches.batch))
    ]
    network: Any = nn.parallel.DistributedDataParallel(state.network) if world > 1 else state.network
    with ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(_draw, samplers, state.step)
        while state.step < recipe.optim.steps:
            (batch, scale), drawn = drawn.result(), pool.submit(_draw, samplers, state.step + 1)
            line = _step(system, network, state, _to_device(_share(batch, rank, world), place, scale), recipe)
            if state.step % recipe.validate_every == 0 or state.step == recipe.optim.steps:
                line |= score(system, _averaged(system, state, recipe, place), checks)
            if progress is not None and rank == 0:
                progress(state.step, recipe.optim.steps, line)
            if rank == 0 and ("to_bicubic" in line or state.step % 20 == 0):
                log.append({"step": state.step, **line})
                with open(out / "log.jsonl", "a", encoding="utf-8") as f:
                    f.write(json.dumps(log[-1]) + "\n")
            if rank == 0 and (state.step % recipe.checkpoint_every == 0 or state.step == recipe.optim.steps):
                write_checkpoint(checkpoint, state, recipe.digest)
                draw_curve(log, out / "curve.png", f"{recipe.name} ×{recipe.scale}")
    weights = out / f"{recipe.stem}.safetensors"
    scores = _publish(weights, system, state, recipe, checks, place) if rank == 0 else {}
    if world > 1:
        torch.distributed.destroy_process_group()
    return TrainingResult(weights, scores, state.step)


def _step(system: System, network: nn.Module, state: State, batch: TrainingBatch, recipe: Recipe) -> dict[str, float]:
    """One step of the optimiser and of the moving average; the line for the log."""
    if system.loss is None:
        raise RecipeError(f"system {system.name!r} has no loss")
    rate = _rate(state.step, recipe)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast(batch.coarse.device.type, torch.bfloat16, enabled=_bf16(batch.coarse.device)):
        losses = system.loss(network, batch, recipe.loss)
    losses["total"], weights = _balanced(losses, state, recipe)
    state.optimiser.zero_grad(set_to_none=True)
    losses["total"].backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), recipe.optim.clip)
    if not bool(torch.isfinite(norm)):
        raise DataError(f"step {state.step}: the gradient is not finite; lower [optim] rate, or check the data")
    state.optimiser.step()
    state.step += 1
    keep = min(recipe.optim.ema, state.step / (state.step + 10))
    with torch.no_grad():
        for name, value in state.network.named_parameters():
            state.average[name].lerp_(value, 1 - keep)
    return {"rate": rate, **{k: float(v.detach()) for k, v in losses.items()}, **weights}


def _balanced(losses: dict[str, Tensor], state: State, recipe: Recipe) -> tuple[Tensor, dict[str, float]]:
    """The total with the terms of [balance] weighed anew, and the weight of each, for the log.

    The total counts each by its weight in [loss], so a factor f means (f - 1) × weight × term more.
    """
    total = losses["total"]
    if state.balance is None:
        return total, {}
    names = state.balance.settings.terms
    values = _agreed({n: float(losses[n].detach()) for n in names if n in losses}, names)
    factors = state.balance.factors(state.step, values)
    for name, factor in factors.items():
        if name in losses:
            total = total + (factor - 1) * recipe.loss[name] * losses[name]
    return total, {f"weight_{name}": recipe.loss[name] * factor for name, factor in factors.items()}


def _agreed(values: dict[str, float], names: Sequence[str]) -> dict[str, float]:
    """The mean over all processes that have a value; the values as they are where there is one process."""
    if not torch.distributed.is_initialized():
        return values
    place = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    table = torch.tensor([[values.get(n, 0.0), float(n in values)] for n in names], dtype=torch.float64, device=place)
    torch.distributed.all_reduce(table)
    return {n: total / count for n, (total, count) in zip(names, table.tolist(), strict=True) if count}


def _rate(step: int, recipe: Recipe) -> float:
    o = recipe.optim
    done = step / max(1, o.steps)
    fall = o.final + (1 - o.final) * 0.5 * (1 + math.cos(math.pi * done)) if o.decay == "cosine" else o.final**done
    return o.rate * min(1.0, (step + 1) / max(1, o.warmup)) * fall


def _start(system: System, recipe: Recipe, place: torch.device) -> State:
    network = _build(system, recipe)
    if recipe.start:
        _, tensors = load(find_weights(recipe.start))
        own, into = network.state_dict(), f"{recipe.start_into}." if recipe.start_into else ""
        fitting = {into + k: v for k, v in tensors.items() if into + k in own and own[into + k].shape == v.shape}
        if not fitting:
            raise RecipeError(f"start = {recipe.start!r}: no tensor of it fits this network")
        network.load_state_dict(own | fitting)
    channels_last(network, place)
    o = recipe.optim
    method = Muon if o.method == "muon" else torch.optim.AdamW
    optimiser = method(network.parameters(), lr=o.rate, betas=(0.9, o.beta2), weight_decay=o.weight_decay)
    average = {k: v.detach().clone() for k, v in network.named_parameters()}
    balance = None if recipe.balance is None else Balance(recipe.balance, recipe.seed)
    return State(network, average, optimiser, 0, balance)


def _build(system: System, recipe: Recipe) -> nn.Module:
    if system.build is None:
        raise RecipeError(f"system {system.name!r} has no network")
    try:
        return system.build(recipe.network, recipe.scale)
    except TypeError as e:
        raise RecipeError(f"[network] does not fit system {recipe.system!r}: {e}") from e


def _averaged(system: System, state: State, recipe: Recipe, place: torch.device) -> nn.Module:
    """The network with its moving-average weights."""
    network = _build(system, recipe)
    network.load_state_dict(state.network.state_dict() | state.average)
    return channels_last(network, place).eval()


def _publish(
    path: Path, system: System, state: State, recipe: Recipe, checks: list[TrainingBatch], place: torch.device
) -> dict[str, float]:
    network = _averaged(system, state, recipe, place)
    scores = score(system, network, checks)
    spec = system.describe(network, recipe.network, recipe.scale)
    publish(
        path,
        network,
        spec,
        recipe,
        scores,
        scales=tuple(recipe.scales),
        calibration=calibrate(system, network, checks),
        tolerance_m=round(turning_error(system, network, checks), 3),
    )
    return scores


def _draw(samplers: Sequence[Sampler], step: int) -> tuple[Batch, int]:
    """The batch of that step and its scale; the scales take turns."""
    sampler = samplers[step % len(samplers)]
    return sampler(step), sampler.scale


def _samplers(recipe: Recipe, root: Path) -> tuple[list[Sampler], Sampler]:
    """One for each scale of the training terrain, and one of the held-out terrain, after the leakage check."""
    training, validation = split(load_terrains(root, recipe.data.files), recipe.data.held_out, recipe.data.gap)
    check_leak(training, validation)
    p = recipe.patches
    coarsen = tuple((int(k), float(v)) for k, v in p.coarsen.items())
    sampler = Sampler(
        training,
        recipe.scale,
        p.size,
        p.batch,
        recipe.degrade,
        recipe.seed,
        coarsen,
        p.exaggerate,
        p.mirror,
        recipe.radar,
        recipe.optical,
    )
    plain = replace(
        sampler,
        terrains=[replace(t, weight=1.0) for t in validation],
        family=Family({"mean": 1.0}),
        seed=recipe.seed + 1,
        coarsen=((1, 1.0),),
        exaggerate=0.0,
        mirror=False,
        radar=None if recipe.radar is None else replace(recipe.radar, drop=0.0),
        optical=None if recipe.optical is None else replace(recipe.optical, drop=0.0),
    )
    return [replace(sampler, scale=k) for k in recipe.scales or (recipe.scale,)], plain


def _share(batch: Batch, rank: int, world: int) -> Batch:
    def part(a: Any) -> Any:
        return a[rank::world]

    guides = {name: part(a) for name, a in batch.guides.items()}
    return Batch(part(batch.coarse), part(batch.fine), part(batch.pixel_size_m), guides)


def _to_device(batch: Batch, place: torch.device, scale: int) -> TrainingBatch:
    def put(a: Any) -> Tensor:
        return torch.from_numpy(a).to(place, non_blocking=True)

    guides = {name: put(a) for name, a in batch.guides.items()}
    return TrainingBatch(put(batch.coarse), put(batch.fine), put(batch.pixel_size_m), scale, guides)


def place_of(device: str, rank: int = 0) -> torch.device:
    """Where to compute: `auto` is CUDA where there is one; RecipeError for a CUDA that is not."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        if not torch.cuda.is_available():
            raise RecipeError('no CUDA device is visible; use device="cpu"')
        return torch.device("cuda", rank % torch.cuda.device_count())
    return torch.device(device)


def _bf16(place: torch.device) -> bool:
    """bfloat16 where the hardware computes in it: slower than float32 elsewhere."""
    if place.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(cpu())


def _distribute() -> tuple[int, int]:
    """(rank, world) as torchrun sets them; (0, 1) alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return torch.distributed.get_rank(), world
