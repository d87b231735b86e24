"""What a run trains: the interface between the training loop and its three kinds of data."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn

from terrafine.errors import NoModelError, RecipeError
from terrafine.nn.system import System
from terrafine.nn.task import Training
from terrafine.nn.weights import load
from terrafine.systems import find_weights
from terrafine.training.recipe import Recipe

__all__ = ["Data", "Task", "task_class"]

Kind = TypeVar("Kind", bound=Recipe)


class Data(Protocol):
    """What a run learns from and is scored on; batches are dataclasses of CPU tensors."""

    def batch(self, step: int) -> Any:
        """The batch of a step: the same step gives the same batch, in any order, in any thread."""

    def validation(self) -> Sequence[Any]:
        """The held-out batches."""


class Task(Generic[Kind]):
    """One run's recipe and system, and what a task adds to the loop: data, scores, pictures and fields of the spec.

    A task is a folder of `terrafine.training` whose `task.py` exports a subclass as `TASK`.

    Attributes
    ----------
    recipe_type
        Type of its recipes; it lists the held-out scores and the defaults of `[optim]` and `[stop]`.
    recipe, system, hooks
        Of this run.
    settings
        What the system's hooks are given: see `terrafine.nn.task.Settings`.
    """

    recipe_type: ClassVar[type[Recipe]]

    def __init__(self, system: System, recipe: Kind) -> None:
        if system.training is None or system.build is None:
            raise RecipeError(f"system {system.name!r} has no weights to train")
        self.system, self.recipe, self.hooks = system, recipe, system.training
        self.settings: dict[str, Any] = {
            "network": recipe.network,
            "adversary": recipe.adversary,
            "loss": recipe.loss,
            "scale": self.scale,
            "frozen": {},
        }

    @property
    def scale(self) -> int:
        """Scale at which the network is built and described."""
        return self.system.scales[-1]

    def check_extras(self) -> None:
        """Raise MissingExtraError where the data need a package that is not installed."""

    def data(self, root: Path) -> Data:
        """Read the data under a folder; raises DataError."""
        raise NotImplementedError

    def files(self, root: Path) -> Sequence[Path]:
        """Every file under a folder that `data` reads."""
        raise NotImplementedError

    def domain(self, data: Any) -> Mapping[str, Mapping[str, float]]:
        """Quantiles of each input band over the training data, by share; empty where they say nothing."""
        return {}

    def score(self, network: nn.Module, checks: Sequence[Any], step: int) -> dict[str, float]:
        """Held-out scores of a network after a step; checks are the validation batches, on the network's device."""
        raise NotImplementedError

    def draw(self, network: nn.Module, checks: Sequence[Any], path: Path) -> None:
        """Write a picture of some validation batches, where the task has one."""

    def spec_fields(self, network: nn.Module, checks: Sequence[Any]) -> Mapping[str, Any]:
        """Further fields of the published spec, such as the calibration of σ."""
        return {}

    def _built(self) -> nn.Module:
        """The network; RecipeError where its sizes are none."""
        if self.system.build is None:
            raise RecipeError(f"system {self.system.name!r} has no weights to train")
        try:
            return self.system.build(self.recipe.network, self.scale)
        except (ArithmeticError, LookupError, RuntimeError, ValueError) as e:
            raise RecipeError(f"[network] does not fit system {self.system.name!r}: {e}") from e

    def networks(self, root: Path, device: torch.device) -> tuple[nn.Module, dict[str, nn.Module]]:
        """The network and its discriminators as the seed gives them, started from weights where the recipe says so."""
        if self.recipe.adversary and not self.hooks.adversarial:
            raise RecipeError(f"[adversary]: system {self.system.name!r} has no discriminators; expected no such table")
        torch.manual_seed(self.recipe.seed)
        try:
            network = self._built()
            if self.recipe.start:
                _fill(network, self.recipe, root)
            discriminators = self.hooks.discriminators(self.settings)
            self.settings["frozen"] = {
                name: _placed(other, device) for name, other in self.hooks.frozen(self.settings).items()
            }
        except TypeError as e:
            raise RecipeError(f"[network] or [adversary] does not fit system {self.system.name!r}: {e}") from e
        return _placed(network, device), {name: _placed(other, device) for name, other in discriminators.items()}


def task_class(training: Training) -> type[Task[Any]]:
    """The class of a system's task; RecipeError where there is no such folder."""
    try:
        module = importlib.import_module(f"terrafine.training.{training.task}.task")
    except ModuleNotFoundError as e:
        raise RecipeError(f"no training task is called {training.task!r}; expected dem, height or segmentation") from e
    found: type[Task[Any]] = module.TASK
    return found


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    from terrafine.nn.blocks import channels_last

    return channels_last(network, device)


def _fill(network: nn.Module, recipe: Recipe, root: Path) -> None:
    """Take the tensors of `start` that fit by name and shape; NoModelError or RecipeError where none does."""
    path = root / recipe.start if (root / recipe.start).is_file() else Path(recipe.start)
    try:
        _, tensors = load(path if path.is_file() else find_weights(recipe.start))
    except NoModelError as e:
        raise NoModelError(f"start = {recipe.start!r}: no such file under {root}, and {e}") from e
    own, into = network.state_dict(), f"{recipe.start_into}." if recipe.start_into else ""
    fitting = {into + k: v for k, v in tensors.items() if into + k in own and own[into + k].shape == v.shape}
    if not fitting:
        raise RecipeError(f"start = {recipe.start!r}: no tensor fits the network of this recipe; expected its size")
    network.load_state_dict(own | fitting)
