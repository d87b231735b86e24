"""`terrafine dem`: a finer elevation model from a coarse one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import running
from terrafine.cli.parameter_types import GUIDE, at_most
from terrafine.errors import UsageError
from terrafine.workflows.dem import sharpen_dem
from terrafine.workflows.options import ENGINES, PRECISIONS, Guidance, RunOptions

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport

__all__ = ["dem"]


def _residual(report: RunReport) -> str:
    grid = ""
    if report.warped_to:
        rows, columns = report.plan.output_shape
        grid = f", on the model's {rows:,} × {columns:,} cells, before the warp"
    return f"block means differ from the input {at_most(report.residual_m)}{grid}"


@click.command(short_help="Make a finer elevation model from a coarse one.")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--scale", type=int, help="Output cells along one side of an input cell: 2, 3 or 4.  [default: 4]")
@click.option(
    "--model",
    metavar="NAME|FILE",
    help="See `terrafine models`.  [default: ridgeline2 for a product with noise, else ridgeline; pimsr with --guide]",
)
@click.option(
    "--product", metavar="NAME|FILE", help="What SRC is: srtm1, glo30, a product file ...  [default: recognised]"
)
@click.option("--uncertainty", is_flag=True, help="Add a second band: the standard error in metres.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also draw a hillshade.")
@click.option("--tr", "target_resolution", nargs=2, type=float, metavar="X Y", help="Output cell size, in CRS units.")
@click.option("--t-srs", "target_crs", metavar="CRS", help="Output CRS, for example EPSG:32633.")
@click.option(
    "--consistency",
    type=click.Choice(["hard", "soft", "product", "none"]),
    help="hard: block means equal the input; soft: within --tolerance; product: within the noise of the product; none: "
    "as the model gives.  [default: product for a product with noise, else hard]",
)
@option_of(sharpen_dem, "tolerance_m", "--tolerance", type=float, metavar="M", help="For --consistency soft.")
@click.option("--self-ensemble", is_flag=True, help="Mean over the 8 mirrored and rotated inputs: 8 times the work.")
@option_of(RunOptions, "engine", "--engine", type=click.Choice(ENGINES), help="Runs the network.")
@option_of(
    RunOptions,
    "precision",
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Of the network; heights are float32 in any case.",
)
@click.option("--vertical-datum", metavar="NAME", help="Datum of the heights, where the file does not say.")
@click.option(
    "--elevation-unit", metavar="UNIT", help="Unit of the heights, where the file does not say: m, ft, us-ft."
)
@click.option(
    "--pixel-size", "pixel_size_m", type=float, metavar="M", help="Metres of a cell, where the file has no CRS."
)
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
@option_of(Guidance, "unit", "--guide-unit", type=click.Choice(["dB", "linear"]), help="Of the radar.")
@running(_residual)
def dem(
    sources: tuple[str, ...],
    destination: Path,
    guides: tuple[tuple[str, str], ...],
    orbit: str | None,
    heading: float | None,
    sun: float | None,
    unit: str,
    **options: Any,
) -> None:
    """Write DST, a finer elevation model of SRC (several files are read as one mosaic).

    DST is a Cloud-Optimized GeoTIFF: float32 metres, nodata kept, overviews inside. The same command resumes a run
    that was cut off.
    """
    if not guides and (orbit is not None or heading is not None or sun is not None):
        raise UsageError("--orbit, --heading and --sun are of guides, and none is given; add --guide, or leave them")
    from terrafine.workflows.guidance import parse_guides

    sharpen_dem(
        sources,
        destination,
        guidance=parse_guides(guides, orbit=orbit, heading=heading, unit=unit, sun=sun) if guides else None,
        **options,
    )
