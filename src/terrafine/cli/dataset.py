"""`terrafine dataset`: samples to train on, from images and labels of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import LibraryOption
from terrafine.cli.parameter_types import BAND
from terrafine.errors import UsageError

__all__ = ["dataset"]

_OPTIONS = "terrafine.datasets.impervious.options:DatasetOptions"
_SENSOR = "terrafine.physics.sensor_model:Sensor"


@click.group(short_help="Make samples to train on from images and labels.")
def dataset() -> None:
    """Make samples to train on from images and labels of one's own."""


@dataset.command(short_help="Samples of impervious surface: fine image, 10 m image, 1 m label.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option(
    "--labels",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Buildings and roads as vectors, a raster, or a folder below which rasters are named as the images; may be "
    "repeated.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@click.option(
    "--impervious",
    "--sealed",
    "impervious",
    callback=lambda _, __, given: _listed(given),
    cls=LibraryOption,
    owner=_OPTIONS,
    metavar="A,B",
    help="Classes or #RRGGBB of rasters that are impervious.",
)
@click.option(
    "--unknown",
    callback=lambda _, __, given: _listed(given),
    metavar="A,B",
    help="Classes or #RRGGBB of rasters that are not known.",
)
@click.option("--road-width", "road_widths", multiple=True, metavar="CLASS=M", help="Width of a class of roads.")
@click.option("--nir", is_flag=True, help="Take the near infrared as well as red, green and blue.")
@click.option("--band", "band_numbers", type=BAND, multiple=True, help="Number of a band, as red=3; may be repeated.")
@click.option(
    "--divide-by",
    "full_scale",
    type=float,
    metavar="N",
    help="What images hold for a reflectance of 1.  [default: by type]",
)
@click.option(
    "--pixel-size", "pixel_size_m", type=float, metavar="M", help="Metres along a pixel of images without CRS."
)
@click.option("--coarse", type=click.Path(path_type=Path), metavar="FILE", help="A real 10 m image of the same ground.")
@click.option(
    "--coarse-divide-by",
    "coarse_scale",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=float,
    metavar="N",
    help="As above, of it.",
)
@click.option("--histogram-of", metavar="FILE", help="A 10 m image whose histogram the fine images are given.")
@click.option(
    "--mtf", cls=LibraryOption, owner=_SENSOR, type=float, help="The sensor's modulation at its Nyquist frequency."
)
@click.option("--noise", cls=LibraryOption, owner=_SENSOR, type=float, help="The sensor's noise (1σ), reflectance.")
@click.option("--regions", metavar="FILE", help="A raster of integers: the strata.")
@click.option("--side", cls=LibraryOption, owner=_OPTIONS, type=int, metavar="M", help="Metres along a sample.")
@click.option("--count", type=int, metavar="N", help="Samples in all.  [default: all that keep the spacing]")
@click.option(
    "--spacing", "spacing_m", cls=LibraryOption, owner=_OPTIONS, type=float, metavar="M", help="Metres between samples."
)
@click.option(
    "--share", "shares", multiple=True, metavar="SPLIT=S", help="Share of a split.  [default: val and test 0.15]"
)
@click.option(
    "--hold-out", multiple=True, metavar="SPLIT=TEXT", help="Images with TEXT in their path go to that split."
)
@click.option(
    "--block", "block_m", cls=LibraryOption, owner=_OPTIONS, type=float, metavar="M", help="Ground that is never split."
)
@click.option("--seed", cls=LibraryOption, owner=_OPTIONS, type=int, help="Of everything that is drawn.")
@click.option("--quiet", is_flag=True, help="Say nothing.")
def impervious(
    images: tuple[Path, ...],
    labels: tuple[Path, ...],
    out: Path,
    nir: bool,
    mtf: float | None,
    noise: float | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Cut samples of impervious surface from fine IMAGEs and labels into a new folder.

    Each sample is a 1 m image, a 10 m image, real or made by a stated sensor, and a 1 m label: 1 impervious, 0 other,
    255 not known. index.json says where each came from and to which split it belongs.
    """
    from terrafine.workflows.dataset import Sensor, build_dataset

    options["road_widths"] = _numbers(options["road_widths"], "--road-width")
    options["shares"] = _numbers(options["shares"], "--share")
    options["hold_out"] = _pairs(options["hold_out"], "--hold-out")
    options["band_numbers"] = dict(options["band_numbers"])
    options["bands"] = ("red", "green", "blue", "nir") if nir else None
    given = {name: value for name, value in options.items() if value not in (None, (), {})}
    sensor = Sensor(**{name: value for name, value in (("mtf", mtf), ("noise", noise)) if value is not None})
    index = build_dataset(images, labels, out, sensor=sensor, **given)
    if quiet:
        return
    splits = [s["split"] for s in index["samples"]]
    parts = ", ".join(f"{splits.count(name)} {name}" for name in sorted(set(splits)))
    share = sum(s["impervious"] for s in index["samples"]) / len(splits)
    click.echo(f"{out}: {len(splits)} samples of {index['side']} m ({parts}), {100 * share:.1f} % impervious")
    for note in index["notes"]:
        click.echo(note)


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
