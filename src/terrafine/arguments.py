"""Check the arguments of a verb against the kinds that it declares, before anything is read.

A kind is read from the annotation: `float | None`, `Sequence[PathLike]`, `Mapping[str, int] | None`. A new argument is
checked as soon as it has one. What an annotation cannot state (a range, a choice) the verb checks itself.
"""

from __future__ import annotations

import ast
import functools
import math
import numbers
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from inspect import Signature, signature
from typing import Annotated, Any, get_origin, get_type_hints

from terrafine.errors import UsageError

__all__ = ["check_arguments", "check_fields", "check_kind", "check_share", "fits"]

_MAY_BE_EMPTY = {"allow_folders", "masks", "unknown", "multipliers", "shares", "files"}  # empty is a statement: none
_ANY_NUMBER = {"nodata"}  # NaN and infinity mark missing cells
_BOOL = "True or False"
_LONGEST = 60  # characters of a value in a message
_PLAIN = (type(None), bool, int, float, str, bytes, list, tuple, dict, set, os.PathLike)
_UNREAD = {"Any", "Progress"}  # what the verb itself, or the object that it goes to, must tell
_ALIASES = {"Candidates": "PathLike | Sequence[PathLike] | Mapping[str, PathLike]"}


def check_arguments(verb: Callable[..., Any], accepted: Any, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
    """Check the arguments of a call against the kinds that the verb declares.

    Parameters
    ----------
    verb
        The function that is called; its annotations are strings.
    accepted
        TypedDict of the keywords that it takes besides its named parameters, or None.
    args, given
        Positional arguments, and arguments by name.

    Raises
    ------
    UsageError
        If an argument is missing or unknown, or a value is of another kind.
    """
    declared = signature(verb)
    try:
        bound = declared.bind(*args, **given).arguments
    except TypeError as error:
        own = ", ".join(p.name for p in declared.parameters.values() if p.kind is not p.VAR_KEYWORD)
        raise UsageError(f"{verb.__name__}: {error}; its arguments are {own}") from None
    more = {} if accepted is None else accepted.__annotations__
    for name, value in bound.items():
        parameter = declared.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            for key in value.keys() & more.keys():
                check_kind(key, value[key], getattr(more[key], "__forward_arg__", more[key]))
        elif parameter.kind is parameter.VAR_POSITIONAL:
            for one in value:
                check_kind(name, one, parameter.annotation)
        elif parameter.annotation is not Signature.empty:
            check_kind(name, value, parameter.annotation)
            if is_dataclass(value) and not isinstance(value, type) and not _has_schema(type(value)):
                check_fields(value)


def _has_schema(kind: type) -> bool:
    """Whether fields are of types with bounds, which the reader of files checks and this module does not know."""
    try:
        hints = get_type_hints(kind, include_extras=True).values()
    except NameError:  # a name that is imported for type checkers alone; those of schemas never are
        return False
    return any(get_origin(hint) is Annotated for hint in hints)


def check_fields(options: Any) -> None:
    """Check every field of a dataclass against its annotation.

    Parameters
    ----------
    options
        The dataclass.

    Raises
    ------
    UsageError
        If a value is of another kind.
    """
    for field in fields(options):
        value = getattr(options, field.name)
        if value is not field.default:
            check_kind(field.name, value, field.type)


def check_kind(name: str, value: Any, annotation: Any) -> None:
    """Check that a value is of a kind that an annotation names, and not empty where empty means nothing.

    Parameters
    ----------
    name
        The argument, for messages.
    value
        Its value.
    annotation
        The annotation as text; another object is not checked.

    Raises
    ------
    UsageError
        If it is not.
    """
    if not fits(value, annotation, name):
        words = dict.fromkeys(text for text, _ in _kinds(annotation) if text)
        raise UsageError(f"{_shown(name, value, words)}; expected {' or '.join(words)}")
    if not (isinstance(annotation, str) and _kinds(annotation)):
        return
    if _is_empty(value) and name not in _MAY_BE_EMPTY:
        raise UsageError(f"{_shown(name, value)}: is empty; expected at least one entry, or leave it out")


def fits(value: Any, annotation: Any, name: str = "") -> bool:
    """Return whether a value is of a kind that an annotation names.

    Parameters
    ----------
    value
        The value.
    annotation
        The annotation as text.
    name
        The argument; some may be NaN or infinite.

    Returns
    -------
    bool
        True also for an annotation that names no kind.
    """
    kinds = _kinds(annotation) if isinstance(annotation, str) else ()
    return not kinds or any(right(value) and _sound(name, value) for _, right in kinds)


def _shown(name: str, value: Any, words: Collection[str] = ()) -> str:
    if not isinstance(value, _PLAIN) or any(text[:1].isupper() and text != _BOOL for text in words):
        return f"{name}: found a {type(value).__name__}"
    text = " ".join(repr(value).split())
    return f"{name}={text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'}"


def _sound(name: str, value: Any) -> bool:
    """Numbers are finite, except those that mark missing cells."""
    return name in _ANY_NUMBER or not isinstance(value, numbers.Real) or math.isfinite(value)


Kind = tuple[str, Callable[[Any], bool]]
"""What is expected, in words, "" for None; and whether a value is that."""


@functools.cache
def _kinds(annotation: str) -> tuple[Kind, ...]:
    """The alternatives of an annotation; empty where any value may be right, or the verb must tell."""
    found = tuple(map(_kind, _alternatives(ast.parse(annotation, mode="eval").body)))
    return () if None in found else tuple(kind for kind in found if kind is not None)


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from (*_alternatives(node.left), *_alternatives(node.right))
    elif isinstance(node, ast.Name) and node.id in _ALIASES:
        yield from _alternatives(ast.parse(_ALIASES[node.id], mode="eval").body)
    else:
        yield node


def _kind(node: ast.expr) -> Kind | None:
    if isinstance(node, ast.Constant) and node.value is None:
        return "", lambda value: value is None
    name = ast.unparse(node)
    if isinstance(node, ast.Subscript) and name not in _SIMPLE:
        return _container(ast.unparse(node.value), node.slice)
    return _SIMPLE.get(name) or (None if name in _UNREAD else _instance(name))


def _container(name: str, inner: ast.expr) -> Kind | None:
    if name == "Callable":
        return "a function", callable
    if name == "NDArray":
        return "an array of numbers", _is_array
    elements = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    many = name == "Sequence" or (name == "tuple" and ast.unparse(elements[-1]) == "...")
    parts = [_kinds(ast.unparse(e)) for e in (elements[:1] if many else elements)]
    if name not in ("Mapping", "Sequence", "tuple") or not all(parts):
        return None
    words = [" or ".join(text for text, _ in part) for part in parts]
    if many:
        return f"a list of which each is {words[0]}", lambda v: _is_list(v) and all(_any_fits(parts[0], e) for e in v)
    if name == "tuple":
        text = f"{len(parts)} values, each {words[0]}"
        return text, lambda v: _is_list(v) and len(v) == len(parts) and all(map(_any_fits, parts, v))
    return (
        f"{{key: value}}, each key {words[0]} and each value {words[1]}",
        lambda v: (
            isinstance(v, Mapping) and all(_any_fits(parts[0], k) and _any_fits(parts[1], e) for k, e in v.items())
        ),
    )


def _any_fits(kinds: tuple[Kind, ...], value: Any) -> bool:
    return any(right(value) for _, right in kinds) and _sound("", value) and not _is_empty(value)


def _is_array(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in {*"iuf"} and value.size > 0


def _is_empty(value: Any) -> bool:
    return isinstance(value, Sequence | Mapping) and not isinstance(value, str | bytes) and not value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def _instance(name: str) -> Kind:
    return name, lambda value: any(kind.__name__ == name for kind in type(value).__mro__)


def _is_bool(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_")  # numpy's too


def _is_text(value: Any) -> bool:
    """Text that a file system can have as a name, and that is not blank."""
    try:
        return isinstance(value, str) and bool(value.strip()) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _is_path(value: Any) -> bool:
    return _is_text(os.fspath(value)) if isinstance(value, str | os.PathLike) else False


_SIMPLE: dict[str, Kind] = {
    "PathLike": ("a path", _is_path),
    "os.PathLike[str]": ("a path", lambda value: isinstance(value, os.PathLike) and _is_path(value)),
    "bool": (_BOOL, _is_bool),
    "float": ("a number", lambda value: isinstance(value, numbers.Real) and not _is_bool(value)),
    "int": ("a whole number", lambda value: isinstance(value, numbers.Integral) and not _is_bool(value)),
    "str": ("text", _is_text),
}


def check_share(max_bright: float | None) -> None:
    """Check the largest share of an image that may look like cloud or snow, before any image is opened.

    Parameters
    ----------
    max_bright
        The share; None for the default.

    Raises
    ------
    UsageError
        If it is not a share.
    """
    if max_bright is not None and not 0 <= max_bright <= 1:
        raise UsageError(f"max_bright={max_bright:g}; expected a share of the image, 0 to 1")
