"""`terrafine train`: a recipe into weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import option_of
from terrafine.workflows.train import DEVICES
from terrafine.workflows.train import train as run

__all__ = ["train"]


@click.command(short_help="Train the model that a recipe describes.")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("--restart", is_flag=True, help="Start from scratch where --out holds a checkpoint.")
@option_of(run, "device", "--device", type=click.Choice(DEVICES))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder.  [default: runs/RECIPE]")
@option_of(
    run,
    "data_root",
    "--data",
    type=click.Path(path_type=Path),
    envvar="TERRAFINE_DATA",
    show_envvar=True,
    metavar="DIR",
    help="Folder that the recipe's file names start from.",
)
@click.option("--start", metavar="WEIGHTS", help="A file or the name of weights to start from, not the recipe's.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def train(recipe: Path, quiet: bool, **options: Any) -> None:
    """Train the model that RECIPE describes and write one safetensors file.

    RECIPE is a file, or the name of a shipped one, as ridgeline-x4.toml, or of a variant of it, as
    jointseg-region.toml. The same recipe, data and seed give the same weights on one CPU core. The same command resumes
    a run that was cut off.
    """
    result = run(recipe, progress=not quiet, **options)
    if not quiet:
        click.echo(f"{result.weights}: {result.steps:,} steps")
        for name, value in result.scores.items():
            click.echo(f"  {name.replace('_', ' ')}: {value:.4f}")
