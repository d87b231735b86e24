"""`terrafine image`: sharpen a 10 m image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import optical, running
from terrafine.cli.output import inputs_and_output
from terrafine.raster.read.images.sensors import SENSORS_10M

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport
from terrafine.workflows.image import sharpen_image

__all__ = ["image"]


def _residual(report: RunReport) -> str:
    return f"simulated at 10 m by its sensor, it differs from the input by at most {report.residual_m:.4f} reflectance"


@click.command(short_help="Sharpen a Sentinel-2 image; reflectance stays reflectance.")
@inputs_and_output("IMAGE", "DST")
@option_of(sharpen_image, "scale", "--scale", type=int, help="Output cells per side of an input cell.")
@option_of(sharpen_image, "model", "--model", metavar="NAME|FILE", help="A name from `terrafine models`, or a file.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also write a small picture.")
@optical(SENSORS_10M)
@running(_residual)
def image(sources: tuple[str, ...], destination: Path, **options: Any) -> None:
    """Write DST, the bands of IMAGE that the model reads on a finer grid: int16, reflectance × 10,000.

    IMAGE is as for `terrafine map`. At 10 m, DST agrees with IMAGE; finer detail is the model's estimate. A 1 m grid is
    not a resolution of 1 m. After an interruption, the same command resumes the run.
    """
    sharpen_image(sources, destination, **options)
