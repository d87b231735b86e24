"""`terrafine dem`: a finer elevation model from a coarse one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.defaults import option_of
from terrafine.cli.options import running
from terrafine.cli.output import inputs_and_output
from terrafine.cli.parameter_types import GUIDE, at_most
from terrafine.errors import UsageError
from terrafine.workflows.dem import sharpen_dem
from terrafine.workflows.dem_request import DemRequest
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


@click.command(short_help="Super-resolve a coarse elevation model (DEM).")
@inputs_and_output("SRC", "DST")
@click.option("--scale", type=int, help="Output cells per side of an input cell: 2, 3 or 4.  [default: 4]")
@click.option(
    "--model",
    metavar="NAME|FILE",
    help="A name from `terrafine models`, or a weights file.  [default: ridgeline2 for a product with noise, else "
    "ridgeline; pimsr with --guide]",
)
@click.option(
    "--product", metavar="NAME|FILE", help="What SRC is: srtm1, glo30, a product file ...  [default: recognised]"
)
@click.option("--uncertainty", is_flag=True, help="Add a second band: the standard error in metres.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Also write a hillshade.")
@click.option(
    "--tr",
    "target_resolution",
    nargs=2,
    type=float,
    metavar="X Y",
    help="Output cell size, in units of the output CRS.",
)
@click.option("--t-srs", "target_crs", metavar="CRS", help="Output CRS, for example EPSG:32633.")
@click.option(
    "--consistency",
    type=click.Choice(["hard", "soft", "product", "none"]),
    help="hard: the mean of the output cells equals each input cell; soft: within --tolerance; product: within the "
    "noise of the product; none: as the model predicts.  [default: product for a product with noise, else hard]",
)
@option_of(
    DemRequest,
    "tolerance_m",
    "--tolerance",
    type=float,
    metavar="M",
    help="Largest deviation in metres with --consistency soft.",
)
@click.option("--self-ensemble", is_flag=True, help="Average over the 8 mirrored and rotated inputs; 8 times the work.")
@option_of(RunOptions, "engine", "--engine", type=click.Choice(ENGINES), help="Library that runs the network.")
@option_of(
    RunOptions,
    "precision",
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Precision of the network; heights are float32 in any case.",
)
@click.option(
    "--hydro",
    is_flag=True,
    help="Also write DST_filled.tif, DST_flow.tif (D8), DST_area.tif and DST_hydro.gpkg (streams, catchments, basins).",
)
@click.option(
    "--stream-area",
    "stream_area_km2",
    type=float,
    metavar="KM2",
    help="Contributing area at which streams begin.  [default: by the extent]",
)
@click.option(
    "--vertical-datum", metavar="NAME", help="Vertical datum of SRC if the file does not state it, for example EGM2008."
)
@click.option(
    "--elevation-unit", metavar="UNIT", help="Unit of the heights if the file does not state it: m, ft, us-ft."
)
@click.option(
    "--pixel-size", "pixel_size_m", type=float, metavar="M", help="Cell size in metres if the file has no CRS."
)
@click.option(
    "--guide",
    "guides",
    type=GUIDE,
    multiple=True,
    metavar="NAME=FILE",
    help="A radar file (vv=, vh=, incidence= as a file or in degrees) or an image (red=, green=, blue=, nir=) that "
    "guides the model; may be repeated.",
)
@click.option(
    "--orbit", type=click.Choice(["ascending", "descending"]), help="Pass of the radar; needed with radar guides."
)
@click.option(
    "--heading", type=float, metavar="DEG", help="Heading of the radar's track, from north.  [default: Sentinel-1's]"
)
@click.option(
    "--sun", type=float, metavar="DEG", help="Azimuth of the sun in the image, from north.  [default: estimated]"
)
@option_of(Guidance, "unit", "--guide-unit", type=click.Choice(["dB", "linear"]), help="Unit of the radar guides.")
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
    """Write DST, a finer elevation model of SRC; several SRC files are read as one mosaic.

    DST is a Cloud-Optimized GeoTIFF of float32 metres with overviews; nodata stays nodata. After an interruption, the
    same command resumes the run.
    """
    if not guides and (orbit is not None or heading is not None or sun is not None):
        raise UsageError(
            "--orbit, --heading and --sun describe guides, and none is given; add --guide, or leave them out"
        )
    from terrafine.workflows.inputs.guidance import parse_guides

    sharpen_dem(
        sources,
        destination,
        guidance=parse_guides(guides, orbit=orbit, heading=heading, unit=unit, sun=sun) if guides else None,
        **options,
    )
