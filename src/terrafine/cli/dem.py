"""`terrafine dem`: a finer elevation model from a coarse one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from terrafine.cli.kinds import BAND, BYTES, GUIDE, at_most, human_bytes
from terrafine.errors import UsageError

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport

__all__ = ["dem"]


@click.command(short_help="Make a finer elevation model from a coarse one.")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--scale", type=int, help="Output cells along one side of an input cell: 2, 3 or 4.  [default: 4]")
@click.option("--model", metavar="NAME|FILE", help="See `terrafine models`.  [default: ridgeline; pimsr with --guide]")
@click.option("--uncertainty", is_flag=True, help="Add a second band: the standard error in metres.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also draw a hillshade.")
@click.option("--tr", "target_resolution", nargs=2, type=float, metavar="X Y", help="Output cell size, in CRS units.")
@click.option("--t-srs", "target_crs", metavar="CRS", help="Output CRS, for example EPSG:32633.")
@click.option("--memory", type=BYTES, metavar="SIZE", help="Refuse to use more, for example 4GB.")
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler, for example tcp://scheduler:8786.")
@click.option(
    "--consistency",
    type=click.Choice(["hard", "soft", "none"]),
    default="hard",
    show_default=True,
    help="hard: block means equal the input; soft: within --tolerance, for noisy input; none: as the model says.",
)
@click.option(
    "--tolerance",
    "tolerance_m",
    type=float,
    default=1.0,
    show_default=True,
    metavar="M",
    help="For --consistency soft.",
)
@click.option("--self-ensemble", is_flag=True, help="Mean over the 8 mirrored and rotated inputs: 8 times the work.")
@click.option(
    "--engine",
    type=click.Choice(["torch", "openvino", "onnx"]),
    default="torch",
    show_default=True,
    help="Runs the network.",
)
@click.option(
    "--band", "bands", type=BAND, multiple=True, metavar="NAME=N", help="Which band of the file is elevation."
)
@click.option("--vertical-datum", metavar="NAME", help="Datum of the heights, where the file does not say.")
@click.option("--assume-crs", metavar="CRS", help="CRS of the input, where the file has none or a wrong one.")
@click.option(
    "--nodata", type=float, metavar="VALUE", help="The value that means missing, where the file does not say."
)
@click.option(
    "--elevation-unit", metavar="UNIT", help="Unit of the heights, where the file does not say: m, ft, us-ft."
)
@click.option("--pixel-size", type=float, metavar="M", help="Metres of a cell, where the file has no CRS.")
@click.option(
    "--guide",
    "guides",
    type=GUIDE,
    multiple=True,
    metavar="NAME=FILE",
    help="Radar: vv=, vh=, incidence= (or degrees); image: red=, green=, blue=, nir=.",
)
@click.option("--orbit", type=click.Choice(["ascending", "descending"]), help="Of the radar's pass.")
@click.option("--heading", type=float, metavar="DEG", help="Of the radar's track.  [default: Sentinel-1's]")
@click.option("--sun", type=float, metavar="DEG", help="Azimuth of the image's sun.  [default: found from relief]")
@click.option(
    "--guide-unit", type=click.Choice(["dB", "linear"]), default="dB", show_default=True, help="Of the radar."
)
@click.option("--restart", is_flag=True, help="Throw away an unfinished run of the same output.")
@click.option("--tile", type=click.IntRange(min=1), metavar="N", help="Input cells along one side of a tile.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def dem(
    sources: tuple[str, ...],
    destination: Path,
    scale: int | None,
    model: str | None,
    uncertainty: bool,
    preview: Path | None,
    target_resolution: tuple[float, float] | None,
    target_crs: str | None,
    memory: int | None,
    dask: str | None,
    consistency: str,
    tolerance_m: float,
    self_ensemble: bool,
    engine: str,
    bands: tuple[tuple[str, int], ...],
    vertical_datum: str | None,
    assume_crs: str | None,
    nodata: float | None,
    elevation_unit: str | None,
    pixel_size: float | None,
    guides: tuple[tuple[str, str], ...],
    orbit: str | None,
    heading: float | None,
    sun: float | None,
    guide_unit: str,
    restart: bool,
    tile: int | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Write DST, a finer elevation model of SRC (several files are read as one mosaic).

    DST is a Cloud-Optimized GeoTIFF: float32 metres, nodata kept, overviews inside. A run that was cut off goes on
    when the same command is given again.
    """
    if not guides and (orbit is not None or heading is not None or sun is not None):
        raise UsageError("--orbit, --heading and --sun are of guides, and none is given; add --guide, or leave them")
    from terrafine.dem import sharpen_dem
    from terrafine.guidance import parse_guides
    from terrafine.inference.progress import Bar

    sharpen_dem(
        sources,
        destination,
        scale=scale,
        model=model or ("pimsr" if guides else "ridgeline"),
        consistency=consistency,
        tolerance_m=tolerance_m,
        uncertainty=uncertainty,
        self_ensemble=self_ensemble,
        engine=engine,
        memory=memory,
        dask=dask,
        restart=restart,
        target_resolution=target_resolution,
        target_crs=target_crs,
        preview=preview,
        bands=dict(bands) or None,
        vertical_datum=vertical_datum,
        assume_crs=assume_crs,
        nodata=nodata,
        elevation_unit=elevation_unit,
        pixel_size_m=pixel_size,
        guidance=parse_guides(guides, orbit=orbit, heading=heading, unit=guide_unit, sun=sun) if guides else None,
        progress=None if quiet else Bar(disable=None),
        report=None if quiet else partial(_tell, destination),
        threads=threads,
        tile=tile,
    )


def _tell(destination: Path, report: RunReport) -> None:
    """The closing summary: size, time, rate, consistency, and what to know of the input."""
    cells = report.plan.output_shape
    rate = cells[0] * cells[1] / 1e6 / max(report.seconds_total, 1e-9)
    rows, columns = report.warped_to or cells
    when = ", before the warp" if report.warped_to else ""
    resumed = f", {report.shards_resumed} shards taken over from an earlier run" if report.shards_resumed else ""
    click.echo(
        f"{destination}: {rows:,} × {columns:,} cells, {human_bytes(destination.stat().st_size)}\n"
        f"{report.seconds_total:.1f} s, {rate:.2f} Mpx/s, {report.seconds_model:.1f} s of it in the model, "
        f"peak memory {human_bytes(report.peak_memory_bytes)}{resumed}\n"
        f"block means differ from the input {at_most(report.residual_m)}{when}"
    )
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
