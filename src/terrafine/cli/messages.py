"""What a verb prints: text on standard output, notes on standard error, JSON; and all of it in the log file."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

__all__ = ["QUIET", "SAID", "json_error", "json_option", "note", "print_json", "say"]

SAID = "terrafine.said"
"""Logger of what was printed; the log file has it, standard error does not repeat it."""

QUIET = "terrafine.quiet"
"""Key of the context of a verb that is to print no result."""

_PRINTED = "terrafine.json"  # key of the context of a verb that has printed its document
_log = logging.getLogger(SAID)
_log.addHandler(logging.NullHandler())  # else Python prints what no handler takes on standard error, a second time


def say(text: str) -> None:
    """Print a result on standard output, unless the verb runs with -q.

    Parameters
    ----------
    text
        The result.
    """
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get(QUIET):
        click.echo(text)
    _log.info("%s", text)


def note(text: str) -> None:
    """Print a remark or a warning on standard error.

    Parameters
    ----------
    text
        The remark.
    """
    click.echo(text, err=True)
    _log.warning("%s", text)


def json_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--json` to a verb.

    Parameters
    ----------
    verb
        The verb, which receives `as_json` and prints one document by `print_json`, nothing else.

    Returns
    -------
    callable
        The verb with the option.
    """
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(verb)


def print_json(data: Any) -> None:
    """Print one JSON document on standard output.

    Parameters
    ----------
    data
        Mappings, lists, numbers, text; what is not finite becomes null, a path text.
    """
    if (context := click.get_current_context(silent=True)) is not None:
        context.meta[_PRINTED] = True
    click.echo(json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False))


def json_error(context: click.Context, words: Sequence[str], kind: str, message: str, code: int) -> None:
    """Print an error as the document of a verb that was asked for JSON, unless it has printed one.

    Parameters
    ----------
    context
        Context of the program.
    words
        The words of the command.
    kind, message, code
        Name of the error, its message and its exit code.
    """
    if "--json" in words and not context.meta.get(_PRINTED):
        print_json({"error": {"kind": kind, "message": message, "exit_code": code}})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return float(value) if value - value == 0 else None
    if value is None or isinstance(value, bool | int | str):
        return value
    inner = getattr(value, "tolist", None)  # numpy's arrays and numbers
    return _plain(inner()) if callable(inner) else str(value)
