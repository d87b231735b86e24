"""Options whose default is the library's: it is read from the function's signature and shown in the help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from inspect import signature
from typing import Any

import click

__all__ = ["LibraryOption", "library_default", "option_of"]

Command = Callable[..., Any]


def library_default(owner: Any, name: str) -> Any:
    """Return the default of a function's parameter, or of a dataclass's field.

    Parameters
    ----------
    owner
        The function or the dataclass.
    name
        Name of the parameter or field.

    Returns
    -------
    object
        The default; None for a field without one.
    """
    if is_dataclass(owner):
        found = {f.name: f.default for f in fields(owner)}[name]
        return None if found is MISSING else found
    return signature(owner).parameters[name].default


def option_of(owner: Any, name: str, *declarations: str, **more: Any) -> Callable[[Command], Command]:
    """Return a click option with the default of a verb's parameter, or of a field of its options.

    Parameters
    ----------
    owner
        The function or the dataclass.
    name
        Name of the parameter or field.
    declarations
        Flags of the option.
    more
        Further arguments of `click.option`.

    Returns
    -------
    callable
        The decorator of a command.
    """
    default = library_default(owner, name)
    return click.option(*declarations, name, default=default, show_default=default is not None, **more)


class LibraryOption(click.Option):
    """An option that is passed only if the user gives it; its help shows the default of the library.

    Parameters
    ----------
    args
        Arguments of `click.Option`.
    owner
        `module:name` of the function or dataclass that has the default; imported only for the help.
    more
        Further arguments of `click.Option`.
    """

    def __init__(self, *args: Any, owner: str, **more: Any) -> None:
        super().__init__(*args, **{"default": None, **more})
        self.owner = owner

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the line of the help, with the default of the library.

        Parameters
        ----------
        ctx
            The context of the command.

        Returns
        -------
        tuple of two str or None
            The option and its description; None for a hidden option.
        """
        record = super().get_help_record(ctx)
        module, _, name = self.owner.partition(":")
        default = library_default(getattr(import_module(module), name), self.name or "")
        if record is None or default is None:
            return record
        return record[0], f"{record[1]}  [default: {_shown(self, default)}]"


def _shown(option: click.Option, default: Any) -> str:
    if isinstance(default, bool):
        return (option.opts if default else option.secondary_opts)[0].removeprefix("--")
    if isinstance(default, tuple | list):
        return ", ".join(value if isinstance(value, str) else f"{value:g}" for value in default)
    if isinstance(default, int) and default >= 2**30 and default % 2**30 == 0:
        return f"{default // 2**30}GiB"
    return f"{default:g}" if isinstance(default, float) else str(default)
