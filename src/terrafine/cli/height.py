"""`terrafine height`: estimate relief from one optical image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import optical, running
from terrafine.cli.output import inputs_and_output
from terrafine.raster.read.images.sensors import SENSORS
from terrafine.workflows.height import estimate_height

__all__ = ["height"]


@click.command(short_help="Estimate relief from one optical image.")
@inputs_and_output("IMAGE", "DST")
@click.option(
    "--anchor", metavar="DEM", help="Coarse elevation model of the same ground; the output is then heights, not relief."
)
@click.option("--vertical-datum", metavar="NAME", help="Vertical datum of the anchor if the file does not state it.")
@click.option(
    "--elevation-unit", metavar="UNIT", help="Height unit of the anchor if the file does not state it: m, ft, us-ft."
)
@option_of(estimate_height, "model", "--model", metavar="NAME|FILE", help="A name from `terrafine models`, or a file.")
@click.option("--uncertainty", is_flag=True, help="Add a second band: the standard error in metres.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also write a hillshade.")
@optical(tuple(SENSORS))
@running()
def height(sources: tuple[str, ...], destination: Path, **options: Any) -> None:
    """Write DST, the relief of IMAGE in metres above an unknown level; with --anchor, heights.

    IMAGE has the red, green and blue bands of Sentinel-2 or Landsat 8/9; several files are read as one mosaic. After an
    interruption, the same command resumes the run.
    """
    estimate_height(sources, destination, **options)
