"""`terrafine change`: two elevation models of one ground into their difference and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.messages import note, say
from terrafine.cli.options import creation_option
from terrafine.cli.output import output

__all__ = ["change"]


@click.command(short_help="Measure elevation change between two epochs, with volumes and intervals.")
@click.argument("before", type=click.Path())
@click.argument("after", type=click.Path())
@output("CHANGE.tif")
@click.option("--zones", metavar="VECTOR", help="Polygons that volumes are summed by; ground outside counts as stable.")
@click.option("--zone-field", metavar="FIELD", help="The field that names them.  [default: all are one zone]")
@click.option("--stable", metavar="VECTOR", help="Polygons of stable ground.  [default: outside the zones]")
@click.option(
    "--coregistration/--no-coregistration",
    "coregister",
    default=True,
    show_default=True,
    help="Move AFTER onto BEFORE by one shift.",
)
@click.option("--assume-crs", metavar="CRS", help="CRS of files that have none or a wrong one.")
@click.option("--elevation-unit", metavar="UNIT", help="Unit of heights, where a file does not state it.")
@click.option("--vertical-datum", metavar="NAME", help="Datum of heights, where a file does not state it.")
@creation_option
def change(before: str, after: str, destination: Path, **options: Any) -> None:
    """Write CHANGE.tif, AFTER minus BEFORE in metres with its standard error, and volumes by zone beside it.

    Both models lie on one ground and have one vertical datum. The finer is averaged over the cells of the coarser.
    """
    from terrafine.workflows.change import measure_change

    found = measure_change(before, after, destination, **options)
    if found.shift_m is not None:
        east, north, up = found.shift_m
        say(f"AFTER was moved by {east:+.2f} m east, {north:+.2f} m north, {up:+.2f} m up")
    short, long = found.correlation_m
    say(f"stable ground: NMAD {found.stable_nmad_m:.3g} m; errors are correlated over {short:,.0f} and {long:,.0f} m")
    for name, volume in found.zones.items():
        low, high = (v / 1e6 for v in volume.interval_m3)
        say(
            f"{name}: {volume.volume_m3 / 1e6:+,.4g} million m³ (95 %: {low:+,.4g} to {high:+,.4g}), mean "
            f"{volume.mean_m:+.3g} ± {volume.mean_error_m:.2g} m over {volume.known_m2 / 1e6:,.4g} of "
            f"{volume.area_m2 / 1e6:,.4g} km²"
        )
    for remark in found.notes:
        note(f"note: {remark}")
