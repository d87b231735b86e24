"""`terrafine evaluate`: compare candidates with a reference."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from terrafine.cli.defaults import LibraryOption
from terrafine.cli.messages import json_option, print_json
from terrafine.cli.options import reading
from terrafine.cli.output import FLAGS
from terrafine.cli.parameter_types import BAND, BYTES
from terrafine.errors import UsageError

__all__ = ["evaluate"]

_OPTIONS = "terrafine.evaluation.elevation.options:Options"


@click.command(short_help="Compare elevation models, class maps or images with a reference.")
@click.argument("surfaces", nargs=-1, required=True, type=click.Path(), metavar="CANDIDATE... [REFERENCE] [DIR/]")
@click.option("--reference", metavar="FILE", help="The truth.  [default: the last file named]")
@click.option(
    "--coarse",
    metavar="FILE",
    help="Input that the candidates were made from: adds bicubic baselines and the consistency with it.",
)
@click.option(
    *FLAGS,
    "out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write results.json, index.html and CSVs here, over those of an earlier report.",
)
@click.option("--gate", metavar="TOML", help="Limits that the results must keep, else exit code 17.")
@click.option(
    "--coregistration/--no-coregistration",
    "coregister",
    cls=LibraryOption,
    owner=_OPTIONS,
    help="Shift each surface onto the reference before differencing (Nuth & Kääb 2011).",
)
@click.option(
    "--slope",
    "slope_method",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=click.Choice(["horn", "zevenbergen-thorne"]),
    help="Method of computing slopes.",
)
@click.option(
    "--hydrology/--no-hydrology", cls=LibraryOption, owner=_OPTIONS, help="Compare streams, watersheds and floods."
)
@click.option(
    "--stream-area",
    "stream_areas_km2",
    type=float,
    multiple=True,
    metavar="KM2",
    help="Contributing area at which streams begin; may be repeated.  [default: from the extent]",
)
@click.option(
    "--stage",
    "stages_m",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=float,
    multiple=True,
    metavar="M",
    help="Flood height above the streams; may be repeated.",
)
@click.option(
    "--hydrology-memory",
    cls=LibraryOption,
    owner=_OPTIONS,
    type=BYTES,
    metavar="SIZE",
    help="Skip hydrology if it needs more memory; it holds whole surfaces.",
)
@click.option(
    "--sigma-multiple",
    "multipliers",
    callback=lambda _, __, given: _multiples(given),
    multiple=True,
    metavar="P=K",
    help="Half width in σ of the interval of probability P, as `terrafine info WEIGHTS` states it; may be repeated.  "
    "[default: as the file's tag SIGMA_COVERS states, else Gaussian]",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="FILE",
    help="Raster whose cells other than 0 are left out; may be repeated.",
)
@click.option(
    "--classes",
    metavar="FILE",
    help="Raster of whole numbers (land cover, regions) to break the errors, or the agreement of class maps, down by.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["elevation", "classes", "image"]),
    help="Content of the files.  [default: detected from the first candidate]",
)
@click.option(
    "--class-name",
    "class_names",
    callback=lambda _, __, given: _class_names(given),
    multiple=True,
    metavar="N=NAME",
    help="Name of a class of a class map or of --classes; may be repeated.",
)
@click.option(
    "--divide-by", type=float, metavar="N", help="Images: the files hold reflectance × N.  [default: from their type]"
)
@click.option(
    "--band",
    "bands",
    type=BAND,
    multiple=True,
    metavar="NAME=N",
    help="Number of a band that files of several bands do not name: elevation=2, class=1, red=3; may be repeated.",
)
@click.option(
    "--elevation-unit", metavar="UNIT", help="Unit of the heights of files that do not state it: m, ft, us-ft."
)
@click.option("--vertical-datum", metavar="NAME", help="Vertical datum of files that do not state it.")
@click.option("--assume-crs", metavar="CRS", help="CRS of files that have none.")
@reading
@json_option
@click.option("--quiet", is_flag=True, help="Print no progress and no table.")
def evaluate(
    surfaces: tuple[str, ...], reference: str | None, out: Path | None, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Compare one or several CANDIDATE files with a REFERENCE, the last file named, and report into DIR.

    DIR is named last, with a slash at its end, or with -o.

    Elevation models are compared on the same cells and ranked by RMSE. With --coarse, bicubic and back-projected
    bicubic interpolation of that file are compared too, and the first line states whether the best candidate beats
    them.

    Class maps are ranked by F1; their REFERENCE may be a CSV of sampled points (x, y, class). Images need --coarse,
    the image that they were made from.
    """
    from terrafine.cli.evaluation_table import print_evaluation
    from terrafine.workflows.evaluate import evaluate as compare

    surfaces, options["out"] = _folder(surfaces, out)
    candidates, truth = _split(surfaces, reference)
    options["bands"] = dict(options["bands"])
    given = {name: value for name, value in options.items() if value not in (None, (), {})}
    done = compare(candidates, truth, progress=not quiet, **given)
    if as_json:
        print_json({"kind": done.kind, **done.results, "files": list(done.files)})
    elif not quiet:
        print_evaluation(done)
    done.raise_unless_passed()


def _multiples(given: tuple[str, ...]) -> dict[float, float]:
    """`0.9=1.7` and the like as {0.9: 1.7}."""
    try:
        found = {float(p): float(k) for p, k in (text.split("=") for text in given)}
    except ValueError:
        found = {0.0: 0.0}
    if not all(0 < p < 1 and k > 0 for p, k in found.items()):
        raise click.BadParameter(f"{' '.join(given)!r}: expected for example 0.68=1.05 and 0.9=1.8")
    return found


def _class_names(given: tuple[str, ...]) -> dict[int, str]:
    """`1=impervious` and the like as {1: "impervious"}."""
    pairs = [text.partition("=") for text in given]
    if not all(number.strip().isdigit() and name.strip() for number, _, name in pairs):
        raise click.BadParameter(f"{' '.join(given)!r}: expected for example 1=impervious")
    return {int(number): name.strip() for number, _, name in pairs}


def _folder(surfaces: tuple[str, ...], named: Path | None) -> tuple[tuple[str, ...], Path | None]:
    """The files, and the folder of the report: named with -o, or last, where it ends in a slash or holds a report."""
    last = Path(surfaces[-1])
    is_folder = surfaces[-1].endswith(("/", os.sep)) or (last.is_dir() and (last / "results.json").is_file())
    if is_folder and named is not None:
        raise UsageError(f"the output is named twice, {surfaces[-1]} and -o {named}; name one")
    if is_folder and len(surfaces) > 1:
        return surfaces[:-1], last
    if len(surfaces) > 1 and named is None and not last.suffix and not last.exists() and ":" not in surfaces[-1]:
        raise UsageError(f"{last}: no such file. A folder for the report is named {last}/ or -o {last}")
    return surfaces, named


def _split(surfaces: tuple[str, ...], reference: str | None) -> tuple[tuple[str, ...], str]:
    if reference is not None:
        return surfaces, reference
    if len(surfaces) < 2:
        raise UsageError(
            f"{surfaces[0]}: the only file named; expected a candidate and, after it or with --reference, a reference"
        )
    return surfaces[:-1], surfaces[-1]
