"""The declaration of a metric of elevation models: its key in results.json, its accumulator and its tables.

A new metric is one module in `elevation/metrics/` with a `METRIC`. The comparison feeds it, `results.json` holds it
under its key, and the report writes its tables as CSV and shows them; no other file changes.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

__all__ = ["Cell", "Context", "Final", "Metric", "TableSpec", "elevation_metrics"]

Cell = str | float | int | None
Rows = Iterable[tuple[Cell, ...]]


@dataclass(frozen=True)
class TableSpec:
    """One table of a metric.

    Parameters
    ----------
    name : str
        File name of the CSV without its ending.
    caption : str
        What the table shows, with units.
    columns : tuple of str
        Headings after the first, which is the surface.
    rows : callable
        Rows of one surface from what results.json holds under the metric's key, without the surface's name.
    sort_by : int, optional
        Index of the column after the surface by which rows of all surfaces are sorted; by default they are not.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: Callable[[Any], Rows]
    sort_by: int | None = None


@dataclass(frozen=True)
class Context:
    """What an accumulator may depend on when a comparison starts.

    Attributes
    ----------
    options
        Options of the comparison.
    pixel_size_m
        Metres (y, x) of a cell.
    band_step_m
        Width of an elevation band.
    with_classes, with_coarse
        Whether a class raster and a coarse input are given.
    sigma_multiples
        Half width over σ by nominal probability; None for a surface without a σ band.
    window_cells
        Cells along a side of the windows that metrics of `feed` "window" get.
    """

    options: Any
    pixel_size_m: tuple[float, float]
    """Metres (y, x) of a cell."""
    band_step_m: float
    """Width of an elevation band."""
    with_classes: bool = False
    with_coarse: bool = False
    sigma_multiples: Mapping[float, float] | None = None
    """Half width over σ by nominal probability; None for a surface without a σ band."""
    window_cells: int = 0
    """Cells along a side of the windows that metrics of `feed` "window" get."""


@dataclass(frozen=True)
class Final:
    """What a record may depend on when a comparison ends.

    Attributes
    ----------
    intervals
        95 % intervals of bias, mae, rmse and sd by spatial block bootstrap.
    class_names
        Names of classes by number.
    slope_method
        Name of the slope method.
    """

    intervals: Mapping[str, list[float]]
    """95 % intervals of bias, mae, rmse and sd by spatial block bootstrap."""
    class_names: Mapping[int, str]
    slope_method: str


def _summary(accumulator: Any, final: Final) -> Any:
    return accumulator.summary()


@dataclass(frozen=True)
class Metric:
    """One thing measured on elevation models.

    Parameters
    ----------
    key : str
        Its key in results.json.
    order : int
        Its place among the keys, ascending.
    feed : {"block", "window", "coarse", "whole"}
        What the accumulator's `add` gets: a `elevation.blocks.Block`; a square window of candidate and reference
        without nodata; block means of the candidate and the coarse input, both (y, x); or nothing, for what is
        measured on whole surfaces by `elevation.drainage`.
    start : callable
        The empty accumulator for a `Context`; None where the metric does not apply. An accumulator is immutable:
        `add` returns a new one, and `summary` what results.json holds.
    record : callable
        What results.json holds, from the accumulator and `Final`; by default `accumulator.summary()`.
    absent : object
        What results.json holds where the metric does not apply.
    tables : tuple of TableSpec
        The tables of the report.
    """

    key: str
    order: int
    feed: Literal["block", "window", "coarse", "whole"]
    start: Callable[[Context], Any | None]
    record: Callable[[Any, Final], Any] = _summary
    absent: Any = None
    tables: tuple[TableSpec, ...] = ()


def elevation_metrics() -> tuple[Metric, ...]:
    """Return the metrics of elevation models in their order: one for each module of `elevation/metrics/`."""
    package = import_module("terrafine.evaluation.elevation.metrics")
    modules = [import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    return tuple(sorted((module.METRIC for module in modules), key=lambda metric: (metric.order, metric.key)))
