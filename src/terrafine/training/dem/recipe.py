"""A recipe: one TOML file that says everything about a training run."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from terrafine.errors import RecipeError
from terrafine.training.balance import Balancing
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.optical import OpticalFamily
from terrafine.training.dem.radar import RadarFamily

__all__ = ["Data", "Optim", "Patches", "Recipe", "read_recipe"]


@dataclass(frozen=True, slots=True)
class Data:
    """files: glob under the data folder -> weight; held_out: terrain -> fraction of rows [from, to); gap in cells."""

    files: Mapping[str, float]
    held_out: Mapping[str, Sequence[float]]
    gap: int = 64
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class Patches:
    """size in coarse cells; batch; coarsen: factor -> probability; exaggerate: heights × exp(±this)."""

    size: int
    batch: int
    coarsen: Mapping[str, float] = field(default_factory=lambda: {"1": 1.0})
    exaggerate: float = 0.0
    mirror: bool = True


@dataclass(frozen=True, slots=True)
class Optim:
    """`method` adamw or muon, with warm-up; `decay` cosine to nothing or exponential to `final`; EMA of the weights."""

    steps: int
    rate: float
    warmup: int = 200
    decay: str = "cosine"
    final: float = 0.01
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    beta2: float = 0.99
    method: str = "adamw"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The whole of a run. `digest` is over its content, not its layout.

    scales   where one set of weights serves several: drawn in turn, step by step; `scale` is the one scored
    start    shipped weights, or a file, whose fitting tensors are taken to begin with, into the part of the network
             that `start_into` names, where it names one
    """

    system: str
    name: str
    version: str
    scale: int
    seed: int
    data: Data
    patches: Patches
    degrade: Family
    optim: Optim
    network: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, float] = field(default_factory=dict)
    balance: Balancing | None = None
    radar: RadarFamily | None = None
    optical: OpticalFamily | None = None
    scales: Sequence[int] = ()
    start: str = ""
    start_into: str = ""
    validate_every: int = 500
    checkpoint_every: int = 500
    validation_patches: int = 64

    def to_json(self) -> str:
        """Canonical JSON of every setting, defaults included; a table that is not there is left out."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, sort_keys=True)

    @property
    def stem(self) -> str:
        """Name of the weights file: NAME-xK, or NAME where the weights serve several scales."""
        return self.name if self.scales else f"{self.name}-x{self.scale}"

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


_TABLES: dict[str, Any] = {
    "data": Data,
    "patches": Patches,
    "degrade": Family,
    "optim": Optim,
    "balance": Balancing,
    "radar": RadarFamily,
    "optical": OpticalFamily,
}


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read and check a TOML recipe; RecipeError names the file, the table and the key."""
    path = Path(path)
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RecipeError(f"{path}: cannot be read ({e.strerror}); expected a TOML recipe") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise RecipeError(f"{path}: no TOML ({e})") from e
    for table, kind in _TABLES.items():
        if table in record:
            record[table] = _fill(kind, record[table], f"{path}: [{table}]")
    recipe: Recipe = _fill(Recipe, record, str(path))
    _check(recipe, path)
    return recipe


def _fill(kind: Any, record: Any, where: str) -> Any:
    if not isinstance(record, dict):
        raise RecipeError(f"{where}: expected a table, found {record!r}")
    known = {f.name: f for f in fields(kind)}
    if extra := sorted(set(record) - set(known)):
        raise RecipeError(f"{where}: unknown keys {extra}; known are {sorted(known)}")
    needed = [n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := sorted(set(needed) - set(record)):
        raise RecipeError(f"{where}: missing keys {missing}")
    for key, value in record.items():
        kind_of = known[key].type
        if kind_of in ("int", "float") and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RecipeError(f"{where}: {key} = {value!r}: expected a number")
    return kind(**record)


def _check(recipe: Recipe, path: Path) -> None:
    o, p = recipe.optim, recipe.patches
    problems = [
        text
        for bad, text in (
            (recipe.scale < 2, f"scale = {recipe.scale}: expected 2 or more"),
            (bool(recipe.scales) and recipe.scale not in recipe.scales, f"scale {recipe.scale} is not among scales"),
            (o.steps < 1, f"[optim] steps = {o.steps}: expected 1 or more"),
            (o.method not in ("adamw", "muon"), f"[optim] method = {o.method!r}: expected adamw or muon"),
            (o.rate <= 0, f"[optim] rate = {o.rate}: expected above 0"),
            (not 0 <= o.ema < 1, f"[optim] ema = {o.ema}: expected from 0 to below 1"),
            (o.decay not in ("cosine", "exponential"), f"[optim] decay = {o.decay!r}: expected cosine or exponential"),
            (p.size < 8 or p.batch < 1, f"[patches] size = {p.size}, batch = {p.batch}: expected 8 or more, 1 or more"),
            (not recipe.data.held_out, "[data] held_out is empty: without held-out terrain no score means anything"),
            (
                recipe.checkpoint_every < 1 or recipe.validate_every < 1,
                "checkpoint_every and validate_every: 1 or more",
            ),
        )
        if bad
    ]
    if recipe.balance is not None:
        problems += recipe.balance.problems(recipe.loss)
    if problems:
        raise RecipeError(f"{path}: {'; '.join(problems)}")
