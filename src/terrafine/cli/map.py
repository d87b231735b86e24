"""`terrafine map`: map impervious surface on a 1 m grid from a 10 m image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import optical, running
from terrafine.cli.output import inputs_and_output
from terrafine.raster.read.images.sensors import SENSORS_10M
from terrafine.workflows.impervious import map_impervious

__all__ = ["map_"]


@click.command("map", short_help="Map impervious surface on a 1 m grid from a Sentinel-2 image.")
@inputs_and_output("IMAGE", "DST")
@option_of(map_impervious, "model", "--model", metavar="NAME|FILE", help="A name from `terrafine models`, or a file.")
@option_of(
    map_impervious,
    "threshold",
    "--threshold",
    type=float,
    help="Probability from which a cell counts as impervious.  [default: the model's]",
)
@click.option("--probability", is_flag=True, help="Also write the probability, DST_probability.tif, in whole per cent.")
@click.option(
    "--sigma", is_flag=True, help="Like --probability, with the standard deviation over 8 mirrored and rotated inputs."
)
@click.option(
    "--region", "regions", metavar="VECTOR", help="Polygons whose impervious areas are written to DST_regions.csv."
)
@click.option("--region-name", metavar="FIELD", help="Field that names the polygons.  [default: the first]")
@click.option("--stack", is_flag=True, help="The files are dates of one place, which the model combines.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also write a small picture.")
@optical(SENSORS_10M)
@running()
def map_(sources: tuple[str, ...], destination: Path, **options: Any) -> None:
    """Write DST, a map of IMAGE: 0 other, 1 impervious, 2 impervious and a building, 255 unknown.

    IMAGE is Sentinel-2 with 10 m cells on a metric grid: reflectance × 10,000 with the offset removed (for other
    numbers use --sensor), bands named red, green, blue, nir or B04, B03, B02, B08. Several files are read as one
    mosaic, or with --stack as dates of one place. DST is on a 1 m grid, which is not a resolution of 1 m: its tags
    state the effective resolution. A QGIS style is written beside it. After an interruption, the same command resumes
    the run.
    """
    map_impervious(sources, destination, **options)
