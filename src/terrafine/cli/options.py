"""Options that the verbs which run a model share, and their closing summary."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.advice import as_options
from terrafine.cli.defaults import option_of
from terrafine.cli.messages import note, say
from terrafine.cli.parameter_types import BAND, BYTES, DEVICE, human_bytes
from terrafine.errors import UsageError
from terrafine.workflows.options import RunOptions

if TYPE_CHECKING:
    from terrafine.inference.engine import RunReport

__all__ = ["READING", "creation_option", "heights_as_stated", "optical", "print_summary", "reading", "running"]

Command = Callable[..., Any]
READING = (
    click.option(
        "--allow-folder",
        "allow_folders",
        multiple=True,
        metavar="DIR",
        help="Folder in which sources of a VRT may be, besides the VRT's own; may be repeated.",
    ),
    click.option("--allow-remote", is_flag=True, help="Also read remote sources that a local file names."),
)
"""Options of every verb that reads rasters: what these may name in turn."""

_NODATA = click.option(
    "--nodata", type=float, metavar="VALUE", help="Value of cells without data if the file does not state it."
)

_HEIGHTS = (
    click.option(
        "--band",
        "bands",
        type=BAND,
        multiple=True,
        metavar="NAME=N",
        help="Number of the elevation band, such as elevation=2, if the file does not name it.",
    ),
    click.option("--assume-crs", metavar="CRS", help="CRS of the DEM if the file has none or a wrong one."),
    _NODATA,
    click.option(
        "--elevation-unit", metavar="UNIT", help="Unit of the heights if the file does not state it: m, ft, us-ft."
    ),
)

creation_option = click.option(
    "-co",
    "--creation-option",
    "creation_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=lambda _, __, given: _creation_options(given),
    help="COMPRESS=ZSTD, DEFLATE, LZW or NONE; LEVEL=1 to 22 (DEFLATE: 9); OVERVIEWS=AUTO or NONE; STATISTICS=YES or "
    "NO; may be repeated.",
)
"""Option of every verb that writes GeoTIFFs."""

_RUNNING = (
    option_of(
        RunOptions,
        "device",
        "--device",
        type=DEVICE,
        metavar="NAME",
        help="Where the model runs: cpu, cuda, cuda:N, mps.",
    ),
    click.option(
        "--memory", type=BYTES, metavar="SIZE", help="Memory limit, for example 4GB; a run that needs more is refused."
    ),
    click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler, for example tcp://scheduler:8786."),
    click.option(
        "--band",
        "bands",
        type=BAND,
        multiple=True,
        metavar="NAME=N",
        help="Number of a band that the file does not name, such as red=3; may be repeated.",
    ),
    click.option("--assume-crs", metavar="CRS", help="CRS of the input if the file has none or a wrong one."),
    _NODATA,
    *READING,
    creation_option,
    click.option("--restart", is_flag=True, help="Start from scratch instead of resuming an unfinished run."),
    click.option(
        "--tile",
        type=click.IntRange(min=1),
        metavar="N",
        help="Input cells per side of a tile.  [default: as large as fits]",
    ),
    click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: all]"),
    click.option("--quiet", is_flag=True, help="Print no progress and no summary."),
)


def running(*extra: Callable[[RunReport], str]) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of every verb that runs a model on files.

    Parameters
    ----------
    extra
        Functions of the report that make further lines of the closing summary.

    Returns
    -------
    callable
        The decorator of a command.
    """

    def decorate(verb: Command) -> Command:
        @functools.wraps(verb)
        def wrapped(destination: Path, bands: tuple[tuple[str, int], ...], quiet: bool, **given: Any) -> Any:
            summary = None if quiet else partial(print_summary, destination, extra)
            return verb(destination=destination, bands=dict(bands) or None, progress=not quiet, report=summary, **given)

        return _with(_RUNNING, wrapped)

    return decorate


def reading(verb: Command) -> Command:
    """Add the options of a verb that reads rasters and runs no model.

    Parameters
    ----------
    verb
        The command.

    Returns
    -------
    callable
        The command with the options.
    """
    return _with(READING, verb)


def heights_as_stated(verb: Command) -> Command:
    """Add the options that state of a DEM what its file does not: band, CRS, nodata value and unit.

    Parameters
    ----------
    verb
        The command.

    Returns
    -------
    callable
        The command with the options.
    """
    return _with(_HEIGHTS, verb)


def _creation_options(given: tuple[str, ...]) -> dict[str, str] | None:
    """`COMPRESS=LZW` and the like by name; an error of usage for what is no pair, stated twice or not allowed."""
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (name, _, value) in zip(given, pairs, strict=True) if not (name and value)]:
        raise click.BadParameter(f"{wrong[0]!r}: expected KEY=VALUE, for example COMPRESS=DEFLATE")
    names = [name.strip().upper() for name, _, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise click.BadParameter(f"{twice} is stated twice")
    found = dict(zip(names, (value for _, _, value in pairs), strict=True))
    try:
        RunOptions(creation_options=found or None)
    except UsageError as e:
        raise click.BadParameter(str(e)) from None
    return found or None


def optical(sensors: tuple[str, ...]) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of every verb that reads an optical image.

    Parameters
    ----------
    sensors
        Names that `--sensor` accepts.

    Returns
    -------
    callable
        The decorator of a command.
    """
    from terrafine.workflows.inputs.scene import MAX_BRIGHT

    options = (
        click.option(
            "--sensor",
            type=click.Choice(sensors),
            help="Sensor or product, which states how numbers become reflectance.  [default: detected]",
        ),
        click.option(
            "--max-bright",
            type=float,
            help="Largest share, 0 to 1, that may look like cloud or snow.  "
            f"[default: {MAX_BRIGHT}; with --sensor only a note]",
        ),
    )
    return partial(_with, options)


def _with(options: tuple[Callable[[Command], Command], ...], verb: Command) -> Command:
    for option in reversed(options):
        verb = option(verb)
    return verb


def print_summary(destination: Path, extra: tuple[Callable[[RunReport], str], ...], report: RunReport) -> None:
    """Print the closing summary: size, time and rate, then the lines of the verb; notes on the input go to stderr.

    Parameters
    ----------
    destination
        The output.
    extra
        Functions of the report that make further lines.
    report
        What the run reports.
    """
    rows, columns = report.plan.output_shape
    rate = rows * columns / 1e6 / max(report.seconds_total, 1e-9)
    of_model = " of the model's cells" if report.warped_to else ""
    rows, columns = report.warped_to or (rows, columns)
    where = "" if report.device == "cpu" else f" on {report.device}"
    resumed = f", {report.shards_resumed} shards taken over from an earlier run" if report.shards_resumed else ""
    say(
        f"{destination}: {rows:,} × {columns:,} cells, {human_bytes(destination.stat().st_size)}\n"
        f"{report.seconds_total:.1f} s, {rate:.2f} Mpx/s{of_model}, {report.seconds_model:.1f} s of it in the model"
        f"{where}, peak memory {human_bytes(report.peak_memory_bytes)}{resumed}"
    )
    for line in (*(f(report) for f in extra), *report.findings):
        say(line)
    for remark in report.notes:
        note(f"note: {as_options(remark, click.get_current_context().command)}")
