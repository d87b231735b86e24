"""The one validator: a record from a file against declared types, bounds and sizes.

A dataclass declares a table: its annotations are the types, `Annotated[float, Within(0, 1)]` adds bounds. A message
names the file, the table, the key, the value found and what was expected. Nothing that passes has control characters,
numbers that are not finite, or more than a bounded size and depth.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from terrafine.errors import TerrafineError
from terrafine.schema.types import CONTROL, Matches, Table, shown

__all__ = ["MAX_DEPTH", "Field", "build", "conform", "declared", "filled"]

MAX_DEPTH = 24
MAX_TEXT = 4_000
MAX_ITEMS = 100_000
_LARGEST = 1e300
_IS_TABLE = re.compile(r": \[[^\]]*\]$")
_WORDS = {int: "a number without decimals", float: "a number", str: "a text", bool: "true or false"}

Refusal = type[TerrafineError]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table: its annotation, and whether it may be left out."""

    kind: Any
    optional: bool


def declared(table: Any) -> dict[str, Field]:
    """The keys of a table and what each may hold.

    Parameters
    ----------
    table
        A dataclass; a mapping from key to annotation, none of them needed; or a class or function, whose annotated
        parameters with a default are the keys.

    Returns
    -------
    Key -> Field.
    """
    if isinstance(table, Mapping):
        return {key: Field(kind, True) for key, kind in table.items()}
    return dict(_of_annotations(table))


@lru_cache(maxsize=256)
def _of_annotations(table: Any) -> Mapping[str, Field]:
    """The keys of a class or function; evaluating its annotations takes far longer than a check."""
    if is_dataclass(table):
        kinds = get_type_hints(table, include_extras=True)
        return {
            f.name: Field(kinds[f.name], f.default is not MISSING or f.default_factory is not MISSING)
            for f in fields(table)
        }
    call = table.__init__ if inspect.isclass(table) else table
    kinds = get_type_hints(call, include_extras=True)
    parameters = inspect.signature(call).parameters.values()
    return {p.name: Field(kinds[p.name], True) for p in parameters if p.default is not inspect.Parameter.empty}


def filled(table: Any, record: Any, where: str, error: Refusal) -> dict[str, Any]:
    """The checked values of a table, lists as tuples.

    Parameters
    ----------
    table
        As `declared` takes it.
    record
        The table as read.
    where
        File and table, for messages.
    error
        Raised for unknown, missing, mistyped and unbounded values.

    Returns
    -------
    Key -> value, for the keys of the record.

    Raises
    ------
    TerrafineError
        Of the type `error`.
    """
    if not isinstance(record, Mapping):
        raise error(f"{where}: expected a table, found {shown(record)}")
    known = declared(table)
    if extra := sorted(set(record) - set(known), key=str):
        raise error(f"{where}: unknown keys {shown(extra)}; known are {sorted(known)}")
    if missing := sorted(name for name, field in known.items() if not field.optional and name not in record):
        raise error(f"{where}: missing keys {missing}")
    return {name: conform(known[name].kind, value, _at(where, name), error) for name, value in record.items()}


def build(kind: Any, record: Any, where: str, error: Refusal) -> Any:
    """An instance of a dataclass from a table; as `filled`, and errors of the dataclass itself name the file."""
    values = filled(kind, record, where, error)
    try:
        return kind(**values)
    except error as e:
        file = where.rpartition(": [")[0] if str(e).startswith("[") and ": [" in where else where
        raise error(f"{file}: {e}") from e


def conform(kind: Any, value: Any, where: str, error: Refusal, depth: int = 0) -> Any:
    """The value as an annotation states it: lists as tuples, tables of a dataclass as its instance.

    Parameters
    ----------
    kind
        int, float, str, bool, Any, Literal, Annotated, a union, tuple, Sequence, Mapping or a dataclass.
    value
        As read.
    where
        File, table and key, for messages.
    error
        Raised for a value that is none.
    depth
        Of the value in its file.

    Returns
    -------
    The value.

    Raises
    ------
    TerrafineError
        Of the type `error`.
    """
    if depth > MAX_DEPTH:
        raise error(f"{where}: nested more than {MAX_DEPTH} deep; expected a plain table")
    of, parts = get_origin(kind), get_args(kind)
    if of is Annotated:
        return _bounded(kind, value, where, error, depth)
    if of in (Union, UnionType):
        fitting = [part for part in parts if _resembles(part, value)]
        if not fitting:
            raise error(f"{where} = {shown(value)}: expected {_words(kind)}")
        return conform(fitting[0], value, where, error, depth)
    if is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else build(kind, value, where, error)
    if not _resembles(kind, value):
        raise error(f"{where} = {shown(value)}: expected {_words(kind)}")
    return _inside(kind, value, where, error, depth)


def _bounded(kind: Any, value: Any, where: str, error: Refusal, depth: int) -> Any:
    """A value of an annotated type within all its bounds."""
    inner, *bounds = get_args(kind)
    if not _resembles(inner, value):
        raise error(f"{where} = {shown(value)}: expected {_words(kind)}")
    # A text that fits its pattern is also short and plain; the pattern says more of what is wrong.
    for bound in [b for b in bounds if isinstance(b, Matches)]:
        if not bound.holds(value):
            raise error(f"{where} = {shown(value)}: expected {bound.words()}")
    found = conform(inner, value, where, error, depth)
    for bound in bounds:
        if isinstance(bound, Table):
            if found is not None:
                filled(bound.of, found, where, error)
        elif not bound.holds(found):
            raise error(f"{where} = {shown(value)}: expected {bound.words()}")
    return found


def _at(where: str, name: str) -> str:
    """The place of a key in a message: `r.toml: [optim] rate`, `r.toml: seed`, `r.toml: [network] first.blocks`."""
    if _IS_TABLE.search(where):
        return f"{where} {name}"
    return f"{where}.{name}" if ": " in where else f"{where}: {name}"


def _key(name: Any) -> str:
    return name if isinstance(name, str) and name.isidentifier() and len(name) < 40 else shown(name, 60)


def _inside(kind: Any, value: Any, where: str, error: Refusal, depth: int) -> Any:
    """A value of the right type with what it holds checked."""
    of, parts = get_origin(kind), get_args(kind)
    if isinstance(value, str):
        if len(value) > MAX_TEXT or CONTROL.search(value):
            raise error(
                f"{where} = {shown(value)}: expected a text without control characters, up to {MAX_TEXT} characters"
            )
        return value
    if isinstance(value, Mapping | list | tuple) and len(value) > MAX_ITEMS:
        raise error(f"{where}: {len(value)} entries; expected up to {MAX_ITEMS}")
    if isinstance(value, Mapping):
        names = parts[0] if of is Mapping else str
        under = parts[1] if of is Mapping else Any
        for name in value:
            conform(names, name, f"{where}: the name", error, depth + 1)
        return {k: conform(under, v, _at(where, _key(k)), error, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        kinds = _of_entries(kind, len(value))
        entries = zip(kinds, value, strict=True)
        found = [conform(k, v, f"{where}[{i}]", error, depth + 1) for i, (k, v) in enumerate(entries)]
        return found if kind is Any else tuple(found)
    return value


def _of_entries(kind: Any, count: int) -> Sequence[Any]:
    parts = get_args(kind)
    return parts if _is_fixed(kind) else [parts[0] if parts else Any] * count


def _resembles(kind: Any, value: Any) -> bool:
    """Whether a value is of a type, whatever it holds; numbers are finite."""
    of, parts = get_origin(kind), get_args(kind)
    if of is Annotated:
        return _resembles(parts[0], value)
    if of in (Union, UnionType):
        return any(_resembles(part, value) for part in parts)
    if of is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if of in (tuple, Sequence):
        return isinstance(value, list | tuple) and (not _is_fixed(kind) or len(value) == len(parts))
    return _is_of(kind if of is None else of, value)


def _is_of(kind: Any, value: Any) -> bool:
    """The same for a type without arguments."""
    if kind is Any:
        return value is None or isinstance(value, str | bool | Mapping | list | tuple) or _is_number(value)
    if kind in (int, float):
        return _is_number(value) and (kind is float or isinstance(value, int))
    if kind is Mapping or is_dataclass(kind):
        return isinstance(value, Mapping) or (isinstance(kind, type) and isinstance(value, kind))
    return value is None if kind in (None, NoneType) else isinstance(value, kind)


def _is_fixed(kind: Any) -> bool:
    """Whether a list has a stated number of entries."""
    parts = get_args(kind)
    return get_origin(kind) is tuple and not (len(parts) == 2 and parts[1] is Ellipsis)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _words(kind: Any) -> str:
    """A type in words."""
    of, parts = get_origin(kind), get_args(kind)
    if of is None:
        return _WORDS.get(kind, "a finite number, a text, a list or a table" if kind is Any else "a table")
    if of is Annotated:
        return _words(parts[0]) if isinstance(parts[1], Table) else f"{_words(parts[0])}, {parts[1].words()}"
    if of is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if of is Mapping:
        found = "a table" if parts[1] is Any else f"a table, each entry {_words(parts[1])}"
    elif of in (tuple, Sequence):
        found = f"a list{f' of {len(parts)}' if _is_fixed(kind) else ''}, each {_words(parts[0])}"
    else:
        found = " or ".join(_words(part) for part in parts if part not in (None, NoneType))
    return found
