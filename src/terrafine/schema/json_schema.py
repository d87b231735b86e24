"""JSON Schema of a declared table, so that other programs can check what Terrafine writes."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from terrafine.schema.check import declared
from terrafine.schema.types import Items, Matches, Within

__all__ = ["DIALECT", "attribute_texts", "schema_of"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: dict[Any, str] = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}


def schema_of(table: Any) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass: types, bounds, patterns, defaults and meaning of each field.

    Parameters
    ----------
    table
        A dataclass whose annotations declare its fields, with a docstring that describes them.

    Returns
    -------
    dict[str, Any]
        The schema of an object without further keys.

    Raises
    ------
    TypeError
        For an annotation that has no JSON Schema.
    """
    meanings = attribute_texts(table)
    defaults = {f.name: _default(f) for f in dataclasses.fields(table)}
    properties: dict[str, Any] = {}
    for name, field in declared(table).items():
        properties[name] = _of(field.kind) | {"description": meanings.get(name, "")}
        if field.optional:
            properties[name]["default"] = defaults[name]
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, field in declared(table).items() if not field.optional],
        "additionalProperties": False,
    }


def attribute_texts(table: Any) -> dict[str, str]:
    """Return the meaning of each attribute as its docstring states it.

    Parameters
    ----------
    table
        A class with a docstring in NumPy style.

    Returns
    -------
    dict[str, str]
        Name to text, in one line.
    """
    text = inspect.getdoc(table) or ""
    section = re.search(r"^(?:Attributes|Parameters)\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", text, re.S | re.M)
    found: dict[str, str] = {}
    for entry in re.finditer(r"^(\w[^\n]*)\n((?:[ ]{4}[^\n]*\n?)+)", section.group(1) if section else "", re.M):
        meaning = " ".join(entry.group(2).split())
        found.update({name.strip(): meaning for name in entry.group(1).split(",")})
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return list(value) if isinstance(value, tuple) else value


def _of(kind: Any) -> dict[str, Any]:
    """The schema of an annotation."""
    of, parts = get_origin(kind), get_args(kind)
    if of is None and (kind is Any or kind in _PLAIN):
        return {} if kind is Any else {"type": _PLAIN[kind]}
    if of is Annotated:
        found = _of(parts[0])
        for bound in parts[1:]:
            found |= _bound(bound, found.get("type"))
        return found
    if of in (Literal, Union, UnionType):
        return {"enum": list(parts)} if of is Literal else {"anyOf": [_of(part) for part in parts]}
    if of is Mapping:
        return {"type": "object", "additionalProperties": _of(parts[1])}
    if of in (tuple, Sequence) and (len(parts) == 1 or parts[1:] == (Ellipsis,)):
        return {"type": "array", "items": _of(parts[0])}
    raise TypeError(f"{kind!r} has no JSON Schema; add it to terrafine.schema.json_schema")


def _bound(bound: Any, kind: Any) -> dict[str, Any]:
    """The keywords of a bound."""
    if isinstance(bound, Matches):
        return {"pattern": f"^(?:{bound.pattern})$"}
    if isinstance(bound, Items):
        names = ("minProperties", "maxProperties") if kind == "object" else ("minItems", "maxItems")
        return dict(zip(names, (bound.low, bound.high), strict=True))
    if isinstance(bound, Within):
        low = {"exclusiveMinimum" if bound.above else "minimum": bound.low}
        high = {"exclusiveMaximum" if bound.below else "maximum": bound.high}
        return (low if math.isfinite(bound.low) else {}) | (high if math.isfinite(bound.high) else {})
    raise TypeError(f"the bound {bound!r} has no JSON Schema; add it to terrafine.schema.json_schema")
