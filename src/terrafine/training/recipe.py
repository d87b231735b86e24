"""Recipes: one TOML file describes a training run; one reader serves the recipes of every system."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from terrafine.errors import RecipeError
from terrafine.schema.check import build, filled
from terrafine.schema.files import read_toml
from terrafine.schema.types import Count, DataPath, Interval, Items, Matches, Name, Within
from terrafine.training.balance import Balancing
from terrafine.training.schedule import Optim, Stop

__all__ = ["HeldOut", "Recipe", "base_recipe", "read_recipe", "read_tables"]

HeldOut = Annotated[Mapping[DataPath, Annotated[Sequence[float], Interval(0, 1, strict=True)]], Items(0, 10_000)]
"""Name of a terrain or an image -> fraction of its rows [from, to)."""
_REMOVABLE = ("files", "pairs", "held_out")  # tables of [data] of which a choice takes an entry away by "" or []


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings that the recipes of all tasks have.

    Attributes
    ----------
    system
        Folder of `terrafine.systems` that is trained.
    name, version
        Name and version of the published weights.
    seed
        Seed of everything random.
    data, patches
        Tables that the task defines.
    optim
        Optimiser and rate.
    stop
        Selection of the published weights, and early stopping.
    balance
        Weights of loss terms that adapt, or None.
    network, adversary, loss
        Arguments of the system's networks and losses.
    start
        Weights to start from: name of shipped ones, or a file, also under the data folder. Tensors that fit by name and
        shape are loaded.
    start_into
        Child of the network that the weights are loaded into; the network itself where empty.
    validate_every, checkpoint_every
        Steps between validations and between checkpoints.
    """

    system: Name
    name: Name
    version: Annotated[str, Matches(r"[A-Za-z0-9.+_-]{1,40}", "a version such as 1.0")]
    seed: Annotated[int, Within(0, 2**32 - 1)]
    data: Any
    patches: Any
    optim: Optim
    stop: Stop = field(default_factory=Stop)
    balance: Balancing | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    adversary: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    start_into: Annotated[str, Matches(r"[A-Za-z0-9_.]{0,200}", "the name of a part of the network")] = ""
    validate_every: Count = 500
    checkpoint_every: Count = 500

    TABLES: ClassVar[Mapping[str, Any]] = {"optim": Optim, "stop": Stop, "balance": Balancing}
    """Table -> its dataclass; a task adds its own."""
    DEFAULTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Table -> keys that differ from the dataclass's defaults for this task."""
    SCORES: ClassVar[Sequence[str]] = ()
    """Held-out scores of the task."""
    HIGHER: ClassVar[Sequence[str]] = ()
    """Those of which a higher one is better."""
    SIGNED: ClassVar[Sequence[str]] = ()
    """Those that are best at 0, by which no weights are kept."""

    @classmethod
    def prepare_tables(cls, record: dict[str, Any], where: str) -> dict[str, Any]:
        """Convert tables that a task writes in another form.

        Parameters
        ----------
        record
            Tables as read.
        where
            Path of the recipe, for messages.

        Returns
        -------
        dict[str, Any]
            The converted tables.

        Raises
        ------
        RecipeError
            For tables of another form.
        """
        return record

    def problems(self) -> list[str]:
        """Find settings that are invalid, as one message for each."""
        found: list[str] = []
        if self.stem.lower() == "checkpoint":
            found.append(f"name = {self.name!r}: the run folder has a file of that name; expected another one")
        ranked = [name for name in self.SCORES if name not in self.SIGNED]
        found += self.optim.problems() + self.stop.problems(ranked, self.HIGHER, self.optim.decay)
        return found + ([] if self.balance is None else self.balance.problems(self.loss))

    @property
    def stem(self) -> str:
        """Name of the weights file, without its suffix."""
        return self.name

    def to_json(self) -> str:
        """Return canonical JSON of every setting, defaults included; a table that is absent is left out."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`, which does not depend on the layout of the file."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


Kind = TypeVar("Kind", bound=Recipe)


def read_recipe(path: str | os.PathLike[str], kind: type[Kind], tables: Mapping[str, Any] | None = None) -> Kind:
    """Read and check a recipe, or a choice of one.

    Parameters
    ----------
    path
        BASE.toml, or BASE-CHOICE-CHOICE.toml; see `read_tables`.
    kind
        Recipe type of the task.
    tables
        Table -> what it may hold, where a system declares that: `network`, `adversary` and `loss`.

    Returns
    -------
    Kind
        The recipe.

    Raises
    ------
    RecipeError
        For an unreadable or invalid recipe; the message names the file, the table and the key.
    """
    record = kind.prepare_tables(read_tables(path), str(path))
    for table, defaults in kind.DEFAULTS.items():
        if isinstance(record.get(table, {}), dict):
            record[table] = {**defaults, **record.get(table, {})}
    for table, of in {**kind.TABLES, **(tables or {})}.items():
        if of is None or table not in record:
            continue
        where = f"{path}: [{table}]"
        if is_dataclass(of) and table in kind.TABLES:
            record[table] = build(of, record[table], where, RecipeError)
        else:
            filled(of, record[table], where, RecipeError)
    recipe: Kind = build(kind, record, str(path), RecipeError)
    if problems := recipe.problems():
        raise RecipeError(f"{path}: {'; '.join(problems)}")
    return recipe


def read_tables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the tables of a TOML recipe, or of a choice of one, BASE-CHOICE-CHOICE.toml.

    A file of a choice need not exist beside BASE.toml. BASE.toml lists its choices as [choices.NAME], each with the
    tables and keys it changes; "" or [] removes a file, a pair or a held-out band. The choices of a file name are
    applied in their order, and the recipe's `name` becomes the file's.

    Parameters
    ----------
    path
        Path of the recipe.

    Returns
    -------
    dict[str, Any]
        Tables and keys.

    Raises
    ------
    RecipeError
        For a file that cannot be read or is not TOML, and for an unknown choice.
    """
    path = Path(path)
    base = base_recipe(path)
    wanted = path.stem[len(base.stem) + 1 :].split("-") if base.stem != path.stem else []
    record = read_toml(base, RecipeError, "a TOML recipe")
    choices = record.pop("choices", {})
    if not isinstance(choices, dict) or not all(isinstance(change, dict) for change in choices.values()):
        raise RecipeError(f"{base}: [choices.NAME]: expected tables of the keys that a choice changes")
    for choice in wanted:
        if choice not in choices:
            raise RecipeError(f"{path}: {base.name} has no choice {choice!r}; it has {', '.join(choices) or 'none'}")
        record = _merged(record, choices[choice])
    data = record.get("data", {})
    for table in _REMOVABLE:
        if isinstance(data, dict) and isinstance(data.get(table), dict):
            data[table] = {k: v for k, v in data[table].items() if v not in ("", [])}
    return record | {"name": path.stem} if wanted else record


def base_recipe(path: Path) -> Path:
    """Find BASE.toml of BASE-CHOICE-CHOICE.toml, the longest name that is a file.

    Parameters
    ----------
    path
        Path of a recipe or of a choice.

    Returns
    -------
    Path
        The base recipe; the path itself where none exists.
    """
    base = path
    while not base.is_file() and "-" in base.stem.lstrip("-"):
        base = base.with_name(base.stem.rpartition("-")[0] + base.suffix)
    return base if base.is_file() else path


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `change`, tables merged key by key."""
    out = copy.deepcopy(dict(base))
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else copy.deepcopy(value)
    return out
