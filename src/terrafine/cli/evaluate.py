"""`terrafine evaluate`: a prediction and a reference into a verdict."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["evaluate"]


@click.command(short_help="Compare a prediction with a reference.")
@click.argument("prediction", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where results.json and the report go.")
def evaluate(prediction: Path, reference: Path, out: Path | None) -> None:
    """Compare PREDICTION with REFERENCE on one grid and report the errors."""
    raise NotImplementedError((prediction, reference, out))
