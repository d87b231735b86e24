"""`terrafine train`: train the model of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.messages import say
from terrafine.cli.output import output
from terrafine.cli.parameter_types import BYTES, DEVICE, human_bytes
from terrafine.errors import UsageError
from terrafine.workflows.train import pack_terrain
from terrafine.workflows.train import train as run

__all__ = ["train"]


@click.command(short_help="Train a model from a recipe.")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@output("DIR", name="out", required=False, overwrite=False, otherwise="runs/RECIPE")
@click.option("--restart", is_flag=True, help="Start from scratch even if DIR holds a checkpoint.")
@option_of(run, "device", "--device", type=DEVICE, metavar="NAME", help="Where it trains: cpu, cuda, cuda:N, mps.")
@option_of(
    run,
    "data_root",
    "--data",
    type=click.Path(path_type=Path),
    envvar="TERRAFINE_DATA",
    show_envvar=True,
    metavar="DIR",
    help="Folder of the data; file names in the recipe are relative to it.",
)
@click.option("--start", metavar="WEIGHTS", help="Weights to start from instead of the recipe's: a file or a name.")
@click.option(
    "--pack", type=click.Path(path_type=Path), metavar="FILE", help="Write the terrain into FILE, train nothing."
)
@click.option("--pack-limit", "limit", type=BYTES, metavar="SIZE", help="Refuse a larger --pack, for example 64MB.")
@click.option(
    "--packed",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Train from a file of --pack, without the data folder.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="Print no progress and no summary.")
def train(recipe: Path, quiet: bool, pack: Path | None, limit: int | None, **options: Any) -> None:
    """Train the model that RECIPE describes and write one safetensors file into DIR.

    RECIPE is a TOML file, or the name of a shipped recipe such as ridgeline-x4.toml or of a variant such as
    jointseg-region.toml. The same recipe, data and seed give the same weights on one CPU core. After an interruption,
    the same command resumes from the last checkpoint.
    """
    if pack is not None:
        size = pack_terrain(recipe, pack, data_root=options["data_root"], limit=limit)
        if not quiet:
            say(f"{pack}: {human_bytes(size)}; train from it with --packed")
        return
    if limit is not None:
        raise UsageError("--pack-limit is of --pack, which is not given; add it, or leave --pack-limit out")
    result = run(recipe, progress=not quiet, **options)
    if not quiet:
        say(f"{result.weights}: {result.steps:,} steps")
        for name, value in result.scores.items():
            say(f"  {name.replace('_', ' ')}: {value:.4f}")
