"""Checkpoints: one safetensors file, complete or absent, with the step and the recipe of its run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn, optim

from terrafine.atomic import write_whole
from terrafine.errors import RecipeError, WeightsError
from terrafine.schema.check import conform
from terrafine.schema.types import Within
from terrafine.training.balance import Balance
from terrafine.training.optimisers import Muon
from terrafine.training.schedule import Optim, Stop

__all__ = ["State", "averaged", "read_checkpoint", "start_state", "write_checkpoint"]

_FORMAT = "terrafine-checkpoint/2"
_Step = Annotated[int, Within(0, 10**12)]
_Numbers = Mapping[Literal["best", "waited", "stalled", "plateau"], float]


@dataclass(slots=True)
class State:
    """State of a run that a checkpoint stores.

    Attributes
    ----------
    network
        The network that is trained.
    average
        Moving average of its parameters and buffers.
    best
        The average with the best held-out score so far; None where the last average is published.
    discriminators
        Discriminators by name.
    optimisers
        Optimisers by name of the network; that of the system's network is called `network`.
    balance
        Weights of loss terms that adapt, or None.
    step
        Number of steps done.
    numbers
        `best`, the best score; `waited`, validations since then, for the plateau; `stalled`, the same for early
        stopping; `plateau`, the factor of the rate.
    """

    network: nn.Module
    average: dict[str, Tensor]
    best: dict[str, Tensor] | None
    discriminators: dict[str, nn.Module]
    optimisers: dict[str, optim.Optimizer]
    balance: Balance | None = None
    step: int = 0
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def published(self) -> dict[str, Tensor]:
        """Tensors that the run publishes."""
        return self.average if self.best is None else self.best


def start_state(
    network: nn.Module,
    discriminators: dict[str, nn.Module],
    plan: Optim,
    stop: Stop,
    balance: Balance | None = None,
) -> State:
    """Create the state before the first step.

    Parameters
    ----------
    network
        Network on its device.
    discriminators
        Discriminators on their device, by name.
    plan
        The recipe's `[optim]`.
    stop
        The recipe's `[stop]`.
    balance
        Weights of loss terms that adapt, or None.

    Returns
    -------
    State
        The state.
    """
    muon = plan.method == "muon"
    settings: dict[str, Any] = {"lr": plan.rate, "weight_decay": plan.weight_decay}
    settings["betas"] = (plan.beta1, plan.beta2)
    optimisers: dict[str, optim.Optimizer] = {
        "network": (Muon if muon else optim.AdamW)(_groups(network), **settings),
        **{name: optim.AdamW(_groups(other), **settings) for name, other in discriminators.items()},
    }
    copies = [{k: v.detach().clone() for k, v in network.state_dict().items()} for _ in range(2)]
    best = copies[1] if stop.best_by else None
    numbers = {"best": stop.worst, "waited": 0.0, "stalled": 0.0, "plateau": 1.0}
    return State(network, copies[0], best, discriminators, optimisers, balance, 0, numbers)


def _groups(network: nn.Module) -> list[dict[str, Any]]:
    """Parameters in their order, one group for each run of them under the same child."""
    groups: list[dict[str, Any]] = []
    for name, parameter in network.named_parameters():
        child = name.split(".")[0]
        if not groups or groups[-1]["child"] != child:
            groups.append({"params": [], "child": child})
        groups[-1]["params"].append(parameter)
    return groups


@contextmanager
def averaged(state: State, tensors: Mapping[str, Tensor] | None = None) -> Iterator[nn.Module]:
    """Load the averaged weights into the network for the length of the block.

    Parameters
    ----------
    state
        State of the run.
    tensors
        Other weights to load; the average where None.

    Yields
    ------
    nn.Module
        The network in evaluation mode, without gradients.
    """
    own = {k: v.detach().clone() for k, v in state.network.state_dict().items()}
    training = state.network.training
    state.network.load_state_dict(state.average if tensors is None else tensors)
    state.network.eval()
    try:
        with torch.no_grad():
            yield state.network
    finally:
        state.network.load_state_dict(own)
        state.network.train(training)


def write_checkpoint(path: Path, state: State, recipe_digest: str) -> None:
    """Write the state to a file, completely or not at all.

    Parameters
    ----------
    path
        File to write.
    state
        State of the run.
    recipe_digest
        Digest of the recipe.

    Raises
    ------
    OSError
        Where the file cannot be written.
    """
    tensors = {f"average.{k}": v for k, v in state.average.items()}
    tensors |= {f"best.{k}": v for k, v in (state.best or {}).items()}
    for name, network in {"network": state.network, **state.discriminators}.items():
        tensors |= {f"state.{name}.{k}": v.detach() for k, v in network.state_dict().items()}
        for i, moments in state.optimisers[name].state_dict()["state"].items():
            tensors |= {f"optimiser.{name}.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    if state.balance is not None:
        tensors |= {f"balance.{k}": v for k, v in state.balance.state.items()}
    numbers = json.dumps({k: v for k, v in state.numbers.items() if math.isfinite(v)})
    metadata = {"format": _FORMAT, "step": str(state.step), "recipe": recipe_digest, "numbers": numbers}
    write_whole(path, save({k: v.contiguous().cpu().clone() for k, v in tensors.items()}, metadata=metadata))


def read_checkpoint(path: Path, state: State, recipe_digest: str) -> None:
    """Restore the state from a file.

    Parameters
    ----------
    path
        File to read.
    state
        State of the run, changed in place.
    recipe_digest
        Digest of the recipe.

    Raises
    ------
    RecipeError
        For a checkpoint of another recipe, in another format, or of another network.
    WeightsError
        For a damaged checkpoint.
    """
    metadata, tensors = _open(path, recipe_digest)
    try:
        _fill(state, metadata, tensors)
    except (KeyError, RuntimeError, ValueError, RecipeError) as e:
        raise RecipeError(
            f"{path}: does not fit the networks of this version of Terrafine ({str(e).splitlines()[0]}); use another "
            "out=DIR, or start over with restart=True"
        ) from e


def _fill(state: State, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    state.step = conform(_Step, int(metadata["step"]), "step", RecipeError)
    state.numbers.update(conform(_Numbers, json.loads(metadata["numbers"]), "numbers", RecipeError))
    for prefix, copy in (("average.", state.average), ("best.", state.best or {})):
        for k, v in _part(tensors, prefix).items():
            copy[k].copy_(v)
    for name, network in {"network": state.network, **state.discriminators}.items():
        network.load_state_dict(_part(tensors, f"state.{name}."))
        optimiser = state.optimisers[name]
        optimiser.load_state_dict(_moments(optimiser, _part(tensors, f"optimiser.{name}.")))
    if state.balance is not None:
        for k, v in _part(tensors, "balance.").items():
            state.balance.state[k].copy_(v)


def _open(path: Path, recipe_digest: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise RecipeError(
                    f"{path}: a checkpoint of another version of Terrafine ({metadata.get('format', 'no format')}, "
                    f"expected {_FORMAT}); use another out=DIR, or start over with restart=True"
                )
            if metadata.get("recipe") != recipe_digest:
                raise RecipeError(
                    f"{path}: a checkpoint of another recipe; use another out=DIR, or start over with restart=True"
                )
            return dict(metadata), {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
    except SafetensorError as e:
        raise WeightsError(f"{path}: damaged checkpoint ({e}); delete it to start over") from e


def _moments(optimiser: optim.Optimizer, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What `optimiser.load_state_dict` takes, of moments by `INDEX.NAME` and the optimiser's own settings."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = value
    return {"state": moments, "param_groups": optimiser.state_dict()["param_groups"]}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
