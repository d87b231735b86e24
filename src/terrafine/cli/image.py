"""`terrafine image`: a 10 m image made finer, reflectance kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import optical, running
from terrafine.raster.read.sensors import SENSORS_10M

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport
from terrafine.workflows.image import sharpen_image

__all__ = ["image"]


def _residual(report: RunReport) -> str:
    return f"seen again at 10 m it differs from the input by at most {report.residual_m:.4f} reflectance"


@click.command(short_help="Make a Sentinel-2 image finer, reflectance kept.")
@click.argument("sources", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@option_of(sharpen_image, "scale", "--scale", type=int, help="Output cells along a side of an input cell.")
@option_of(sharpen_image, "model", "--model", metavar="NAME|FILE", help="See `terrafine models`.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also draw a small picture.")
@optical(SENSORS_10M)
@running(_residual)
def image(sources: tuple[str, ...], destination: Path, **options: Any) -> None:
    """Write DST, the bands of IMAGE that the model reads, SCALE times as fine: int16, reflectance × 10,000.

    IMAGE is as for `terrafine map`. Low frequencies are held to it, what is finer is the model's guess: a 1 m grid, not
    a resolution of 1 m. The same command resumes a run that was cut off.
    """
    sharpen_image(sources, destination, **options)
