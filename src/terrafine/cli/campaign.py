"""`terrafine campaign`: a region and years as tiles: new, plan, run, status, retry."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.messages import json_option, note, print_json, say
from terrafine.cli.output import output
from terrafine.cli.parameter_types import human_bytes

if TYPE_CHECKING:
    from terrafine.campaign.status import Status

__all__ = ["campaign"]

_SHOWN = 20


@click.group(short_help="Map a region and years: plan, run, resume, publish, statistics.")
def campaign() -> None:
    """Run any model over a region and several epochs, tile by tile.

    CAMPAIGN is the settings file, isa.toml, or the folder beside it, isa, where the tiles are.
    """


@campaign.command()
@output("SETTINGS.toml", name="path", overwrite=False)
@click.option("--region", metavar="VECTOR", help="Polygons of the area, relative to the file.")
@click.option("--verb", type=click.Choice(("map", "dem", "height", "image")), help="What to make.  [default: map]")
@click.option("--epoch", "epochs", multiple=True, metavar="NAME=DATES", help="For example 2023=2023-04/2023-10.")
@click.option("--files", multiple=True, metavar="NAME=PATTERN", help="Scenes of an epoch, 2023=s2/2023/*.tif.")
@click.option(
    "--service", metavar="NAME|FILE", help="Fetch the scenes: earth-search, planetary-computer, cdse or a TOML file."
)
def new(path: Path, epochs: tuple[str, ...], files: tuple[str, ...], **options: Any) -> None:
    """Write SETTINGS.toml, commented, to be edited."""
    from terrafine.campaign.new import new_campaign

    given = {name: value for name, value in options.items() if value is not None}
    scenes: dict[str, list[str]] = {}
    for name, pattern in _pairs(files, "--files"):
        scenes.setdefault(name, []).append(pattern)
    written = new_campaign(path, epochs=dict(_pairs(epochs, "--epoch")) or None, files=scenes or None, **given)
    say(f"{written}: edit it, then `terrafine campaign run {written.with_suffix('')}`")


@campaign.command()
@click.argument("campaign")
def plan(campaign: str) -> None:
    """Print what CAMPAIGN comes to: tiles by zone, the disk that it needs at most, and the time of its model here."""
    from terrafine.campaign.api import plan_campaign

    made = plan_campaign(campaign, time_model=True)
    zones = ", ".join(f"{zone} {count:,}" for zone, count in made.tiles.items())
    say(f"{made.name}: {made.area_km2:,.1f} km², {sum(made.tiles.values()):,} tiles ({zones})")
    say(f"{made.units:,} units of one tile and one epoch")
    say(
        f"outputs up to {human_bytes(made.output_bytes)} without compression, {human_bytes(made.work_bytes)} more for "
        f"each unit at work; the disk has {human_bytes(made.free_bytes)} free"
    )
    if made.seconds_per_unit is not None:
        say(
            f"the model takes about {made.seconds_per_unit:,.3g} s for a unit on this machine, "
            f"{made.seconds_per_unit * made.units / 3600:,.3g} hours for all; reading and writing come on top"
        )


def _choosing(command: Any) -> Any:
    for option in (
        click.option("--quiet", is_flag=True, help="No progress, no summary."),
        click.option("--tile", "tiles", multiple=True, metavar="NAME", help="Only this tile."),
        click.option("--epoch", "epochs", multiple=True, metavar="NAME", help="Only this epoch."),
        click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler, for example tcp://scheduler:8786."),
    ):
        command = option(command)
    return command


@campaign.command()
@click.argument("campaign")
@_choosing
@click.option("--verify", is_flag=True, help="Compare digests of finished tiles, and run again those that differ.")
def run(campaign: str, epochs: tuple[str, ...], tiles: tuple[str, ...], quiet: bool, **options: Any) -> None:
    """Run what is not done of CAMPAIGN; the same command resumes it. Exit code 19 where tiles have no result."""
    from terrafine.campaign.api import run_campaign

    status = run_campaign(campaign, epochs=epochs or None, tiles=tiles or None, progress=not quiet, **options)
    if not quiet:
        _print(status)


@campaign.command()
@click.argument("campaign")
@_choosing
def retry(campaign: str, epochs: tuple[str, ...], tiles: tuple[str, ...], quiet: bool, **options: Any) -> None:
    """Run again the tiles of CAMPAIGN that failed or had no observation."""
    from terrafine.campaign.api import retry_campaign

    status = retry_campaign(campaign, epochs=epochs or None, tiles=tiles or None, progress=not quiet, **options)
    if not quiet:
        _print(status)


@campaign.command()
@click.argument("campaign")
@click.option("--all", "everything", is_flag=True, help="List every hole, not the first 20.")
@json_option
def status(campaign: str, everything: bool, as_json: bool) -> None:
    """Print where CAMPAIGN stands, and each tile without a result with its reason. Exit code 19 where it has holes."""
    from terrafine.campaign.api import campaign_status

    found = campaign_status(campaign)
    if as_json:
        record = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        print_json(record | {"holes": [dataclasses.asdict(h) for h in found.holes], "complete": found.complete})
    else:
        _print(found, None if everything else _SHOWN)
    if found.holes and not found.complete:
        raise click.exceptions.Exit(19)


@campaign.command()
@click.argument("campaign")
@click.option("--partial", is_flag=True, help="Publish although tiles have no result; holes.csv lists them.")
def publish(campaign: str, partial: bool) -> None:
    """Describe the tiles of CAMPAIGN as a STAC collection, with mosaics and styles that QGIS opens."""
    from terrafine.campaign.product import publish_campaign

    made = publish_campaign(campaign, partial=partial)
    say(f"{made.collection}: {made.items:,} items, {len(made.mosaics)} mosaics")
    for mosaic in made.mosaics[:_SHOWN]:
        say(f"  {mosaic}")
    if made.holes:
        note(f"note: {made.holes:,} tiles have no result; holes.csv lists them")


@campaign.command()
@click.argument("campaign")
@click.option("--reference", metavar="GPKG", help="The answered form of `campaign sample`: adjusted areas, intervals.")
@click.option("--partial", is_flag=True, help="Count the ground of tiles without a result as unknown.")
@click.option("--dask", metavar="ADDRESS", help="Count on this Dask scheduler.")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def stats(campaign: str, quiet: bool, **options: Any) -> None:
    """Sum areas, change and growth of CAMPAIGN by zone and epoch: CSV, GeoParquet, JSON and pictures."""
    import json

    from terrafine.campaign.summary import campaign_statistics

    folder = campaign_statistics(campaign, progress=not quiet, **options)
    if quiet:
        return
    record = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
    for row in record["areas"]:
        if row["zone"] == "region" and row["impervious_share"] is not None:
            say(
                f"{row['epoch']} {row['rule']}: {row['impervious_km2']:,.4g} of {row['known_km2']:,.4g} km² impervious "
                f"({100 * row['impervious_share']:.1f} %)"
            )
    for row in (record["adjusted"] or {}).get("epochs", ()):
        area = row["impervious_km2"]
        if area["interval"] is not None:
            low, high = area["interval"]
            say(f"{row['epoch']} adjusted: {area['value']:,.4g} km² (95 %: {low:,.4g} to {high:,.4g})")
    for text in record["notes"]:
        note(f"note: {text}")
    say(f"{folder}: areas.csv, change.csv, growth.csv, zones.parquet, growth.png, change.png, statistics.json")


@campaign.command()
@click.argument("campaign")
@click.option("--points", type=int, metavar="N", help="How many.  [default: what --standard-error asks for]")
@click.option("--standard-error", type=float, metavar="SHARE", help="Of the overall accuracy.  [default: 0.01]")
@click.option("--minimum", type=int, metavar="N", help="Points of each stratum at least.  [default: 50]")
@click.option("--seed", type=int, metavar="N", help="Of the random numbers.  [default: 0]")
@click.option("--dask", metavar="ADDRESS", help="Count on this Dask scheduler.")
@click.option("--quiet", is_flag=True, help="No progress.")
def sample(campaign: str, quiet: bool, **options: Any) -> None:
    """Draw a reference sample of CAMPAIGN as a form for QGIS, stratified by what changed."""
    from terrafine.campaign.summary import sample_campaign

    given = {name: value for name, value in options.items() if value is not None}
    form = sample_campaign(campaign, progress=not quiet, **given)
    say(f"{form}: open it in QGIS, answer every point, then `terrafine campaign stats --reference {form}`")


def _print(status: Status, most: int | None = _SHOWN) -> None:
    say(f"{status.name}: {status.area_km2:,.1f} km², {status.tiles:,} tiles, {human_bytes(status.bytes)}")
    for epoch, counts in status.counts.items():
        listed = ", ".join(
            f"{counts[s]:,} {s}" for s in ("done", "empty", "failed", "pending", "stale") if counts.get(s)
        )
        say(f"  {epoch}: {listed}")
    for hole in status.holes[:most]:
        say(f"  {hole.epoch} {hole.tile}: {hole.state}, {hole.reason}")
    if most is not None and len(status.holes) > most:
        say(f"  and {len(status.holes) - most:,} more; list them with --all")
    for text in status.notes[:most]:
        note(f"note: {text}")
    if most is not None and len(status.notes) > most:
        note(f"note: and {len(status.notes) - most:,} more scenes")


def _pairs(given: tuple[str, ...], flag: str) -> list[tuple[str, str]]:
    """NAME=VALUE options."""
    found = []
    for text in given:
        name, mark, value = text.partition("=")
        if not (name and mark and value):
            raise click.UsageError(f"{flag} {text}: expected NAME=VALUE")
        found.append((name, value))
    return found
