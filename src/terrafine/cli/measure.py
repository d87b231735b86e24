"""`terrafine measure`: the sensor model of a DEM from a finer reference."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.advice import as_options
from terrafine.cli.defaults import option_of
from terrafine.cli.messages import note, say
from terrafine.cli.output import output
from terrafine.workflows.measure import measure_product

if TYPE_CHECKING:
    from terrafine.workflows.measure import Measurement

__all__ = ["measure"]


@click.command(short_help="Measure the sensor model of a DEM on a finer reference.")
@click.argument("coarse", type=click.Path())
@click.argument("reference", type=click.Path())
@output("PRODUCT.toml", name="out", required=False, otherwise="none is written")
@click.option("--name", metavar="NAME", help="Name of the product.  [default: that of the product file]")
@click.option(
    "--reference-product",
    metavar="NAME|FILE",
    help="Product that REFERENCE is, so that its own blur and noise are accounted for.",
)
@click.option(
    "--reference-points", is_flag=True, help="Heights of REFERENCE are samples at points, not means over cells."
)
@option_of(measure_product, "draws", "--draws", type=int, metavar="N", help="Bootstrap samples.")
@option_of(measure_product, "seed", "--seed", type=int, metavar="N", help="Random seed of the bootstrap.")
@click.option("--assume-crs", metavar="CRS", help="CRS of files that have none.")
@click.option(
    "--elevation-unit", metavar="UNIT", help="Unit of the heights of files that do not state it: m, ft, us-ft."
)
@click.option("--vertical-datum", metavar="NAME", help="Vertical datum of files that do not state it.")
@click.option("--quiet", is_flag=True, help="Print no table.")
def measure(coarse: str, reference: str, quiet: bool, **options: Any) -> None:
    """Measure how the cells of COARSE relate to the ground: point spread, noise, correlation and rounding.

    COARSE is a DEM and REFERENCE a finer one of the same ground. The two are first registered by one shift.
    `terrafine dem --product PRODUCT.toml` uses the result.
    """
    done = measure_product(coarse, reference, **options)
    if not quiet:
        _print(done)


def _print(done: Measurement) -> None:
    product = done.product
    if done.path is not None:
        say(f"{done.path}: product {product.key}")
    say(
        f"{done.cells:,} cells in {done.blocks} blocks; moved {-done.shift_m[0]:+.1f} m east and "
        f"{-done.shift_m[1]:+.1f} m north, relief correlation {done.correlation:.3f}"
    )
    for field in fields(product.sensor):
        value = getattr(product.sensor, field.name)
        error = getattr(product.uncertainty, field.name, None)
        shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value:.3g}"
        say(f"{field.name:<18} {shown}" + ("" if error is None else f" ± {error:.2g}"))
    for remark in done.notes:
        note(f"note: {as_options(remark, click.get_current_context().command)}")
