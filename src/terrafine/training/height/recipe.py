"""Recipes of systems that learn heights from images, and choices that are named in the recipe's file name."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from terrafine.errors import RecipeError
from terrafine.training.adversarial import Schedule
from terrafine.training.dem.recipe import _fill
from terrafine.training.height.data import MIRRORS

__all__ = ["ImageData", "ImagePatches", "ImageRecipe", "base_of", "read_image_recipe", "read_tables"]


@dataclass(frozen=True, slots=True)
class ImageData:
    """Either pairs of rasters, held out by geography, or a folder of tiles in the published layout.

    pairs      image -> heights, under the data folder; sensor of the images, found where it is not stated
    held_out   name of an image without its suffix -> fraction of rows [from, to); gap in cells
    images, heights  globs of tiles that pair by the number at the end of their names; `white`: reflectance of 255
    splits     dataset_splits.json; `split` 1-4 is one of its splits, `blocks` a geographic split by block_m metres
    """

    pairs: Mapping[str, str] = field(default_factory=dict)
    sensor: str = ""
    held_out: Mapping[str, Sequence[float]] = field(default_factory=dict)
    gap: int = 64
    images: str = ""
    heights: str = ""
    white: float = 0.3
    splits: str = "dataset_splits.json"
    split: str = "1"
    block_m: float = 50_000.0
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class ImagePatches:
    """size in cells; batch; least share with heights; mirror none, sun or all; light: see `ImageSampler`."""

    size: int
    batch: int
    least: float = 1.0
    mirror: str = "all"
    light: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """The whole of a run."""

    system: str
    name: str
    version: str
    seed: int
    data: ImageData
    patches: ImagePatches
    optim: Schedule
    network: Mapping[str, Any] = field(default_factory=dict)
    adversary: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, float] = field(default_factory=dict)
    validate_every: int = 500
    checkpoint_every: int = 500
    validation_tiles: int = 64

    def to_json(self) -> str:
        """Canonical JSON of every setting, defaults included."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_tables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML recipe, or of BASE-CHOICE-CHOICE.toml, which need not exist beside BASE.toml.

    BASE.toml lists its choices as [choices.NAME], each the tables and keys it changes; "" or [] takes a pair or a
    held-out band away. The choices of a file name are
    applied in their order and the recipe's `name` becomes the file's. Raises RecipeError with the choices there are.
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
    for choice in wanted:
        if choice not in choices:
            raise RecipeError(f"{path}: {base.name} has no choice {choice!r}; it has {', '.join(choices) or 'none'}")
        record = _merged(record, choices[choice])
    for table in ("pairs", "held_out"):
        if table in record.get("data", {}):
            record["data"][table] = {k: v for k, v in record["data"][table].items() if v}
    return record | {"name": path.stem} if wanted else record


def base_of(path: Path) -> Path:
    """BASE.toml of BASE-CHOICE-CHOICE.toml: the longest name that is a file; the path itself where none is."""
    base = path
    while not base.is_file() and "-" in base.stem:
        base = base.with_name(base.stem.rpartition("-")[0] + base.suffix)
    return base if base.is_file() else path


def read_image_recipe(path: str | os.PathLike[str]) -> ImageRecipe:
    """Read and check a recipe; RecipeError names the file, the table and the key."""
    record = read_tables(path)
    for table, kind in (("data", ImageData), ("patches", ImagePatches), ("optim", Schedule)):
        if table in record:
            record[table] = _fill(kind, record[table], f"{path}: [{table}]")
    recipe: ImageRecipe = _fill(ImageRecipe, record, str(path))
    _check(recipe, path)
    return recipe


def _check(recipe: ImageRecipe, path: str | os.PathLike[str]) -> None:
    d, p, o = recipe.data, recipe.patches, recipe.optim
    tiled = bool(d.images or d.heights)
    checks = (
        (bool(d.pairs) == tiled, "[data] needs either pairs, or images and heights"),
        (bool(d.pairs) and not d.held_out, "[data] held_out is empty: without held-out ground no score means anything"),
        (
            tiled and d.split not in ("1", "2", "3", "4", "blocks"),
            f"[data] split = {d.split!r}: expected 1-4, blocks",
        ),
        (p.size < 16 or p.batch < 1, f"[patches] size = {p.size}, batch = {p.batch}: expected 16 or more, 1 or more"),
        (p.mirror not in MIRRORS, f"[patches] mirror = {p.mirror!r}: expected one of {', '.join(MIRRORS)}"),
        (not 0 < p.least <= 1, f"[patches] least = {p.least}: expected above 0, up to 1"),
        (o.steps < 1 or o.rate <= 0, f"[optim] steps = {o.steps}, rate = {o.rate}: expected above 0"),
        (o.decay not in ("cosine", "plateau", "none"), f"[optim] decay = {o.decay!r}: cosine, plateau or none"),
        (not 0 <= o.ema < 1, f"[optim] ema = {o.ema}: expected from 0 to below 1"),
        (min(recipe.checkpoint_every, recipe.validate_every) < 1, "checkpoint_every and validate_every: 1 or more"),
    )
    if problems := [text for bad, text in checks if bad]:
        raise RecipeError(f"{path}: {'; '.join(problems)}")


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `change`, tables merged key by key."""
    out = copy.deepcopy(dict(base))
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else copy.deepcopy(value)
    return out
