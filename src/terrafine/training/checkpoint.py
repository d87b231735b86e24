"""Checkpoints: one safetensors file that is whole or absent, with the step and the recipe it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn, optim

from terrafine.atomic import write_whole
from terrafine.errors import RecipeError, WeightsError
from terrafine.training.balance import Balance

__all__ = ["State", "open_checkpoint", "optimiser_state", "part", "read_checkpoint", "read_log", "write_checkpoint"]


@dataclass(slots=True)
class State:
    """What a run must remember: network, moving average, optimiser, step, and adaptive weights of loss terms."""

    network: nn.Module
    average: dict[str, Tensor]
    optimiser: optim.Optimizer
    step: int
    balance: Balance | None = None


def write_checkpoint(path: Path, state: State, recipe_digest: str) -> None:
    """Write under a temporary name, flush to disk, rename."""
    tensors = {f"network.{k}": v.detach() for k, v in state.network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.items()}
    for i, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    if state.balance is not None:
        tensors |= {f"balance.{k}": v for k, v in state.balance.state.items()}
    metadata = {"step": str(state.step), "recipe": recipe_digest}
    data = save({k: v.contiguous().cpu().clone() for k, v in tensors.items()}, metadata=metadata)
    write_whole(path, data)


def read_checkpoint(path: Path, state: State, recipe_digest: str) -> None:
    """Fill `state` from the file; RecipeError if it is of another recipe, WeightsError if it is damaged."""
    metadata, tensors = open_checkpoint(path, recipe_digest)
    state.step = int(metadata["step"])
    state.network.load_state_dict(part(tensors, "network."))
    for k, v in part(tensors, "average.").items():
        state.average[k].copy_(v)
    if state.balance is not None:
        for k, v in part(tensors, "balance.").items():
            state.balance.state[k].copy_(v)
    state.optimiser.load_state_dict(optimiser_state(state.optimiser, part(tensors, "optimiser.")))


def open_checkpoint(path: Path, recipe_digest: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of the file; RecipeError if it is of another recipe, WeightsError if it is damaged."""
    try:
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            if metadata.get("recipe") != recipe_digest:
                raise RecipeError(
                    f"{path}: a checkpoint of another recipe; use another out=DIR, or start over with restart=True"
                )
            return dict(metadata), {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
    except SafetensorError as e:
        raise WeightsError(f"{path}: damaged checkpoint ({e}); delete it to start over") from e


def optimiser_state(optimiser: optim.Optimizer, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What `optimiser.load_state_dict` takes, of moments by `INDEX.NAME` and the optimiser's own settings."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = value
    return {"state": moments, "param_groups": optimiser.state_dict()["param_groups"]}


def read_log(path: Path, upto: int) -> list[dict[str, float]]:
    """The lines of a run's log up to a step; a line torn by a crash is dropped."""
    lines: list[dict[str, float]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                break
            if line["step"] <= upto:
                lines.append(line)
    return lines


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
