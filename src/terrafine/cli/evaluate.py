"""`terrafine evaluate`: surfaces and a reference into a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from terrafine.cli.judge import judge
from terrafine.cli.parameter_types import BYTES
from terrafine.cli.table import columns
from terrafine.errors import OutputError, UsageError

__all__ = ["evaluate"]

HEADER = ("surface", "RMSE m", "MAE m", "NMAD m", "bias m", "slope RMSE °", "streams F1")


@click.command(short_help="Compare elevation models with a reference.")
@click.argument("surfaces", nargs=-1, required=True, metavar="CANDIDATE... [REFERENCE]")
@click.option("--reference", metavar="FILE", help="The truth; without it, the last file named.")
@click.option("--coarse", metavar="FILE", help="What the candidates were made from: adds bicubic and the consistency.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write results.json, index.html and CSVs here."
)
@click.option("--gate", metavar="TOML", help="Limits on the results; exit code 17 where one is not kept.")
@click.option(
    "--coregistration/--no-coregistration",
    "coregister",
    default=True,
    show_default=True,
    help="Shift each surface onto the reference before differencing (Nuth & Kääb 2011).",
)
@click.option(
    "--slope",
    "slope_method",
    type=click.Choice(["horn", "zevenbergen-thorne"]),
    default="horn",
    show_default=True,
    help="How gradients are taken.",
)
@click.option("--hydrology/--no-hydrology", default=True, show_default=True, help="Streams, watersheds and floods.")
@click.option(
    "--stream-area",
    "stream_areas_km2",
    type=float,
    multiple=True,
    metavar="KM2",
    help="Contributing area from which a stream runs; may be repeated.  [default: by the extent]",
)
@click.option(
    "--stage",
    "stages_m",
    type=float,
    multiple=True,
    metavar="M",
    help="Flood height above the streams; may be repeated.  [default: 1, 2 and 5]",
)
@click.option(
    "--hydrology-memory",
    type=BYTES,
    metavar="SIZE",
    help="Leave hydrology out where it needs more; it holds surfaces whole.  [default: 4GiB]",
)
@click.option(
    "--sigma-multiple",
    "multipliers",
    callback=lambda _, __, given: _multiples(given),
    multiple=True,
    metavar="P=K",
    help="Half width in σ of the interval of probability P, as `terrafine info WEIGHTS` states it; may be repeated.  "
    "[default: as the file's tag SIGMA_COVERS says, else Gaussian]",
)
@click.option(
    "--mask", "masks", multiple=True, metavar="FILE", help="Leave out its cells other than 0; may be repeated."
)
@click.option("--classes", metavar="FILE", help="Integers to break the errors down by: land cover, regions.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["elevation", "classes", "image"]),
    help="What the files are.  [default: as the first candidate's header says]",
)
@click.option(
    "--class-name", "names", multiple=True, metavar="N=NAME", help="Name of a class of a class map; may be repeated."
)
@click.option(
    "--divide-by", type=float, metavar="N", help="Images: reflectance × N is what the files hold.  [default: by type]"
)
@click.option("--vertical-datum", metavar="NAME", help="Datum of files that do not say.")
@click.option("--assume-crs", metavar="CRS", help="CRS of files that have none.")
@click.option("--quiet", is_flag=True, help="No progress, no table.")
def evaluate(
    surfaces: tuple[str, ...],
    reference: str | None,
    coarse: str | None,
    out: Path | None,
    gate: str | None,
    stages_m: tuple[float, ...],
    hydrology_memory: int | None,
    quiet: bool,
    kind: str | None,
    names: tuple[str, ...],
    divide_by: float | None,
    **options: Any,
) -> None:
    """Compare one or several CANDIDATE files with a REFERENCE, the last file named.

    All are judged on the same cells and ranked by RMSE. With --coarse, bicubic and back-projected bicubic of it are
    judged beside them, and the first line says whether the best candidate is better.

    Class maps are ranked by F1; their REFERENCE may be a CSV of sampled points (x, y, class). Images need --coarse,
    the image that they were made from.
    """
    from terrafine.evaluation.elevation.compare import compare
    from terrafine.evaluation.gate import check, load_gates, raise_unless_passed
    from terrafine.evaluation.report import write_report

    candidates, truth = _split(surfaces, reference)
    gates = load_gates(gate) if gate else []
    if out is not None and out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; expected a folder for the report, or a name that is free")
    from terrafine.raster.read.content_type import kind_of

    held = kind or kind_of(candidates[0])
    for path in () if kind else (*candidates, truth):
        if Path(path).suffix.lower() != ".csv" and kind_of(path) == "probability":
            raise UsageError(
                f"{path}: holds a probability, which is not judged; give the class map that was made of it, or say "
                "with --as what the files are"
            )
    if held != "elevation":
        _refuse_elevation_options(held)
        judged = judge(
            held, candidates, truth, coarse, out, gates, names, divide_by, None if quiet else _Blocks(), options
        )
        raise_unless_passed(judged)
        return
    if names or divide_by:
        raise UsageError("--class-name is for class maps and --divide-by for images; these are elevation models")
    options |= {"stages_m": stages_m} if stages_m else {}
    options |= {"hydrology_memory": hydrology_memory} if hydrology_memory else {}
    drawn: list[Any] = []
    results: Any = compare(
        candidates,
        truth,
        coarse=coarse,
        progress=None if quiet else _Blocks(),
        figures=None if out is None else drawn.append,
        **options,
    )
    if gates:
        results["gates"] = check(results, gates)
    written = [] if out is None else write_report(results, drawn[0] if drawn else None, out)
    if not quiet:
        _show(results, written)
    raise_unless_passed(results.get("gates", []))


_ELEVATION_ONLY = ("slope_method", "stream_areas_km2", "stages_m", "hydrology_memory", "multipliers", "vertical_datum")


def _refuse_elevation_options(held: str) -> None:
    """An option that means nothing for classes or images is an error where it was given."""
    context = click.get_current_context()
    given = [n for n in _ELEVATION_ONLY if context.get_parameter_source(n) is click.core.ParameterSource.COMMANDLINE]
    if given:
        flags = [p.opts[0] for p in context.command.params if p.name in given]
        raise UsageError(
            f"{', '.join(flags)}: for elevation models only, and these are {held}; leave it out, or say --as elevation"
        )


def _multiples(given: tuple[str, ...]) -> dict[float, float]:
    """`0.9=1.7` and the like as {0.9: 1.7}."""
    try:
        found = {float(p): float(k) for p, k in (text.split("=") for text in given)}
    except ValueError:
        found = {0.0: 0.0}
    if not all(0 < p < 1 and k > 0 for p, k in found.items()):
        raise click.BadParameter(f"{' '.join(given)!r}: expected for example 0.68=1.05 and 0.9=1.8")
    return found


def _split(surfaces: tuple[str, ...], reference: str | None) -> tuple[tuple[str, ...], str]:
    if reference is not None:
        return surfaces, reference
    if len(surfaces) < 2:
        raise UsageError(
            f"{surfaces[0]}: the only file named; expected a candidate and, after it or with --reference, a reference"
        )
    return surfaces[:-1], surfaces[-1]


def _show(results: Mapping[str, Any], written: list[Path]) -> None:
    click.echo(results["verdict"]["sentence"])
    surfaces = {**{c["name"]: c for c in results["candidates"]}, **results["baselines"]}
    click.echo(columns(HEADER, [_row(name, scores) for name, scores in surfaces.items()]))
    for note in results["notes"]:
        click.echo(note)
    for gate in results.get("gates", []):
        click.echo(f"{'passed' if gate['passed'] else 'FAILED'}  {gate['candidate']}: {gate['key']} {gate['value']}")
    if written:
        pages = [path for path in written if path.suffix != ".csv"]
        tables = len(written) - len(pages)
        click.echo(f"{', '.join(map(str, pages))} and {tables} tables as CSV beside them")


def _row(name: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    heights = [scores["elevation"].get(key) for key in ("rmse", "mae", "nmad", "bias")]
    measures = (scores.get("terrain") or {}).get("measures") or {}
    slope = measures.get("slope", {}).get("rmse")
    numbers = (*heights, slope, _streams(scores))
    return name.replace("_", "-"), *("-" if value is None else f"{value:.3f}" for value in numbers)


def _streams(scores: Mapping[str, Any]) -> float | None:
    """F1 of the streams of the middle contributing area, within one cell."""
    rows = (scores.get("hydrology") or {}).get("streams") or []
    overlap = rows[len(rows) // 2]["overlap"] if rows else []
    return next((row["f1"] for row in overlap if row["tolerance_cells"] == 1), None)


class _Blocks:
    """A bar of steps done."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, done: int, steps: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=steps, unit="step", dynamic_ncols=True, disable=None)
        self._bar.update(done - self._bar.n)
        if done == steps:
            self._bar.close()
