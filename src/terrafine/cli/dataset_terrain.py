"""`terrafine dataset height` and `terrafine dataset pairs`: training data for heights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.output import FLAGS

__all__ = ["height", "pairs"]

_HOLD_OUT = click.option(
    "--hold-out", type=float, default=0.25, show_default=True, metavar="SHARE", help="Rows in the south that score."
)
_STEPS = click.option("--steps", type=int, default=1000, show_default=True, metavar="N", help="Of the training.")
_NAME = click.option("--name", metavar="NAME", help="Name of the weights.  [default: that of the folder]")
_OUT = click.option(*FLAGS, "out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
_QUIET = click.option("--quiet", is_flag=True, help="Print nothing.")


@click.command(short_help="Samples for heights from images: images beside a DEM, held out by geography.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option(
    "--heights",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="DEM",
    help="Heights under the images: one DEM for all, or one for each; may be repeated.",
)
@_OUT
@click.option("--sensor", metavar="NAME", help="What the numbers of the images mean.  [default: found]")
@_HOLD_OUT
@_STEPS
@_NAME
@_QUIET
def height(images: tuple[Path, ...], heights: tuple[Path, ...], out: Path, quiet: bool, **options: Any) -> None:
    """Write IMAGE and the heights under it into a new folder, with a recipe for `terrafine train`.

    IMAGE has red, green and blue, such as a composite of `terrafine fetch`.
    """
    from terrafine.workflows.dataset_terrain import build_height_dataset

    done = build_height_dataset(list(images), list(heights), out, **options)
    if not quiet:
        share = 100 * done.held_out / max(1, done.cells)
        click.echo(f"{done.folder}: {done.pairs} pairs, {done.cells:,} cells, {share:.0f} % of them held out")
        click.echo(f"train with: terrafine train {done.recipe} --data {done.folder}")


@click.command(short_help="Samples for one product: a fine reference and the product's measured sensor model.")
@click.argument("coarse", type=click.Path(path_type=Path))
@click.argument("references", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="REFERENCE...")
@_OUT
@_HOLD_OUT
@_STEPS
@_NAME
@_QUIET
def pairs(coarse: Path, references: tuple[Path, ...], out: Path, quiet: bool, **options: Any) -> None:
    """Measure the product of COARSE on the first REFERENCE, and write references, product file and a recipe.

    The recipe trains `ridgeline2` further, with coarse sides that are simulated from REFERENCE by the measured model.
    """
    from terrafine.workflows.dataset_terrain import build_pair_dataset

    done = build_pair_dataset(coarse, list(references), out, **options)
    if not quiet:
        click.echo(f"{done.folder}: {done.references} references; {done.product.name} states the measured product")
        click.echo(f"train with: terrafine train {done.recipe} --data {done.folder}")
