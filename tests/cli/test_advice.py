"""An option that a message advises is an option that exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import terrafine
from terrafine.cli import main

ROOT = Path(terrafine.__file__).parent
ADVISED = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")


def options() -> set[str]:
    """Every long option of every verb, and of the group."""
    commands: list[click.Command] = [main, *main.commands.values()]
    return {name.lstrip("-") for c in commands for p in c.params for name in (*p.opts, *p.secondary_opts)} | {"help"}


def messages(source: str) -> Iterator[str]:
    """The text of everything that is raised."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield from (c.value for c in ast.walk(node.exc) if isinstance(c, ast.Constant) and isinstance(c.value, str))


def advised(source: str) -> set[str]:
    """Long options that the messages of a module name."""
    return {name for text in messages(source) for name in ADVISED.findall(text)}


MODULES = [p for p in sorted(ROOT.rglob("*.py")) if "raise " in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_option_that_a_message_names_exists(path: Path) -> None:
    assert advised(path.read_text(encoding="utf-8")) <= options()


def test_the_check_sees_an_option_in_a_message() -> None:
    assert advised("raise ValueError(f'{x}: give it with --no-such-thing, or --tile')") == {"no-such-thing", "tile"}
    assert "tile" in options()
    assert "no-such-thing" not in options()
