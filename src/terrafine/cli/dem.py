"""`terrafine dem`: a finer elevation model from a coarse one."""

from __future__ import annotations

from pathlib import Path

import click

from terrafine.cli.kinds import BAND, BYTES

__all__ = ["dem"]


@click.command(short_help="Make a finer elevation model from a coarse one.")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--scale", type=int, help="Output cells along one side of an input cell: 2, 3 or 4.  [default: 4]")
@click.option("--model", default="ridgeline", show_default=True, metavar="NAME|FILE", help="See `terrafine models`.")
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
@click.option("--assume-crs", metavar="CRS", help="CRS of the input, where the file has none.")
@click.option("--restart", is_flag=True, help="Throw away an unfinished run of the same output.")
@click.option("--tile", type=click.IntRange(min=1), metavar="N", help="Input cells along one side of a tile.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def dem(
    sources: tuple[str, ...],
    destination: Path,
    scale: int | None,
    model: str,
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
    restart: bool,
    tile: int | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Write DST, a finer elevation model of SRC (several files are read as one mosaic).

    DST is a Cloud-Optimized GeoTIFF: float32 metres, nodata kept, overviews inside. A run that was cut off goes on
    when the same command is given again.
    """
    from terrafine.dem import sharpen_dem

    raise NotImplementedError(sharpen_dem)
