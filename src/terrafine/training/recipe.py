"""Recipes: one TOML file states everything about a training run; one reader for the recipes of every system."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from terrafine.errors import RecipeError
from terrafine.training.balance import Balancing
from terrafine.training.schedule import Optim, Stop
from terrafine.training.typed import filled

__all__ = ["Recipe", "base_of", "held_out_problems", "read_recipe", "read_tables"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_REMOVABLE = ("files", "pairs", "held_out")  # tables of [data] of which a choice takes an entry away by "" or []


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the recipes of all tasks state. `digest` is over the content, not the layout of the file.

    Attributes
    ----------
    system
        Folder of `terrafine.systems` that is trained.
    name, version
        Of the published weights.
    seed
        Of everything random.
    data, patches
        Tables that the task defines.
    optim, stop, balance
        Optimiser and rate; which weights are published, and early stopping; weights of loss terms that adapt.
    network, adversary, loss
        Arguments of the system's networks and losses.
    start
        Weights to start from: the name of shipped ones, or a file, also under the data folder. Tensors that fit by
        name and shape are taken, into the part of the network that `start_into` names.
    validate_every, checkpoint_every
        Steps between validations and between checkpoints.
    """

    system: str
    name: str
    version: str
    seed: int
    data: Any
    patches: Any
    optim: Optim
    stop: Stop = field(default_factory=Stop)
    balance: Balancing | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    adversary: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    start_into: str = ""
    validate_every: int = 500
    checkpoint_every: int = 500

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
    def prepared(cls, record: dict[str, Any], where: str) -> dict[str, Any]:
        """The tables as read, changed where a task writes them in another way; raises RecipeError."""
        return record

    def problems(self) -> list[str]:
        """What is invalid; in words."""
        found = (
            []
            if _NAME.fullmatch(self.name)
            else [f"name = {self.name!r}: expected a name of letters, digits, dots, dashes and underscores, not a path"]
        )
        if min(self.validate_every, self.checkpoint_every) < 1:
            found.append("validate_every and checkpoint_every: expected 1 or more")
        if not 0 <= self.seed < 2**32:
            found.append(f"seed = {self.seed}: expected 0 to {2**32 - 1}")
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
        """Canonical JSON of every setting, defaults included; a table that is absent is left out."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


Kind = TypeVar("Kind", bound=Recipe)


def read_recipe(path: str | os.PathLike[str], kind: type[Kind]) -> Kind:
    """Read and check a recipe, or a choice of one.

    Parameters
    ----------
    path
        BASE.toml, or BASE-CHOICE-CHOICE.toml; see `read_tables`.
    kind
        The task's recipe type.

    Raises
    ------
    RecipeError
        Naming the file, the table and the key.
    """
    record = kind.prepared(read_tables(path), str(path))
    for table, defaults in kind.DEFAULTS.items():
        if isinstance(record.get(table, {}), dict):
            record[table] = {**defaults, **record.get(table, {})}
    for table, of in kind.TABLES.items():
        if table in record:
            record[table] = filled(of, record[table], f"{path}: [{table}]")
    recipe: Kind = filled(kind, record, str(path))
    if problems := recipe.problems():
        raise RecipeError(f"{path}: {'; '.join(problems)}")
    return recipe


def read_tables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML recipe, or of BASE-CHOICE-CHOICE.toml, which need not exist beside BASE.toml.

    BASE.toml lists its choices as [choices.NAME], each the tables and keys it changes; "" or [] removes a file, a pair
    or a held-out band. The choices of a file name are applied in their order, and the recipe's `name` becomes the
    file's. Raises RecipeError with the choices there are.
    """
    path = Path(path)
    base = base_of(path)
    wanted = path.stem[len(base.stem) + 1 :].split("-") if base.stem != path.stem else []
    try:
        record = tomllib.loads(base.read_text(encoding="utf-8"))
    except OSError as e:
        raise RecipeError(f"{path}: cannot be read ({e.strerror}); expected a TOML recipe") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise RecipeError(f"{base}: no TOML ({e})") from e
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


def base_of(path: Path) -> Path:
    """BASE.toml of BASE-CHOICE-CHOICE.toml: the longest name that is a file; the path itself where none is."""
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


def held_out_problems(held_out: Mapping[str, Sequence[float]], gap: int) -> list[str]:
    """What a recipe's held-out bands of rows cannot be, in words."""
    bad = [name for name, band in held_out.items() if len(band) != 2 or not 0 <= band[0] < band[1] <= 1]
    found = [f"[data.held_out] {n!r} = {list(held_out[n])}: expected [from, to], 0 ≤ from < to ≤ 1" for n in bad]
    return found + ([f"[data] gap = {gap}: expected 0 or more"] if gap < 0 else [])
