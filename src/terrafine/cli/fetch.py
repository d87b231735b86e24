"""`terrafine fetch`: free satellite data of a place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from terrafine.cli.advice import as_options
from terrafine.cli.defaults import LibraryOption
from terrafine.cli.messages import note, say
from terrafine.cli.options import creation_option
from terrafine.cli.output import output

__all__ = ["fetch"]

_OPTIONS = "terrafine.acquire.options:FetchOptions"


@click.command(short_help="Fetch satellite data of a place from a STAC catalogue.")
@click.argument("collection", metavar="COLLECTION")
@output("DIR|TIF", name="out", overwrite=False)
@click.option("--aoi", required=True, metavar="FILE|W,S,E,N", help="The ground: a vector file, or a box in degrees.")
@click.option("--dates", metavar="FROM/TO", help="As 2023-04/2023-10; not of a DEM.")
@click.option(
    "--service",
    metavar="NAME|FILE",
    help="earth-search, planetary-computer, cdse, or a TOML file.  [default: one that has the collection]",
)
@click.option(
    "--composite",
    type=click.Choice(("median", "geomedian", "best-clear")),
    help="How dates are merged.  [default: median]",
)
@click.option("--bands", metavar="A,B", help="Bands to write.  [default: all of the service's file]")
@click.option("--cell", "cell_m", type=float, metavar="M", help="Cell size in metres.  [default: the product's]")
@click.option("--t-srs", "target_crs", metavar="CRS", help="CRS of the grid.  [default: the UTM zone of the centre]")
@click.option(
    "--orbit", type=click.Choice(("ascending", "descending")), help="Of radar.  [default: both, in a file each]"
)
@click.option("--dem", metavar="FILE", help="Of sentinel-1-grd: heights and grid.  [default: the service's GLO-30]")
@click.option("--geoid", "geoid_m", type=float, metavar="M", help="Height of the geoid above the ellipsoid there.")
@click.option(
    "--max-cloud", cls=LibraryOption, owner=_OPTIONS, type=float, metavar="%", help="Cloud in a scene at most."
)
@click.option(
    "--min-clear", cls=LibraryOption, owner=_OPTIONS, type=float, metavar="SHARE", help="Clear share inside the area."
)
@click.option(
    "--offset",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=click.Choice(("auto", "none", "subtract")),
    help="The 1,000 in Sentinel-2 numbers since 2022: for each item, or stated for all.",
)
@click.option(
    "--mask",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=click.Choice(("classes", "omnicloudmask", "none")),
    help="What finds clouds.",
)
@click.option("--memory", metavar="SIZE", help="For the pixels of one block.  [default: 1GB]")
@click.option("--connections", cls=LibraryOption, owner=_OPTIONS, type=int, metavar="N", help="Requests at a time.")
@click.option(
    "--timeout", "timeout_s", cls=LibraryOption, owner=_OPTIONS, type=float, metavar="S", help="Of a request."
)
@click.option("--attempts", cls=LibraryOption, owner=_OPTIONS, type=int, metavar="N", help="At a request.")
@click.option(
    "--max-scenes", cls=LibraryOption, owner=_OPTIONS, type=int, metavar="N", help="More than this are refused."
)
@creation_option
@click.option("--restart", is_flag=True, help="Start from scratch instead of resuming.")
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
def fetch(collection: str, out: Path, quiet: bool, **options: Any) -> None:
    """Fetch COLLECTION over an area: sentinel-2, sentinel-1, landsat, copernicus-dem, or another of the service.

    sentinel-1-grd is downloaded whole and geocoded with a DEM; that needs the extra radar.

    This command opens network connections. The same command resumes a run that was cut off.
    """
    from terrafine.inference.progress import reporter
    from terrafine.workflows.fetch import fetch as run
    from terrafine.workflows.options import parse_size

    given = {name: value for name, value in options.items() if value is not None}
    if "memory" in given:
        given["memory"] = parse_size(given["memory"], "memory")
    if "bands" in given:
        given["bands"] = tuple(part.strip() for part in given["bands"].split(",") if part.strip())
    if not quiet:
        given |= {"progress": reporter(), "announce": lambda p: click.echo(p.sentence(), err=True)}
    for done in run(collection, out, **given):
        if not quiet:
            say(f"{done.path}: {done.scenes} scenes; {done.lineage.name} states what it was made from")
        for remark in done.notes:
            note(f"note: {as_options(remark, click.get_current_context().command)}")
