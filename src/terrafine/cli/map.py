"""`terrafine map`: impervious surface on a 1 m grid from a 10 m image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import optical, running
from terrafine.raster.read.sensors import SENSORS_10M
from terrafine.workflows.impervious import map_impervious

__all__ = ["map_"]


@click.command("map", short_help="Map impervious surface on a 1 m grid from a Sentinel-2 image.")
@click.argument("sources", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@option_of(map_impervious, "model", "--model", metavar="NAME|FILE", help="See `terrafine models`.")
@option_of(map_impervious, "threshold", "--threshold", type=float, help="Probability from which a cell counts.")
@click.option("--probability", is_flag=True, help="Also write DST_probability.tif, whole per cent.")
@click.option("--sigma", is_flag=True, help="The same, with its spread over 8 mirrors and turns: 8 times the work.")
@click.option("--region", "regions", metavar="VECTOR", help="Polygons: areas by region in DST_regions.csv.")
@click.option("--region-name", metavar="FIELD", help="The field that names them.  [default: the first]")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also draw a small picture.")
@optical(SENSORS_10M)
@running()
def map_(sources: tuple[str, ...], destination: Path, **options: Any) -> None:
    """Write DST, impervious surface in IMAGE: 1 impervious, 0 other, 255 unknown, on a grid ten times as fine.

    IMAGE is Sentinel-2 L2A with 10 m cells on a metric grid, reflectance × 10,000 with the offset removed (other
    numbers: --sensor), bands found as red, green, blue or B04, B03, B02 (several files are read as one mosaic). DST is
    on a 1 m grid; its tags state the effective resolution. A QGIS style is written beside it. The same command
    resumes a run that was cut off.
    """
    map_impervious(sources, destination, **options)
