"""-q, -v and --log-file, which every verb has: what the library logs, on standard error and in a file."""

from __future__ import annotations

import logging
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from terrafine.cli.messages import QUIET, SAID
from terrafine.errors import OutputError

__all__ = ["add_log_options", "log_error"]

_LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} [A-Z]+ ")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_root = logging.getLogger("terrafine")
_root.addHandler(logging.NullHandler())  # without any handler, Python repeats warnings on standard error


def add_log_options(command: click.Command) -> None:
    """Give a verb, or each verb of a group, -q, -v and --log-file; one that has --quiet keeps it, as -q too.

    Parameters
    ----------
    command
        The verb or the group.
    """
    inner: dict[str, click.Command] = getattr(command, "commands", {})
    for verb in inner.values():
        add_log_options(verb)
    if inner:
        return
    quiet = next((p for p in command.params if p.name == "quiet"), None)
    if quiet is not None and "-q" not in quiet.opts:
        quiet.opts.insert(0, "-q")
    taken = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
    for option in (*([] if quiet else [_QUIET]), _VERBOSE, _LOG_FILE):
        if not taken.intersection(option.opts):
            command.params.append(option)


def log_error(message: str) -> None:
    """Write an error that a verb ends with, and its traceback, into the log file.

    Parameters
    ----------
    message
        The error.
    """
    if _files():
        _root.error("%s", message, exc_info=sys.exc_info())


def _be_quiet(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        ctx.meta[QUIET] = True


def _be_verbose(ctx: click.Context, _: click.Parameter, count: int) -> None:
    if count and not ctx.resilient_parsing:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        handler.addFilter(lambda record: record.name != SAID)
        _use(ctx, handler, logging.INFO if count == 1 else logging.DEBUG)


def _open_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None or ctx.resilient_parsing:
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise OutputError(f"{path}: is not usable as a log file; expected a file in a folder that exists")
    if path.exists() and not _is_log(path):
        raise OutputError(f"{path}: exists and is not a log of Terrafine, so nothing is added to it; give another name")
    try:
        handler = logging.FileHandler(path, encoding="utf-8", delay=False)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); give another name") from None
    handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S%z"))
    _use(ctx, handler, logging.DEBUG)
    from terrafine.version import __version__

    words = ctx.meta.get("terrafine.words", [])
    _root.info("terrafine %s: terrafine %s", __version__, shlex.join(words))


def _is_log(path: Path) -> bool:
    """Whether a file is empty, or starts as a log of ours."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(64)
    return not start or _LINE.match(start) is not None


def _use(ctx: click.Context, handler: logging.Handler, level: int) -> None:
    """Log to a handler until the whole command ends."""
    before = _root.level
    handler.setLevel(level)
    _root.addHandler(handler)
    _root.setLevel(min(level, before or level))

    def end() -> None:
        _root.removeHandler(handler)
        _root.setLevel(before)
        handler.close()

    ctx.find_root().call_on_close(end)


def _files() -> list[Any]:
    return [h for h in _root.handlers if isinstance(h, logging.FileHandler)]


_QUIET = click.Option(
    ["-q", "--quiet"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_be_quiet,
    help="Print no result; notes and errors stay, and so does --json.",
)
_VERBOSE = click.Option(
    ["-v", "--verbose"],
    count=True,
    expose_value=False,
    is_eager=True,
    callback=_be_verbose,
    help="Report each step on standard error; -vv reports more.",
)
_LOG_FILE = click.Option(
    ["--log-file"],
    type=click.Path(path_type=Path),
    metavar="FILE",
    expose_value=False,
    is_eager=True,
    callback=_open_file,
    help="Add what is done, printed and refused to FILE, with times.",
)
