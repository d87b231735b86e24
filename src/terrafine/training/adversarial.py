"""The adversarial loop: a generator and its discriminators, each with its own optimiser; crash-safe, resumable.

Without discriminators it is ordinary regression. The batch, and every random number of a step, follow from seed and
step alone, so an interrupted run goes on to the same weights on one CPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn, optim

from terrafine.atomic import write_whole
from terrafine.errors import DataError
from terrafine.nn.task import Game, JointGame
from terrafine.training.checkpoint import open_checkpoint, optimiser_state, part, read_log

__all__ = ["Players", "Schedule", "read_players", "run", "write_players"]

Score = Callable[[nn.Module], dict[str, float]]
Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Adam for everyone; the rate falls along a cosine, or is halved when validation stands still.

    rate         of the generator and the discriminators
    beta1        first moment's memory
    warmup       steps over which the rate rises
    decay        cosine, plateau or none
    patience     validations without a better score before `factor` is applied (plateau)
    ema          memory of the averaged generator that is scored and kept; 0 takes it as it is
    clip         largest norm of the generator's gradient; 0 leaves it
    starts       steps at which warm-up and cosine begin again
    """

    steps: int
    rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 0.0
    warmup: int = 1
    decay: str = "plateau"
    patience: int = 20
    factor: float = 0.5
    ema: float = 0.0
    clip: float = 0.0
    starts: tuple[int, ...] = ()


@dataclass(slots=True)
class Players:
    """All that a run must remember."""

    generator: nn.Module
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    discriminators: dict[str, nn.Module]
    optimisers: dict[str, optim.Optimizer]
    step: int = 0
    numbers: dict[str, float] = field(default_factory=lambda: {"best": math.inf, "waited": 0.0, "scale": 1.0})

    @classmethod
    def start(cls, generator: nn.Module, discriminators: dict[str, nn.Module], plan: Schedule) -> Players:
        """Everyone at the beginning."""
        everyone = {"generator": generator, **discriminators}
        optimisers: dict[str, optim.Optimizer] = {
            name: optim.AdamW(
                _groups(network), lr=plan.rate, betas=(plan.beta1, plan.beta2), weight_decay=plan.weight_decay
            )
            for name, network in everyone.items()
        }
        copies = [{k: v.detach().clone() for k, v in generator.state_dict().items()} for _ in range(2)]
        return cls(generator, copies[0], copies[1], discriminators, optimisers)


def run(
    game: Game,
    players: Players,
    sampler: Callable[[int], Any],
    settings: Mapping[str, Any],
    plan: Schedule,
    *,
    seed: int,
    out: Path,
    digest: str,
    score: Score,
    draw: Callable[[nn.Module, Path], None] | None = None,
    validate_every: int = 500,
    checkpoint_every: int = 500,
    progress: Report | None = None,
    by: str = "mae",
) -> list[dict[str, float]]:
    """Play to the last step; the log. `players.best` then holds the generator with the lowest validation score `by`.

    `out` receives log.jsonl, checkpoint.safetensors, and whatever `draw` makes of the averaged generator there.
    """
    log = read_log(out / "log.jsonl", players.step)
    (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    while players.step < plan.steps:
        torch.manual_seed(seed * 1_000_003 + players.step)
        line = _step(game, players, sampler(players.step), settings, plan)
        last = players.step == plan.steps
        if players.step % validate_every == 0 or last:
            with averaged(players) as network:
                line |= score(network)
                _remember(players, line[by], plan)
                if draw is not None:
                    draw(network, out / "pictures" / f"step-{players.step:06d}.png")
        if progress is not None:
            progress(players.step, plan.steps, line)
        if players.step % 20 == 0 or by in line:
            log.append({"step": players.step, **line})
            with open(out / "log.jsonl", "a", encoding="utf-8") as f:
                f.write(json.dumps(log[-1]) + "\n")
        if players.step % checkpoint_every == 0 or last:
            write_players(out / "checkpoint.safetensors", players, digest)
    return log


def _step(game: Game, players: Players, batch: Any, settings: Mapping[str, Any], plan: Schedule) -> dict[str, float]:
    """The generator makes, the discriminators judge and learn, the generator learns from them as they then are."""
    rate = _rate(players, plan)
    shares = game.shares(batch) if isinstance(game, JointGame) else {}
    for optimiser in players.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = rate * shares.get(group["child"], 1.0)
    players.generator.train()
    made = game.make(players.generator, batch, settings)
    line = {"rate": rate}
    for name, loss in game.judge(players.discriminators, batch, made, settings).items():
        _learn(players.optimisers[name], loss)
        line[f"{name}_loss"] = float(loss.detach())
    for network in players.discriminators.values():
        network.requires_grad_(False)
    losses = game.please(players.discriminators, batch, made, settings)
    norm = _learn(players.optimisers["generator"], losses["total"], plan.clip)
    for network in players.discriminators.values():
        network.requires_grad_(True)
    if not math.isfinite(norm):
        raise DataError(f"step {players.step}: the gradient is not finite; lower [optim] rate, or check the data")
    players.step += 1
    keep = min(plan.ema, players.step / (players.step + 10))
    with torch.no_grad():
        for name, value in players.generator.state_dict().items():
            mean = players.average[name]
            mean.copy_(torch.lerp(mean, value, 1 - keep) if keep and value.is_floating_point() else value)
    return line | {name: float(value.detach()) for name, value in losses.items()}


def _groups(network: nn.Module) -> list[dict[str, Any]]:
    """Parameters in their order, one group for each run of them under the same child."""
    groups: list[dict[str, Any]] = []
    for name, parameter in network.named_parameters():
        child = name.split(".")[0]
        if not groups or groups[-1]["child"] != child:
            groups.append({"params": [], "child": child})
        groups[-1]["params"].append(parameter)
    return groups


def _learn(optimiser: optim.Optimizer, loss: Tensor, clip: float = 0.0) -> float:
    """One step of one optimiser; the norm of the gradient."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, clip or math.inf)
    if math.isfinite(float(norm)):
        optimiser.step()
    return float(norm)


def _rate(players: Players, plan: Schedule) -> float:
    first = max((s for s in plan.starts if s <= players.step), default=0)
    last = min((s for s in plan.starts if s > players.step), default=plan.steps)
    rise = min(1.0, (players.step - first + 1) / max(1, plan.warmup))
    if plan.decay == "cosine":
        share = (players.step - first) / (last - first)
        return plan.rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
    return plan.rate * rise * players.numbers["scale"]


def _remember(players: Players, score: float, plan: Schedule) -> None:
    """Keep the best; halve the rate where nothing has improved for long."""
    numbers = players.numbers
    if score < numbers["best"]:
        numbers["best"], numbers["waited"] = score, 0.0
        for name, value in players.average.items():
            players.best[name].copy_(value)
        return
    numbers["waited"] += 1
    if plan.decay == "plateau" and numbers["waited"] >= plan.patience:
        numbers["scale"], numbers["waited"] = numbers["scale"] * plan.factor, 0.0


@contextmanager
def averaged(players: Players) -> Iterator[nn.Module]:
    """The generator with its averaged weights, in evaluation mode; afterwards it is as it was."""
    own = {k: v.detach().clone() for k, v in players.generator.state_dict().items()}
    players.generator.load_state_dict(players.average)
    players.generator.eval()
    try:
        with torch.no_grad():
            yield players.generator
    finally:
        players.generator.load_state_dict(own)


def write_players(path: Path, players: Players, digest: str) -> None:
    """One safetensors file, whole or not there."""
    tensors = {f"average.{k}": v for k, v in players.average.items()}
    tensors |= {f"best.{k}": v for k, v in players.best.items()}
    for name, network in {"generator": players.generator, **players.discriminators}.items():
        tensors |= {f"network.{name}.{k}": v.detach() for k, v in network.state_dict().items()}
        for i, moments in players.optimisers[name].state_dict()["state"].items():
            tensors |= {f"optimiser.{name}.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    numbers = json.dumps({k: v for k, v in players.numbers.items() if math.isfinite(v)})
    metadata = {"step": str(players.step), "recipe": digest, "numbers": numbers}
    write_whole(path, save({k: v.contiguous().cpu().clone() for k, v in tensors.items()}, metadata=metadata))


def read_players(path: Path, players: Players, digest: str) -> None:
    """Fill `players` from the file; RecipeError if it is of another recipe, WeightsError if it is damaged."""
    metadata, tensors = open_checkpoint(path, digest)
    players.step = int(metadata["step"])
    players.numbers.update(json.loads(metadata["numbers"]))
    for name, copy in (("average", players.average), ("best", players.best)):
        for k, v in part(tensors, f"{name}.").items():
            copy[k].copy_(v)
    for name, network in {"generator": players.generator, **players.discriminators}.items():
        network.load_state_dict(part(tensors, f"network.{name}."))
        optimiser = players.optimisers[name]
        optimiser.load_state_dict(optimiser_state(optimiser, part(tensors, f"optimiser.{name}.")))
