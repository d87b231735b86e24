"""The one way to name an output: the last argument of every verb, or -o before or after the inputs.

`inputs_and_output` is for verbs that take any number of inputs, `output` for verbs that take a fixed number. Both add
`-o`, and where a file is written `--overwrite/--no-overwrite`; both refuse an output that is named twice or not at all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["FLAGS", "inputs_and_output", "output"]

Command = Callable[..., Any]
FLAGS = ("-o", "--output", "--out")
"""Names of the option; the last is its older one."""


def inputs_and_output(
    inputs: str, made: str, *, into: str = "sources", name: str = "destination", overwrite: bool = True
) -> Callable[[Command], Command]:
    """Any number of inputs and, after them or with -o, the output.

    Parameters
    ----------
    inputs, made
        What the help calls an input and the output, as SRC and OUT.tif.
    into, name
        Parameters of the verb that receive the inputs, as a tuple of text, and the output, as a Path.
    overwrite
        Whether the output is a file, to which `--overwrite` applies.

    Returns
    -------
    callable
        A decorator of the verb.
    """

    def decorate(verb: Command) -> Command:
        @functools.wraps(verb)
        def wrapped(words: tuple[tuple[str, ...], Path], named_output: Path | None, **given: Any) -> Any:
            sources, out = words
            if overwrite:
                _require_replaceable(out, given.pop("overwrite"), sources)
            return verb(**{into: sources, name: out}, **given)

        def split(ctx: click.Context, _: click.Parameter, words: tuple[str, ...]) -> Any:
            return None if ctx.resilient_parsing else _split(words, ctx.params["named_output"], made)

        optioned = _option(made)(_overwriting(wrapped) if overwrite else wrapped)
        shown = f"{inputs}... {made}"
        return click.argument("words", nargs=-1, type=click.Path(), metavar=shown, callback=split)(optioned)

    return decorate


def output(
    made: str, *, name: str = "destination", required: bool = True, overwrite: bool = True, otherwise: str = ""
) -> Callable[[Command], Command]:
    """The output, after a fixed number of inputs or with -o.

    Parameters
    ----------
    made
        What the help calls it, as OUT.onnx.
    name
        Parameter of the verb that receives it, a Path, or None where it is not required and not named.
    required
        Whether it must be named.
    overwrite
        Whether it is a file, to which `--overwrite` applies.
    otherwise
        Where it goes by default, for the help.

    Returns
    -------
    callable
        A decorator of the verb.
    """

    def decorate(verb: Command) -> Command:
        @functools.wraps(verb)
        def wrapped(last_word: Path | None, named_output: Path | None, **given: Any) -> Any:
            if overwrite:
                chosen = given.pop("overwrite")
                if last_word is not None:
                    _require_replaceable(last_word, chosen, ())
            return verb(**{name: last_word}, **given)

        def one(ctx: click.Context, _: click.Parameter, last: Path | None) -> Path | None:
            return None if ctx.resilient_parsing else _either(last, ctx.params["named_output"], made, required)

        optioned = _option(made, otherwise)(_overwriting(wrapped) if overwrite else wrapped)
        shown = made if required else f"[{made}]"
        kind = click.Path(path_type=Path)
        return click.argument("last_word", required=False, type=kind, metavar=shown, callback=one)(optioned)

    return decorate


def _option(made: str, otherwise: str = "") -> Callable[[Command], Command]:
    text = "The output, instead of naming it last." + (f"  [default: {otherwise}]" if otherwise else "")
    kind = click.Path(path_type=Path)
    return click.option(*FLAGS, "named_output", type=kind, metavar=made, is_eager=True, help=text)


def _overwriting(verb: Command) -> Command:
    return click.option(
        "--overwrite/--no-overwrite",
        default=None,
        help="Replace an output that exists, once the new one is whole; or refuse to.  [default: replace what "
        "Terrafine wrote, refuse another raster]",
    )(verb)


def _split(words: tuple[str, ...], named: Path | None, made: str) -> tuple[tuple[str, ...], Path]:
    """Inputs and output; an error of usage where either is not named, or the output twice."""
    if named is not None:
        last = words[-1] if words else None
        if last is None:
            raise click.UsageError(f"no input is named; -o {named} is the output")
        twice = f"the output is named twice, {last} and -o {named}; name one"
        if len(words) > 1 and Path(last) == named:  # the only word is an input, also where it is to be overwritten
            raise click.UsageError(twice)
        if len(words) > 1 and _is_plain(last) and not Path(last).exists():
            raise click.UsageError(f"{last}: no such file. If it was meant as the output, {twice}")
        return words, named
    if not words:
        raise click.UsageError(f"no input and no output is named; expected inputs and, after them, {made}")
    if len(words) == 1:
        raise click.UsageError(f"{words[0]}: the only file named; expected the output {made} after it, or -o {made}")
    return words[:-1], Path(words[-1])


def _either(last: Path | None, named: Path | None, made: str, required: bool) -> Path | None:
    """The output that is named last or with -o; an error of usage where it is both, or must be named and is not."""
    if last is not None and named is not None:
        raise click.UsageError(f"the output is named twice, {last} and -o {named}; name one")
    if last is None and named is None and required:
        raise click.UsageError(f"no output is named; expected {made} after the inputs, or -o {made}")
    return named if last is None else last


def _is_plain(word: str) -> bool:
    """Whether a word can only be a path on this machine: no address, no GDAL connection string, no pattern."""
    return ":" not in word and not word.startswith("/vsi") and not set(word) & set("*?[")


def _require_replaceable(out: Path, overwrite: bool | None, inputs: tuple[str, ...]) -> None:
    if not out.exists() or out.is_dir():
        return
    from terrafine.workflows.outputs.destinations import require_replaceable

    require_replaceable(out, overwrite, inputs)
