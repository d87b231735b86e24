"""`terrafine map`: impervious ground on a 1 m grid from a 10 m image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.options import optical, running
from terrafine.raster.read.sensors import SENSORS_10M

__all__ = ["map_"]


@click.command("map", short_help="Map impervious ground on a 1 m grid from a Sentinel-2 image.")
@click.argument("sources", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--model", default="jointseg", show_default=True, metavar="NAME|FILE", help="See `terrafine models`.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Probability from which a cell counts.")
@click.option("--probability", is_flag=True, help="Also write DST_probability.tif, whole per cent.")
@click.option("--sigma", is_flag=True, help="The same, with its spread over 8 mirrors and turns: 8 times the work.")
@click.option("--region", "regions", metavar="VECTOR", help="Polygons: areas by region in DST_regions.csv.")
@click.option("--region-name", metavar="FIELD", help="The field that names them.  [default: the first]")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also draw a small picture.")
@optical(SENSORS_10M)
@running()
def map_(sources: tuple[str, ...], destination: Path, run: dict[str, Any], **options: Any) -> None:
    """Write DST, impervious ground in IMAGE: 1 impervious, 0 other, 255 unknown, on a grid ten times as fine.

    IMAGE is Sentinel-2 L2A with 10 m cells on a metric grid, reflectance × 10,000 with the offset removed (other
    numbers: --sensor), bands found as red, green, blue or B04, B03, B02 (several files are read as one mosaic). DST is
    on a 1 m grid; its tags say what resolution that is worth. A QGIS style is written beside it. A run that was cut off
    goes on when the same command is given again.
    """
    from terrafine.workflows.impervious import map_impervious

    map_impervious(sources, destination, **options, **run)
