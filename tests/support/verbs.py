"""The verbs of the command line, those inside groups too, and options of a quick run."""

from __future__ import annotations

import click

__all__ = ["NEAREST", "verbs_of"]

NEAREST = ("--model", "nearest", "--scale", 2, "--quiet")


def verbs_of(group: click.Group) -> list[tuple[str, click.Command]]:
    """Every verb that does something, those inside groups too."""
    inner = [
        (f"{name} {n}", c) for name, g in group.commands.items() if isinstance(g, click.Group) for n, c in verbs_of(g)
    ]
    return [(n, c) for n, c in group.commands.items() if not isinstance(c, click.Group)] + inner
