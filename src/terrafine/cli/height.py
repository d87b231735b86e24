"""`terrafine height`: relief from one optical image."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from terrafine.cli.kinds import BAND, BYTES, human_bytes

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport

__all__ = ["height"]

SENSORS = ("sentinel2", "sentinel2-offset", "landsat-l1", "landsat-l2", "reflectance")


@click.command(short_help="Estimate relief from one optical image.")
@click.argument("sources", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--anchor", metavar="DEM", help="Coarse elevation model: heights become absolute.")
@click.option("--sensor", type=click.Choice(SENSORS), help="What the numbers mean.  [default: found]")
@click.option("--model", default="relief", show_default=True, metavar="NAME|FILE", help="See `terrafine models`.")
@click.option("--uncertainty", is_flag=True, help="Add a second band: the standard error in metres.")
@click.option("--max-bright", type=float, default=0.3, show_default=True, help="Share that may look like cloud.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also draw a hillshade.")
@click.option("--memory", type=BYTES, metavar="SIZE", help="Refuse to use more, for example 4GB.")
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler, for example tcp://scheduler:8786.")
@click.option("--band", "bands", type=BAND, multiple=True, metavar="NAME=N", help="Which band is red, green, blue.")
@click.option("--assume-crs", metavar="CRS", help="CRS of the image, where the file has none or a wrong one.")
@click.option("--nodata", type=float, metavar="VALUE", help="The value that means missing, where the file is silent.")
@click.option("--vertical-datum", metavar="NAME", help="Datum of the anchor, where the file does not say.")
@click.option("--restart", is_flag=True, help="Throw away an unfinished run of the same output.")
@click.option("--tile", type=click.IntRange(min=1), metavar="N", help="Cells along one side of a tile.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def height(
    sources: tuple[str, ...],
    destination: Path,
    anchor: str | None,
    sensor: str | None,
    model: str,
    uncertainty: bool,
    max_bright: float,
    preview: Path | None,
    memory: int | None,
    dask: str | None,
    bands: tuple[tuple[str, int], ...],
    assume_crs: str | None,
    nodata: float | None,
    vertical_datum: str | None,
    restart: bool,
    tile: int | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Write DST, the relief of IMAGE in metres above an unstated level; with --anchor, heights.

    IMAGE has red, green and blue of Sentinel-2 or Landsat 8/9 (several files are read as one mosaic). A run that was
    cut off goes on when the same command is given again.
    """
    from terrafine.height import estimate_height
    from terrafine.inference.progress import Bar

    estimate_height(
        sources,
        destination,
        anchor=anchor,
        sensor=sensor,
        model=model,
        uncertainty=uncertainty,
        max_bright=max_bright,
        memory=memory,
        dask=dask,
        restart=restart,
        preview=preview,
        bands=dict(bands) or None,
        assume_crs=assume_crs,
        nodata=nodata,
        vertical_datum=vertical_datum,
        progress=None if quiet else Bar(disable=None),
        report=None if quiet else partial(_tell, destination),
        threads=threads,
        tile=tile,
    )


def _tell(destination: Path, report: RunReport) -> None:
    """The closing summary: size, time, rate."""
    rows, columns = report.plan.output_shape
    rate = rows * columns / 1e6 / max(report.seconds_total, 1e-9)
    resumed = f", {report.shards_resumed} shards taken over from an earlier run" if report.shards_resumed else ""
    click.echo(
        f"{destination}: {rows:,} × {columns:,} cells, {human_bytes(destination.stat().st_size)}\n"
        f"{report.seconds_total:.1f} s, {rate:.2f} Mpx/s, peak memory {human_bytes(report.peak_memory_bytes)}{resumed}"
    )
