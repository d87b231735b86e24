"""Interface between the training loop and the tasks: recipe, data, networks, scores."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import nn

from terrafine.errors import NoModelError, RecipeError, WeightsError
from terrafine.nn.outline import outline
from terrafine.nn.system import System
from terrafine.nn.task import Training
from terrafine.nn.weights import load
from terrafine.systems import find_weights
from terrafine.training.batches import Batches
from terrafine.training.recipe import Recipe

__all__ = ["Task", "task_class"]

Kind = TypeVar("Kind", bound=Recipe)


class Task(Generic[Kind]):
    """Recipe and system of a run, with the data, scores, pictures and spec fields that its task adds to the loop.

    A task is a folder of `terrafine.training` whose `task.py` exports a subclass as `TASK`.

    Parameters
    ----------
    system
        System that is trained.
    recipe
        Recipe of the run.

    Attributes
    ----------
    recipe, system
        Of this run.
    recipe_type
        Type of its recipes; it lists the held-out scores and the defaults of `[optim]` and `[stop]`.
    hooks
        Training functions of the system.
    packed
        File of `terrafine train --pack` that is read in place of the data folder; None for the folder.
    device
        Device of the networks, for data that is made there.
    settings
        Settings that the system's functions get, as `terrafine.nn.task.Settings`.

    Raises
    ------
    RecipeError
        For a system without weights.
    """

    recipe_type: ClassVar[type[Recipe]]
    packed: Path | None = None
    device: torch.device = torch.device("cpu")

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
        """Check that the packages that the data need are installed."""

    def data(self, root: Path) -> Batches[Any]:
        """Read the data under a folder.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Batches
            Training and validation batches.

        Raises
        ------
        DataError
            For missing or unusable data.
        """
        raise NotImplementedError

    def prepare(self, network: nn.Module, data: Any) -> None:
        """Set what gradients do not train, before the first step.

        Parameters
        ----------
        network
            Network on its device, changed in place.
        data
            Training and validation data.
        """

    def files(self, root: Path) -> Sequence[Path]:
        """List every file that `data` reads.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Sequence[Path]
            Paths of the files.
        """
        raise NotImplementedError

    def pack(self, root: Path, path: Path, limit: int | None = None) -> int:
        """Write the training data into one file, where the task has such a form.

        Parameters
        ----------
        root
            Data folder.
        path
            File to write.
        limit
            Bytes that it may have; None for any.

        Returns
        -------
        int
            Bytes of the file.

        Raises
        ------
        RecipeError
            For a task whose data cannot be packed.
        """
        raise RecipeError(f"data of the system {self.system.name!r} cannot be packed; only elevation can")

    def score(self, network: nn.Module, checks: Sequence[Any], step: int) -> dict[str, float]:
        """Compute the held-out scores of a network.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches on the network's device.
        step
            Number of steps done.

        Returns
        -------
        dict[str, float]
            Scores by name.
        """
        raise NotImplementedError

    def draw(self, network: nn.Module, checks: Sequence[Any], path: Path) -> None:
        """Write a picture of some validation batches, where the task has one.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches on the network's device.
        path
            PNG to write.
        """

    def spec_fields(self, network: nn.Module, checks: Sequence[Any]) -> Mapping[str, Any]:
        """Compute further fields of the published spec, such as the calibration of σ.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches on the network's device.

        Returns
        -------
        Mapping[str, Any]
            Values by field of the spec.
        """
        return {}

    def _built(self) -> nn.Module:
        """The network; RecipeError where its sizes are none."""
        if self.system.build is None:
            raise RecipeError(f"system {self.system.name!r} has no weights to train")
        try:
            for scale in (*getattr(self.recipe, "scales", ()), self.scale):
                outline(self.system.build, self.recipe.network, scale)
            return self.system.build(self.recipe.network, self.scale)
        except (ArithmeticError, LookupError, RuntimeError, ValueError, WeightsError) as e:
            raise RecipeError(f"[network] does not fit system {self.system.name!r}: {e}") from e

    def networks(self, root: Path, device: torch.device) -> tuple[nn.Module, dict[str, nn.Module]]:
        """Build the network and its discriminators from the seed, and load the weights to start from.

        Parameters
        ----------
        root
            Data folder.
        device
            Device of the networks.

        Returns
        -------
        tuple[nn.Module, dict[str, nn.Module]]
            The network, and discriminators by name.

        Raises
        ------
        RecipeError
            For arguments that do not fit the system, or weights that do not fit the network.
        NoModelError
            Where the weights to start from do not exist.
        """
        if self.recipe.adversary and not self.hooks.adversarial:
            raise RecipeError(f"[adversary]: system {self.system.name!r} has no discriminators; expected no such table")
        self.settings["data_root"] = root
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
    """Import the task of a system's training.

    Parameters
    ----------
    training
        Training of the system.

    Returns
    -------
    type[Task[Any]]
        Class of the task.

    Raises
    ------
    RecipeError
        Where there is no such task.
    """
    try:
        module = importlib.import_module(f"terrafine.training.{training.task}.task")
    except ModuleNotFoundError as e:
        known = "dem, height, segmentation or scenes"
        raise RecipeError(f"no training task is called {training.task!r}; expected {known}") from e
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
