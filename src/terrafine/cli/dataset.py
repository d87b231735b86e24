"""`terrafine dataset`: make training samples from the user's own images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from terrafine.cli.dataset_terrain import height, pairs
from terrafine.cli.defaults import LibraryOption
from terrafine.cli.messages import say
from terrafine.cli.output import inputs_and_output
from terrafine.cli.parameter_types import BAND
from terrafine.errors import UsageError

__all__ = ["dataset"]

_OPTIONS = "terrafine.datasets.impervious.options:DatasetOptions"
_SENSOR = "terrafine.physics.sensor_model:Sensor"


@click.group(short_help="Make training samples from images and labels.")
def dataset() -> None:
    """Make training samples from your own images and labels."""


dataset.add_command(height)
dataset.add_command(pairs)


@dataset.command(short_help="Samples of impervious surface: fine image, 10 m image and 1 m label.")
@inputs_and_output("IMAGE", "DIR", into="images", name="out", overwrite=False)
@click.option(
    "--labels",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A vector file of buildings and roads, a label raster, or a folder of label rasters with the names of the "
    "images; may be repeated.",
)
@click.option(
    "--impervious",
    "--sealed",
    "impervious",
    callback=lambda _, __, given: _listed(given),
    cls=LibraryOption,
    owner=_OPTIONS,
    metavar="A,B",
    help="Classes or colours (#RRGGBB) of label rasters that mean impervious.",
)
@click.option(
    "--unknown",
    callback=lambda _, __, given: _listed(given),
    metavar="A,B",
    help="Classes or colours (#RRGGBB) of label rasters that mean unknown.",
)
@click.option(
    "--road-width",
    "road_widths",
    multiple=True,
    metavar="CLASS=M",
    help="Width in metres of a road class, such as residential=6; may be repeated.",
)
@click.option("--nir", is_flag=True, help="Use near infrared as well as red, green and blue.")
@click.option(
    "--band", "band_numbers", type=BAND, multiple=True, help="Number of a band, such as red=3; may be repeated."
)
@click.option(
    "--divide-by",
    "full_scale",
    type=float,
    metavar="N",
    help="Number that stands for a reflectance of 1 in the images.  [default: from their type]",
)
@click.option(
    "--pixel-size", "pixel_size_m", type=float, metavar="M", help="Pixel size in metres of images without CRS."
)
@click.option("--coarse", type=click.Path(path_type=Path), metavar="FILE", help="A real 10 m image of the same ground.")
@click.option(
    "--coarse-divide-by",
    "coarse_scale",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=float,
    metavar="N",
    help="Like --divide-by, for the --coarse image.",
)
@click.option(
    "--histogram-of", metavar="FILE", help="A 10 m image to which the histograms of the fine images are matched."
)
@click.option(
    "--mtf",
    cls=LibraryOption,
    owner=_SENSOR,
    type=float,
    help="Modulation transfer of the simulated sensor at its Nyquist frequency.",
)
@click.option(
    "--noise", cls=LibraryOption, owner=_SENSOR, type=float, help="Noise of the simulated sensor (1σ), reflectance."
)
@click.option("--regions", metavar="FILE", help="A raster of whole numbers: the strata to draw samples from.")
@click.option("--side", cls=LibraryOption, owner=_OPTIONS, type=int, metavar="M", help="Side of a sample in metres.")
@click.option("--count", type=int, metavar="N", help="Number of samples.  [default: all that keep the spacing]")
@click.option(
    "--spacing",
    "spacing_m",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=float,
    metavar="M",
    help="Smallest distance between samples in metres.",
)
@click.option(
    "--share",
    "shares",
    multiple=True,
    metavar="SPLIT=S",
    help="Share of a split, such as val=0.2.  [default: val and test 0.15]",
)
@click.option(
    "--hold-out", multiple=True, metavar="SPLIT=TEXT", help="Images with TEXT in their path go to that split."
)
@click.option(
    "--block",
    "block_m",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=float,
    metavar="M",
    help="Side of blocks that go to one split as a whole.",
)
@click.option("--seed", cls=LibraryOption, owner=_OPTIONS, type=int, help="Random seed.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
def impervious(
    images: tuple[str, ...],
    labels: tuple[Path, ...],
    out: Path,
    nir: bool,
    mtf: float | None,
    noise: float | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Cut samples of impervious surface from fine IMAGEs and labels into DIR, a new folder.

    Each sample is a 1 m image, a 10 m image, real or made by a stated sensor, and a 1 m label: 1 impervious, 0 other,
    255 unknown. index.json states the origin and the split of each.
    """
    from terrafine.workflows.dataset import Sensor, build_dataset

    options["road_widths"] = _numbers(options["road_widths"], "--road-width")
    options["shares"] = _numbers(options["shares"], "--share")
    options["hold_out"] = _pairs(options["hold_out"], "--hold-out")
    options["band_numbers"] = dict(options["band_numbers"])
    options["bands"] = ("red", "green", "blue", "nir") if nir else None
    given = {name: value for name, value in options.items() if value not in (None, (), {})}
    sensor = Sensor(**{name: value for name, value in (("mtf", mtf), ("noise", noise)) if value is not None})
    index = build_dataset([Path(p) for p in images], labels, out, sensor=sensor, **given)
    if quiet:
        return
    splits = [s["split"] for s in index["samples"]]
    parts = ", ".join(f"{splits.count(name)} {name}" for name in sorted(set(splits)))
    share = sum(s["impervious"] for s in index["samples"]) / len(splits)
    say(f"{out}: {len(splits)} samples of {index['side']} m ({parts}), {100 * share:.1f} % impervious")
    for note in index["notes"]:
        say(note)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise UsageError(f"{option} {' '.join(given)}: expected NAME=VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _numbers(given: Sequence[str], option: str) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in _pairs(given, option).items()}
    except ValueError:
        raise UsageError(f"{option} {' '.join(given)}: expected a number after =") from None
