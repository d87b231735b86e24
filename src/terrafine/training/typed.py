"""A dataclass from a table of a recipe: unknown, missing and mistyped keys are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from terrafine.errors import RecipeError

__all__ = ["filled"]


def filled(kind: Any, record: Any, where: str) -> Any:
    """An instance of a dataclass from a table of a recipe.

    Parameters
    ----------
    kind
        The dataclass; its annotations state the types.
    record
        The table.
    where
        File and table, for messages.

    Raises
    ------
    RecipeError
        For what is no table, and for unknown, missing and mistyped keys.
    """
    if not isinstance(record, dict):
        raise RecipeError(f"{where}: expected a table, found {record!r}")
    known = {f.name: f for f in fields(kind)}
    if extra := sorted(set(record) - set(known)):
        raise RecipeError(f"{where}: unknown keys {extra}; known are {sorted(known)}")
    needed = [n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := sorted(set(needed) - set(record)):
        raise RecipeError(f"{where}: missing keys {missing}")
    types = get_type_hints(kind)
    for key, value in record.items():
        if not _fits(types[key], value):
            raise RecipeError(f"{where}: {key} = {value!r}: expected {_words(types[key])}")
    return kind(**record)


_LARGEST = 1e300  # which infinity and what is no number are not
_WORDS = {int: "a number without decimals", float: "a number", str: "a text", bool: "true or false"}


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value is of the type that a field states, as is what a table or a list holds; numbers are finite."""
    of, parts = get_origin(kind), get_args(kind)
    if of is UnionType:
        return any(_fits(part, value) for part in parts)
    if of is Mapping:
        return isinstance(value, Mapping) and all(_fits(parts[1], v) for v in value.values())
    if of in (tuple, Sequence):
        kinds = parts if of is tuple else parts * len(value) if isinstance(value, list | tuple) else ()
        return isinstance(value, list | tuple) and len(value) == len(kinds) and all(map(_fits, kinds, value))
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind in (int, float, Any) and isinstance(value, int | float):
        return abs(value) <= _LARGEST and (kind is not int or isinstance(value, int))
    return kind is Any or isinstance(value, kind)


def _words(kind: Any) -> str:
    """A type in words."""
    of, parts = get_origin(kind), get_args(kind)
    if of is UnionType:
        return " or ".join(_words(part) for part in parts if part is not type(None))
    if of is Mapping:
        return "a table" if parts[1] is Any else f"a table, each entry {_words(parts[1])}"
    if of is tuple:
        return f"a list of {len(parts)}, each {_words(parts[0])}"
    if of is Sequence:
        return f"a list, each {_words(parts[0])}"
    return _WORDS.get(kind, "a finite number" if kind is Any else "a table")
