"""`terrafine radar`: map what Sentinel-1 would observe of an elevation model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from terrafine.cli.messages import note, say
from terrafine.cli.options import creation_option, heights_as_stated, reading
from terrafine.cli.output import inputs_and_output
from terrafine.cli.parameter_types import human_bytes

if TYPE_CHECKING:
    from terrafine.workflows.radar import RadarReport

__all__ = ["radar"]


@click.command(short_help="Map layover, shadow and simulated backscatter of a DEM.")
@inputs_and_output("DEM", "OUT.tif")
@click.option(
    "--orbit",
    required=True,
    type=click.Choice(["ascending", "descending"]),
    help="Direction of the pass: ascending looks from the west, descending from the east.",
)
@click.option(
    "--heading", type=float, metavar="DEG", help="Heading of the track, from north.  [default: from the orbit]"
)
@click.option(
    "--incidence",
    metavar="FILE|DEG",
    help="Incidence angle on the ellipsoid: a raster or a number.  [default: mid-swath]",
)
@click.option("--latitude", type=float, metavar="DEG", help="Latitude of the DEM if the file has no CRS.")
@heights_as_stated
@click.option("--pixel-size", type=float, metavar="M", help="Cell size in metres if the file has no CRS.")
@reading
@creation_option
@click.option("--quiet", is_flag=True, help="Print no summary.")
def radar(
    sources: tuple[str, ...],
    destination: Path,
    orbit: str,
    heading: float | None,
    incidence: str | None,
    latitude: float | None,
    bands: tuple[tuple[str, int], ...],
    assume_crs: str | None,
    nodata: float | None,
    elevation_unit: str | None,
    pixel_size: float | None,
    allow_folders: tuple[str, ...],
    allow_remote: bool,
    creation_options: dict[str, str] | None,
    quiet: bool,
) -> None:
    """Write OUT.tif: local incidence (degrees), layover and shadow (0 or 1) and simulated backscatter (dB) of DEM.

    The sensor is Sentinel-1. Backscatter is simulated for uniform ground: it shows the effect of relief alone.
    """
    from terrafine.workflows.radar import map_radar

    report = map_radar(
        sources,
        destination,
        orbit=orbit,
        heading=heading,
        incidence=_number_or_file(incidence),
        latitude=latitude,
        bands=dict(bands) or None,
        assume_crs=assume_crs,
        nodata=nodata,
        elevation_unit=elevation_unit,
        pixel_size_m=pixel_size,
        allow_folders=allow_folders,
        allow_remote=allow_remote,
        creation_options=creation_options,
    )
    for remark in report.notes:
        note(f"warning: {remark}")
    if not quiet:
        _tell(destination, report)


def _number_or_file(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _tell(destination: Path, report: RadarReport) -> None:
    low, high = report.incidence
    angle = f"{low:g}" if low == high else f"{low:.1f} to {high:.1f}"
    say(
        f"{destination}: {human_bytes(destination.stat().st_size)}\n"
        f"sensor at {report.sensor_azimuth:.1f}° from north, incidence {angle}°\n"
        f"layover {100 * report.layover_share:.1f} %, shadow {100 * report.shadow_share:.1f} % of the valid cells"
    )
