"""Errors by slope class, elevation band or class of a given raster, and sums by block for the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.elevation.errors import ErrorStats
from terrafine.evaluation.nice import nice_step

__all__ = [
    "SLOPE_EDGES",
    "STRATUM_COLUMNS",
    "BlockSums",
    "Strata",
    "band_of",
    "band_step",
    "classify",
    "stratum_rows",
]

SLOPE_EDGES = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 90.0)
"""Slope classes in degrees: [0, 2), [2, 5) … [45, 90]."""

STRATUM_COLUMNS = ("label", "lower", "upper", "n", "bias", "mae", "rmse", "nmad", "le90")
"""Columns of a table of errors by class."""

_SEA_LEVEL = 1 << 40

F64 = NDArray[np.float64]


def classify(values: NDArray[Any], edges: Sequence[float]) -> NDArray[np.int64]:
    """Return the class [edge, next edge) of each value, the last class closed.

    Parameters
    ----------
    values
        Values of any shape.
    edges
        Ascending edges.

    Returns
    -------
    ndarray of int64
        Index of the class; −1 outside the edges or for NaN.
    """
    e = np.asarray(edges, dtype=np.float64)
    index = np.searchsorted(e, values, side="right") - 1
    index[np.asarray(values) == e[-1]] = len(e) - 2
    return np.where(np.isfinite(values) & (index >= 0) & (index < len(e) - 1), index, -1).astype(np.int64)


def band_step(low: float, high: float, wanted: int = 8) -> float:
    """Return a round width (1, 2 or 5 times a power of ten) that divides a range into about `wanted` bands.

    Parameters
    ----------
    low, high
        The range in metres.
    wanted
        Number of bands; at most one more results.

    Returns
    -------
    float
        Metres.
    """
    return nice_step(max(high - low, 1e-3) / wanted)


def band_of(elevation: NDArray[Any], step: float) -> NDArray[np.int64]:
    """Return the elevation band [i·step, (i + 1)·step) of each cell.

    Parameters
    ----------
    elevation
        Metres, any shape.
    step
        Width of a band in metres.

    Returns
    -------
    ndarray of int64
        Number of the band, never negative; −1 for NaN.
    """
    finite = np.isfinite(elevation)
    return np.where(finite, np.floor(np.where(finite, elevation, 0.0) / step) + _SEA_LEVEL, -1).astype(np.int64)


@dataclass(frozen=True)
class Strata:
    """Error statistics by class number; immutable, mergeable.

    Attributes
    ----------
    parts
        Class number to statistics.
    """

    parts: Mapping[int, ErrorStats] = field(default_factory=dict)

    def add(self, candidate: NDArray[Any], reference: NDArray[Any], classes: NDArray[Any]) -> Strata:
        """Add cells; cells of a negative class are ignored.

        Parameters
        ----------
        candidate, reference
            Finite metres, arrays of one shape.
        classes
            Class number of each cell.

        Returns
        -------
        Strata
            The statistics with them.
        """
        present = np.unique(classes[classes >= 0])
        new = {}
        for key in present:
            here = classes == key
            new[int(key)] = ErrorStats().add(candidate[here], reference[here])
        return self.merge(Strata(new))

    def merge(self, other: Strata) -> Strata:
        """Merge two sets of cells.

        Parameters
        ----------
        other
            The other set.

        Returns
        -------
        Strata
            Both as one.
        """
        empty = ErrorStats()
        keys = sorted({*self.parts, *other.parts})
        return Strata({k: self.parts.get(k, empty).merge(other.parts.get(k, empty)) for k in keys})

    def by_edges(self, edges: Sequence[float], unit: str) -> list[dict[str, Any]]:
        """Return one record per class between edges, without empty classes.

        Parameters
        ----------
        edges
            The edges that the classes were made with.
        unit
            Their unit, for the labels.

        Returns
        -------
        list of dict
            label, lower, upper and the statistics.
        """
        out = []
        for i, (low, high) in enumerate(pairwise(edges)):
            if i in self.parts:
                label = f"{low:g}–{high:g} {unit}".replace(" °", "°")
                out.append({"label": label, "lower": float(low), "upper": float(high)} | self.parts[i].summary())
        return out

    def by_bands(self, step: float) -> list[dict[str, Any]]:
        """Return one record per elevation band, lowest first.

        Parameters
        ----------
        step
            Width of a band in metres.

        Returns
        -------
        list of dict
            label, lower, upper and the statistics.
        """
        out = []
        for key, stats in sorted(self.parts.items()):
            low = round((key - _SEA_LEVEL) * step, 9)
            high = round((key - _SEA_LEVEL + 1) * step, 9)
            out.append({"label": f"{low:g}–{high:g} m", "lower": low, "upper": high} | stats.summary())
        return out

    def by_class(self, names: Mapping[int, str] | None = None) -> list[dict[str, Any]]:
        """Return one record per class.

        Parameters
        ----------
        names
            Names of classes by number.

        Returns
        -------
        list of dict
            label and the statistics.
        """
        known = names or {}
        return [{"label": known.get(k, str(k))} | stats.summary() for k, stats in sorted(self.parts.items())]


def stratum_rows(part: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the rows of a table of errors by class.

    Parameters
    ----------
    part
        Records of the classes.

    Returns
    -------
    list of tuple
        One value per entry of STRATUM_COLUMNS.
    """
    return [tuple(stratum.get(column) for column in STRATUM_COLUMNS) for stratum in part]


@dataclass
class BlockSums:
    """Sums of error, |error|, error² and count in square blocks of the grid, which a spatial bootstrap resamples.

    Windows may be added in any order, but must not overlap.

    Attributes
    ----------
    shape
        Rows and columns (y, x) of the grid.
    side
        Cells along a side of a block.
    sums
        Count, error, |error| and error² by block, (4, block).
    """

    shape: tuple[int, int]
    side: int
    sums: F64 = field(init=False)

    def __post_init__(self) -> None:
        by, bx = (-(-n // self.side) for n in self.shape)
        self.sums = np.zeros((4, by * bx))

    def add(self, error: NDArray[Any], valid: NDArray[np.bool_], row: int, col: int) -> None:
        """Add the valid cells of a window.

        Parameters
        ----------
        error, valid
            Metres (y, x), and which cells count.
        row, col
            First cell of the window.
        """
        rows = (row + np.arange(error.shape[0])) // self.side
        cols = (col + np.arange(error.shape[1])) // self.side
        across = -(-self.shape[1] // self.side)
        block = (rows[:, None] * across + cols[None, :])[valid]
        e = np.asarray(error, dtype=np.float64)[valid]
        for i, v in enumerate((np.ones_like(e), e, np.abs(e), e * e)):
            self.sums[i] += np.bincount(block, weights=v, minlength=self.sums.shape[1])

    def statistics(self, weights: F64) -> dict[str, F64]:
        """Return bias, mae, rmse and sd for bootstrap weights.

        Parameters
        ----------
        weights
            How often each block counts, (draw, block).

        Returns
        -------
        dict
            Name to values (draw,).
        """
        n, s, a, q = (weights @ part for part in self.sums)
        n = np.where(n > 0, n, np.nan)
        mean = s / n
        return {"bias": mean, "mae": a / n, "rmse": np.sqrt(q / n), "sd": np.sqrt(np.maximum(q / n - mean**2, 0.0))}
