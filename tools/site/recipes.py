"""The reference of recipes, from the types that check them: each key with its kind, bounds, default and meaning."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any

from terrafine.schema.types import Table
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.height.recipe import ImageRecipe
from terrafine.training.recipe import Recipe
from terrafine.training.scenes.recipe import SceneRecipe
from terrafine.training.segmentation.recipe import SampleRecipe

TASKS: dict[str, type[Recipe]] = {
    "Elevation": DemRecipe,
    "Height from an image": ImageRecipe,
    "Impervious surface": SampleRecipe,
    "Impervious surface from scenes with partial labels": SceneRecipe,
}
HEAD = """# Recipes

A recipe is one TOML file that states a whole training run; [the guide](../guides/training.md) explains how to use
one. The tables below are generated from the types that check a recipe, so every key, bound and default here is the
one that `terrafine train` applies. Keys of `[network]`, `[adversary]` and `[loss]` belong to the system: its
model card and the shipped recipes show them.
"""


def reference() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    shared = [(name, kind) for name, kind in Recipe.TABLES.items() if dataclasses.is_dataclass(kind)]
    parts.append("## Every task\n")
    parts.append(_top(Recipe, skip={"data", "patches", *Recipe.TABLES}))
    parts += [_table(name, kind, {}) for name, kind in shared]
    for title, task in TASKS.items():
        own = {f.name for f in dataclasses.fields(task)} - {f.name for f in dataclasses.fields(Recipe)}
        parts.append(f"## {title}\n\nScores that `[stop] best_by` may name: {_names(task.SCORES)}.\n")
        parts.append(_top(task, keep=own - set(task.TABLES)))
        for name, kind in task.TABLES.items():
            if name not in Recipe.TABLES and dataclasses.is_dataclass(kind):
                parts.append(_table(name, kind, task.DEFAULTS.get(name, {})))
        if changed := {t: task.DEFAULTS[t] for t in task.DEFAULTS if t in Recipe.TABLES}:
            lines = [f"`[{t}] {k} = {_literal(v)}`" for t, keys in changed.items() for k, v in keys.items()]
            parts.append("Other defaults than above: " + ", ".join(lines) + ".\n")
    return "\n".join(parts)


def _names(names: Any) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _top(kind: type, keep: set[str] | None = None, skip: frozenset[str] | set[str] = frozenset()) -> str:
    rows = [r for r in rows_of(kind, {}) if (keep is None or r[0] in keep) and r[0] not in skip]
    return _markdown(rows) if rows else ""


def _table(name: str, kind: Any, defaults: Mapping[str, Any]) -> str:
    first = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    first = re.sub(r"^A recipe's `\[\w+\]`: (\w)", lambda m: m.group(1).upper(), first)
    return f"### `[{name}]`\n\n{first}\n\n{_markdown(list(rows_of(kind, defaults)))}"


def _markdown(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {kind} | {default} | {meaning} |" for key, kind, default, meaning in rows]
    return "\n".join(lines) + "\n"


def rows_of(kind: Any, defaults: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(key, kind of value, default, meaning) of each field of a dataclass."""
    hints = typing.get_type_hints(kind, include_extras=True)
    meanings = attributes(kind)
    for f in dataclasses.fields(kind):
        default = defaults.get(f.name, _default(f))
        meaning = re.sub(r"\s*\[\d+\]_", "", meanings.get(f.name, ""))
        yield f.name, _kind(hints[f.name]), _literal(default), meaning.replace("|", "\\|")


def _default(f: Any) -> Any:
    if f.default_factory is not MISSING:
        made = f.default_factory()
        return MISSING if dataclasses.is_dataclass(made) else made
    return f.default


def _literal(value: Any) -> str:
    """A default as TOML writes it; a dash where the key is required, nothing where the table may be absent."""
    if value is MISSING or value is None:
        return "absent" if value is None else "required"
    if isinstance(value, Mapping):
        return "`{" + ", ".join(f'"{k}" = {v}' for k, v in value.items()) + "}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    shown = list(value) if isinstance(value, tuple) else value
    return f"`{json.dumps(shown)}`"


def _kind(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        base, *notes = typing.get_args(hint)
        words = "; ".join(n.words() for n in notes if not isinstance(n, Table))
        return f"{_kind(base)}{', ' + words if words else ''}".replace("|", "\\|")
    if origin is typing.Literal:
        return " or ".join(_literal(v) for v in typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(a) for a in typing.get_args(hint) if a is not type(None))
    if origin is not None:
        return _compound(origin, typing.get_args(hint))
    if dataclasses.is_dataclass(hint):
        return "table"
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "any value"}
    return plain.get(hint, "table")


def _compound(origin: Any, args: tuple[Any, ...]) -> str:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table: {_kind(args[0])} → {_kind(args[1])}"
    inner = [a for a in args if a is not Ellipsis]
    if len(inner) > 1:
        return "list of " + " and ".join(_kind(a) for a in inner)
    return f"list of: {_kind(inner[0])}" if inner else "list"


def attributes(kind: Any) -> dict[str, str]:
    """Meaning of each attribute of a class and of what it inherits, from the NumPy sections of their docstrings."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        text = inspect.cleandoc(owner.__doc__ or "")
        section = re.search(r"^(?:Attributes|Parameters)\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", text, re.S | re.M)
        if not section:
            continue
        for entry in re.finditer(r"^(\S[^\n]*)\n((?:[ ]{4}[^\n]*(?:\n|$)|\n(?=[ ]{4}))+)", section.group(1), re.M):
            meaning = " ".join(line.strip() for line in entry.group(2).splitlines() if line.strip())
            for name in entry.group(1).partition(":")[0].split(","):
                found[name.strip()] = meaning
    return found
