"""`measure_product`: fit the sensor model of a DEM on a finer reference; `terrafine measure` calls it."""

from __future__ import annotations

import contextlib
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from terrafine.errors import OutputError, UsageError
from terrafine.notebook import table_of
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.fields import MeasureFields, merge_options
from terrafine.workflows.options import ReadOptions

if TYPE_CHECKING:
    from terrafine.evaluation.sensor_fit import FittedSensor
    from terrafine.raster.products import Product
    from terrafine.raster.read.source import Source

__all__ = ["Measurement", "measure_product"]

PathLike = str | os.PathLike[str]
_LIMITS = {"draws": (20, 10_000)}


@dataclass(frozen=True, slots=True)
class Measurement:
    """Result of `measure_product`.

    Attributes
    ----------
    product
        The product, with its sensor model and the standard errors.
    path
        The product file that was written, or None.
    shift_m
        How far the coarse DEM lies east and north of the reference, in metres.
    correlation
        Correlation of the high-passed heights of the two, after registration.
    cells, blocks
        Cells that were compared, and blocks that the bootstrap drew from.
    notes
        What limits the result.
    """

    product: Product
    path: Path | None
    shift_m: tuple[float, float]
    correlation: float
    cells: int
    blocks: int
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return table_of(self)


@names_own_arguments(MeasureFields)
def measure_product(
    coarse: PathLike,
    reference: PathLike,
    out: PathLike | None = None,
    *,
    name: str | None = None,
    reference_product: PathLike | Product | None = None,
    reference_points: bool = False,
    draws: int = 200,
    seed: int = 0,
    read: ReadOptions | None = None,
    **fields: Unpack[MeasureFields],
) -> Measurement:
    """Measure the sensor model of a DEM on a finer reference of the same ground.

    The coarse DEM is registered by one sub-pixel shift on the interpolated reference. Its point spread is the Gaussian
    blur of the reference that leaves the smallest differences; what is left, without what varies over more than some
    five cells, is noise: its size on flat ground and by slope, and its correlation. Rounding is read from the values.
    Standard errors come from a block bootstrap; that of the point spread includes how much of its cell the reference
    stands for.

    Parameters
    ----------
    coarse
        The DEM whose product is measured.
    reference
        A finer DEM of the same ground; one of the same cell size splits nothing, and gives upper bounds.
    out
        The product file to write, TOML; by default none.
    name
        Name of the product; by default that of `out`, else of `coarse`.
    reference_product
        Product of the reference: its blur is added and its noise taken off. By default a reference without either.
    reference_points
        Whether heights of the reference stand for points rather than for means over its cells.
    draws, seed
        Bootstrap samples, 20 or more, and their seed.
    read
        How the files are read.
    **fields
        `assume_crs`, `elevation_unit` and `vertical_datum` of `ReadOptions`, for files that do not state them.

    Returns
    -------
    Measurement
        The product with its sensor model, and how well the two DEMs agree.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, DatumError, EmptyError
        For arguments or files that cannot serve: no overlap, a coarser reference, other ground, other datums.
    OutputError
        For an output that cannot be written.

    Examples
    --------
    >>> terrafine.measure_product("srtm.tif", "lidar.tif", "my_srtm.toml")  # doctest: +SKIP
    """
    from terrafine.atomic import write_whole
    from terrafine.evaluation.elevation.sources import Reading, open_surface
    from terrafine.evaluation.sensor_fit import fit_pair
    from terrafine.raster.products import find_product, product_text
    from terrafine.raster.vertical import same_or_raise

    reading, _ = merge_options(measure_product, MeasureFields, read, None, fields)
    if not _LIMITS["draws"][0] <= draws <= _LIMITS["draws"][1]:
        raise UsageError(f"{draws} draws: expected {_LIMITS['draws'][0]} to {_LIMITS['draws'][1]:,}")
    if seed < 0:
        raise UsageError(f"the seed is {seed}; expected 0 or more")
    target = None if out is None else _target(Path(out), (coarse, reference, reference_product))
    known = None if reference_product is None else find_product(reference_product).sensor
    stated = Reading(reading.assume_crs, reading.elevation_unit, reading.vertical_datum)
    with contextlib.ExitStack() as opened:
        first, second = (opened.enter_context(open_surface(path, stated)) for path in (coarse, reference))
        same_or_raise(first.vertical, second.vertical, os.fspath(coarse), os.fspath(reference))
        for source in (first, second):
            source.require_valid()
        fitted = fit_pair(first, second, reference_sensor=known, points=reference_points, draws=draws, seed=seed)
        product = _product(fitted, first, Path(reference), name or Path(out or coarse).stem)
        size = first.pixel_size_m(slice(0, first.shape[0])).mean(axis=1)
    if target is not None:
        write_whole(target, product_text(product, _comment(fitted)).encode())
    east, north = -fitted.shift.cols * float(size[1]), fitted.shift.rows * float(size[0])
    return Measurement(
        product, target, (east, north), fitted.shift.correlation, fitted.cells, fitted.blocks, fitted.notes
    )


def _target(out: Path, inputs: tuple[object, ...]) -> Path:
    """The file to write, which is none of the inputs and in a folder that exists."""
    if out.suffix != ".toml":
        raise UsageError(f"{out}: a product file ends in .toml")
    if not out.parent.is_dir():
        raise OutputError(f"{out}: there is no folder {out.parent}; make it first")
    for given in inputs:
        if isinstance(given, str | os.PathLike) and Path(given).exists() and out.exists() and out.samefile(given):
            raise OutputError(f"{out}: the product file would overwrite an input; write it elsewhere")
    return out


def _product(fitted: FittedSensor, coarse: Source, reference: Path, name: str) -> Product:
    from terrafine.raster.products import Product
    from terrafine.raster.vertical import DATUMS

    datum = "" if coarse.vertical is None or coarse.vertical.name not in DATUMS else coarse.vertical.name
    return Product(
        key=re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "measured",
        name=name,
        pattern="",
        datum=datum,
        surface="DSM" if coarse.surface == "DSM" else "DTM" if coarse.surface == "DTM" else None,
        url="",
        posting=round(fitted.cell_m, 3),
        posting_unit="m",
        sensor=fitted.sensor,
        uncertainty=fitted.uncertainty,
        origin=f"fitted on {Path(coarse.paths[0]).name} against {reference.name}",
    )


def _comment(fitted: FittedSensor) -> str:
    """The head of a product file: how it was measured."""
    lines = [
        "Made by `terrafine measure`; it is used as the product of a DEM.",
        f"{fitted.cells:,} cells in {fitted.blocks} blocks; the coarse grid moved by {fitted.shift.rows:+.2f} rows and "
        f"{fitted.shift.cols:+.2f} columns; correlation of the relief {fitted.shift.correlation:.3f}.",
    ]
    return "\n".join(textwrap.fill(line, 116) for line in [*lines, *fitted.notes])
