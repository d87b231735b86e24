"""`terrafine train`: a recipe into weights."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["train"]


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder.  [default: runs/RECIPE]")
@click.option(
    "--data",
    "data_root",
    type=click.Path(path_type=Path),
    envvar="TERRAFINE_DATA",
    show_envvar=True,
    metavar="DIR",
    help="Folder that the recipe's file names start from.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def train(
    recipe: Path, resume: bool, device: str, out: Path | None, data_root: Path | None, threads: int | None, quiet: bool
) -> None:
    """Train the model that RECIPE describes and write one safetensors file.

    The same recipe, data and seed give the same weights on one CPU. A run that was cut off goes on with --resume.
    """
    from terrafine.training.loop import train as run

    raise NotImplementedError(run)
