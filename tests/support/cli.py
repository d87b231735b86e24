"""The command line, run in this process."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import CliRunner, Result

from terrafine.cli import main

Run = Callable[..., Result]


def terrafine(*arguments: object) -> Result:
    """`terrafine("dem", a, b)` is `terrafine dem a b` in this process."""
    return CliRunner().invoke(main, [str(a) for a in arguments])
