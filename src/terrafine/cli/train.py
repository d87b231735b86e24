"""`terrafine train`: a recipe into weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["train"]


@click.command(short_help="Train the model that a recipe describes.")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("--restart", is_flag=True, help="Start over where --out holds a checkpoint.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder.  [default: runs/RECIPE]")
@click.option(
    "--data",
    "data_root",
    type=click.Path(path_type=Path),
    envvar="TERRAFINE_DATA",
    default=Path(),
    show_envvar=True,
    metavar="DIR",
    help="Folder that the recipe's file names start from.  [default: here]",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def train(
    recipe: Path, restart: bool, device: str, out: Path | None, data_root: Path, threads: int | None, quiet: bool
) -> None:
    """Train the model that RECIPE describes and write one safetensors file.

    RECIPE is a file, or the name of a shipped one, as ridgeline-x4.toml, or of a choice of it, as jointseg-region.toml.
    The same recipe, data and seed give the same weights on one CPU. The same command goes on
    with a run that was cut off.
    """
    from terrafine.training.start import train as run

    result = run(
        recipe,
        data_root=data_root,
        out=out or Path("runs") / recipe.stem,
        device=device,
        resume=not restart,
        threads=threads,
        progress=None if quiet else _Steps(),
    )
    if not quiet:
        click.echo(f"{result.weights}: {result.steps:,} steps")
        for name, value in result.scores.items():
            click.echo(f"  {name.replace('_', ' ')}: {value:.4f}")


class _Steps:
    """A bar of training steps with the latest losses and scores beside it."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, step: int, steps: int, values: dict[str, float]) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=steps, initial=step - 1, unit="step", dynamic_ncols=True, disable=None)
        self._bar.set_postfix({k: f"{v:.4g}" for k, v in values.items()}, refresh=False)
        self._bar.update(step - self._bar.n)
        if step == steps:
            self._bar.close()
