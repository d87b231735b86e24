"""`terrafine geocode`: Sentinel-1 GRD products on a map grid."""

from __future__ import annotations

from pathlib import Path

import click

from terrafine.cli.messages import note, say
from terrafine.cli.options import creation_option, heights_as_stated, reading
from terrafine.cli.output import inputs_and_output

__all__ = ["geocode"]


@click.command(short_help="Bring Sentinel-1 GRD products onto the grid of a DEM.")
@inputs_and_output("SAFE", "OUT.tif")
@click.option("--dem", required=True, metavar="FILE", help="Heights of the ground; its grid is that of OUT.tif.")
@click.option(
    "--geoid",
    "geoid_m",
    type=float,
    metavar="M",
    help="Height of the geoid above the ellipsoid there, for heights above a geoid.",
)
@heights_as_stated
@click.option("--vertical-datum", metavar="NAME", help="Datum of the heights if the file does not state it.")
@reading
@creation_option
@click.option("--quiet", is_flag=True, help="Print no summary.")
def geocode(
    sources: tuple[str, ...],
    destination: Path,
    dem: str,
    geoid_m: float | None,
    bands: tuple[tuple[str, int], ...],
    assume_crs: str | None,
    nodata: float | None,
    elevation_unit: str | None,
    vertical_datum: str | None,
    allow_folders: tuple[str, ...],
    allow_remote: bool,
    creation_options: dict[str, str] | None,
    quiet: bool,
) -> None:
    """Write OUT.tif: mean sigma0 in dB by polarisation, incidence, and the number of dates of SAFE folders (GRD).

    All products are of ascending, or all of descending passes. The brightness of slopes is kept. Needs the extra radar.
    """
    from terrafine.workflows.geocode import geocode_radar

    done = geocode_radar(
        sources,
        destination,
        dem=dem,
        geoid_m=geoid_m,
        bands=dict(bands) or None,
        assume_crs=assume_crs,
        nodata=nodata,
        elevation_unit=elevation_unit,
        vertical_datum=vertical_datum,
        allow_folders=allow_folders,
        allow_remote=allow_remote,
        creation_options=creation_options,
    )
    for remark in done.notes:
        note(f"note: {remark}")
    if not quiet:
        low, high = done.incidence
        say(f"{destination}: {done.dates} dates, {done.orbit}, incidence {low:.1f} to {high:.1f}°")
