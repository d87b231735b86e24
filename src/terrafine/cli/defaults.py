"""Options whose default is the library's: it is read from the function's signature and shown in the help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from inspect import signature
from typing import Any

import click

__all__ = ["library_default", "option_of"]

Command = Callable[..., Any]


def library_default(owner: Any, name: str) -> Any:
    """Default of a function's parameter, or of a dataclass's field."""
    if is_dataclass(owner):
        found = {f.name: f.default for f in fields(owner)}[name]
        return None if found is MISSING else found
    return signature(owner).parameters[name].default


def option_of(owner: Any, name: str, *declarations: str, **more: Any) -> Callable[[Command], Command]:
    """A click option for the parameter `name` of a verb, or for a field of its options, with the library's default."""
    default = library_default(owner, name)
    return click.option(*declarations, name, default=default, show_default=default is not None, **more)
