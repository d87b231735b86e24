"""`terrafine models`: what can be named after `--model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from terrafine.cli.kinds import human_bytes
from terrafine.cli.table import columns

if TYPE_CHECKING:
    from terrafine.systems import ModelRef

__all__ = ["models"]

HEADER = ("name", "scale", "kind", "inputs", "weights", "size", "RMSE/bicubic", "licence")


@click.command()
def models() -> None:
    """List the models that are shipped."""
    from terrafine.systems import list_models

    refs = list_models()
    click.echo(columns(HEADER, [_row(ref) for ref in refs]))


def _row(ref: ModelRef) -> tuple[str, ...]:
    raise NotImplementedError(ref)
