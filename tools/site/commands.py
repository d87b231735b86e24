"""The reference of commands: what `terrafine VERB --help` prints, for every verb."""

from __future__ import annotations

import click

from terrafine.cli import main

HEAD = """# Commands

What `terrafine VERB --help` prints, generated from the program. Exit codes are in the first block.
"""

_WIDTH = {"terminal_width": 100, "max_content_width": 100}


def reference() -> str:
    """The page, in Markdown."""
    settings = main.context_settings | _WIDTH  # click keeps the help option of the first context of a command
    context = click.Context(main, info_name="terrafine", **settings)
    return "\n".join([HEAD, _block("terrafine", context), *_below(main, context)])


def _below(group: click.Group, parent: click.Context) -> list[str]:
    parts = list[str]()
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=parent, **_WIDTH)
        parts.append(_block(context.command_path, context))
        if isinstance(command, click.Group):
            parts += _below(command, context)
    return parts


def _block(title: str, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{context.get_help()}\n```\n"
