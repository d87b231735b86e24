"""`terrafine evaluate`: surfaces and a reference into a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from terrafine.cli.table import columns

__all__ = ["evaluate"]

HEADER = ("surface", "RMSE m", "MAE m", "NMAD m", "bias m", "slope RMSE °")


@click.command(short_help="Compare elevation models with a reference.")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@click.argument("reference")
@click.option("--coarse", metavar="FILE", help="What the candidates were made from: adds bicubic and the consistency.")
@click.option(
    "--coregistration/--no-coregistration",
    "coregister",
    default=True,
    show_default=True,
    help="Shift each surface onto the reference before differencing (Nuth & Kääb 2011).",
)
@click.option(
    "--mask", "masks", multiple=True, metavar="FILE", help="Leave out its cells other than 0; may be repeated."
)
@click.option("--classes", metavar="FILE", help="Integers to break the errors down by, for example land cover.")
@click.option("--vertical-datum", metavar="NAME", help="Datum of files that do not say.")
@click.option("--assume-crs", metavar="CRS", help="CRS of files that have none.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write results.json, tables and a page here."
)
@click.option("--quiet", is_flag=True, help="No progress, no table.")
def evaluate(
    candidates: tuple[str, ...],
    reference: str,
    coarse: str | None,
    coregister: bool,
    masks: tuple[str, ...],
    classes: str | None,
    vertical_datum: str | None,
    assume_crs: str | None,
    out: Path | None,
    quiet: bool,
) -> None:
    """Compare one or several CANDIDATE files with REFERENCE, the last file named.

    All are judged on the same cells. With --coarse, bicubic and back-projected bicubic of it are judged beside them.
    """
    from terrafine.evaluation.compare import evaluate as compare
    from terrafine.evaluation.report import write_report

    results: Any = compare(
        candidates,
        reference,
        coarse=coarse,
        coregister=coregister,
        masks=masks,
        classes=classes,
        assume_crs=assume_crs,
        vertical_datum=vertical_datum,
        progress=None if quiet else _Blocks(),
    )
    written = [] if out is None else write_report(results, None, out)
    if not quiet:
        surfaces = {**{c["name"]: c for c in results["candidates"]}, **results["baselines"]}
        click.echo(columns(HEADER, [_row(name, scores) for name, scores in surfaces.items()]))
        for line in (*results["notes"], results["verdict"]["sentence"], *map(str, written)):
            click.echo(line)


def _row(name: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    heights = [scores["elevation"].get(key) for key in ("rmse", "mae", "nmad", "bias")]
    measures = (scores.get("terrain") or {}).get("measures") or {}
    slope = measures.get("slope", {}).get("rmse")
    return name.replace("_", "-"), *("-" if value is None else f"{value:.3f}" for value in (*heights, slope))


class _Blocks:
    """A bar of blocks done."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, done: int, blocks: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=blocks, unit="block", dynamic_ncols=True, disable=None)
        self._bar.update(done - self._bar.n)
        if done == blocks:
            self._bar.close()
