"""`terrafine dataset`: samples to train on, from images and labels of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from terrafine.cli.parameter_types import BAND
from terrafine.errors import UsageError

__all__ = ["dataset"]


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
    "classes",
    default="1",
    show_default=True,
    metavar="A,B",
    help="Classes or #RRGGBB of rasters that are impervious.",
)
@click.option("--unknown", default="", metavar="A,B", help="Classes or #RRGGBB of rasters that are not known.")
@click.option("--road-width", "widths", multiple=True, metavar="CLASS=M", help="Width of a class of roads.")
@click.option("--nir", is_flag=True, help="Take the near infrared as well as red, green and blue.")
@click.option("--band", "numbers", type=BAND, multiple=True, help="Number of a band, as red=3; may be repeated.")
@click.option(
    "--divide-by", type=float, metavar="N", help="What images hold for a reflectance of 1.  [default: by type]"
)
@click.option("--pixel-size", type=float, metavar="M", help="Metres along a pixel of images without CRS.")
@click.option("--coarse", type=click.Path(path_type=Path), metavar="FILE", help="A real 10 m image of the same ground.")
@click.option(
    "--coarse-divide-by", type=float, default=10_000.0, show_default=True, metavar="N", help="As above, of it."
)
@click.option("--histogram-of", metavar="FILE", help="A 10 m image whose histogram the fine images are given.")
@click.option(
    "--mtf", type=float, default=0.2, show_default=True, help="The sensor's modulation at its Nyquist frequency."
)
@click.option("--noise", type=float, default=0.002, show_default=True, help="The sensor's noise (1σ), reflectance.")
@click.option("--regions", metavar="FILE", help="A raster of integers: the strata.")
@click.option("--side", type=int, default=320, show_default=True, metavar="M", help="Metres along a sample.")
@click.option("--count", type=int, metavar="N", help="Samples in all.  [default: all that keep the spacing]")
@click.option("--spacing", type=float, default=3000.0, show_default=True, metavar="M", help="Metres between samples.")
@click.option(
    "--share", "shares", multiple=True, metavar="SPLIT=S", help="Share of a split.  [default: val and test 0.15]"
)
@click.option(
    "--hold-out", multiple=True, metavar="SPLIT=TEXT", help="Images with TEXT in their path go to that split."
)
@click.option("--block", type=float, default=5000.0, show_default=True, metavar="M", help="Ground that is never split.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything that is drawn.")
@click.option("--quiet", is_flag=True, help="Say nothing.")
def impervious(
    images: tuple[Path, ...],
    labels: tuple[Path, ...],
    out: Path,
    classes: str,
    unknown: str,
    widths: tuple[str, ...],
    nir: bool,
    numbers: tuple[tuple[str, int], ...],
    divide_by: float | None,
    pixel_size: float | None,
    coarse: Path | None,
    coarse_divide_by: float,
    histogram_of: str | None,
    mtf: float,
    noise: float,
    regions: str | None,
    side: int,
    count: int | None,
    spacing: float,
    shares: tuple[str, ...],
    hold_out: tuple[str, ...],
    block: float,
    seed: int,
    quiet: bool,
) -> None:
    """Cut samples of impervious surface from fine IMAGEs and labels into a new folder.

    Each sample is a 1 m image, a 10 m image, real or made by a stated sensor, and a 1 m label: 1 impervious, 0 other,
    255 not known. index.json says where each came from and to which split it belongs.
    """
    from terrafine.datasets.impervious.build import build_dataset
    from terrafine.physics.sensor_model import Sensor

    index = build_dataset(
        images,
        labels,
        out,
        impervious=_listed(classes),
        unknown=_listed(unknown),
        road_widths=_numbers(widths, "--road-width"),
        bands=("red", "green", "blue", "nir") if nir else ("red", "green", "blue"),
        band_numbers=dict(numbers) or None,
        full_scale=divide_by,
        pixel_size_m=pixel_size,
        coarse=coarse,
        coarse_scale=coarse_divide_by,
        histogram_of=histogram_of,
        sensor=Sensor(mtf=mtf, noise=noise),
        regions=regions,
        side=side,
        count=count,
        spacing_m=spacing,
        shares=_numbers(shares, "--share") or None,
        hold_out=_pairs(hold_out, "--hold-out"),
        block_m=block,
        seed=seed,
    )
    if quiet:
        return
    splits = [s["split"] for s in index["samples"]]
    parts = ", ".join(f"{splits.count(name)} {name}" for name in sorted(set(splits)))
    share = sum(s["impervious"] for s in index["samples"]) / len(splits)
    click.echo(f"{out}: {len(splits)} samples of {side} m ({parts}), {share:.1%} impervious")
    for note in index["notes"]:
        click.echo(note)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


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
