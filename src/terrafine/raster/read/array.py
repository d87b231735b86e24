"""Arrays in memory as a raster source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.raster.protocol import SourceBase

__all__ = ["ArraySource", "clipped", "window_of"]


def clipped(rows: slice, cols: slice, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the part of a window that is inside a raster.

    Parameters
    ----------
    rows, cols
        First and one past the last row and column; they may reach outside.
    shape
        Rows and columns of the raster.

    Returns
    -------
    rows, cols : slice
        Empty where the window is outside.
    """
    return (
        slice(max(rows.start, 0), min(rows.stop, shape[0])),
        slice(max(cols.start, 0), min(cols.stop, shape[1])),
    )


def window_of(held: NDArray[np.float32], rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a window of an array; cells outside the array are not valid.

    Parameters
    ----------
    held
        The array (y, x), NaN where there is no data.
    rows, cols
        First and one past the last row and column.

    Returns
    -------
    values, valid : ndarrays of float32 and bool, (y, x)
        Values: NaN where not valid. Validity: True where the array is finite.
    """
    values = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
    r, c = clipped(rows, cols, (held.shape[0], held.shape[1]))
    if r.start < r.stop and c.start < c.stop:
        inside = np.s_[r.start - rows.start : r.stop - rows.start, c.start - cols.start : c.stop - cols.start]
        values[inside] = held[r, c]
    return values, np.isfinite(values)


class ArraySource(SourceBase):
    """Arrays in memory as a source, with one pixel size for each row and no CRS.

    Parameters
    ----------
    bands
        Band name to values (y, x), NaN where there is no data.
    pixel_size_m
        Metres along y and x of each row, float64 (2, y).
    """

    def __init__(self, bands: Mapping[str, NDArray[np.floating[Any]]], pixel_size_m: NDArray[np.float64]) -> None:
        self._values = {name: np.asarray(values, np.float32) for name, values in bands.items()}
        self._sizes = np.asarray(pixel_size_m, np.float64)
        first = next(iter(self._values.values()))
        self.shape = (int(first.shape[0]), int(first.shape[1]))
        self.bands = {name: i for i, name in enumerate(self._values, start=1)}
        self.paths = ("the array",)
        self.geobox = GeoBox(self.shape, Affine.scale(float(self._sizes[1, 0]), -float(self._sizes[0, 0])), None)

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window; cells outside the array are not valid.

        Parameters
        ----------
        band
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: NaN where not valid. Validity: True where the array is finite.

        Raises
        ------
        KeyError
            If there is no such band.
        """
        return window_of(self._values[band], rows, cols)

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Return the ground size of the cells of each row; outside the array, that of the first or last row.

        Parameters
        ----------
        rows
            First and one past the last row.

        Returns
        -------
        ndarray of float64, (2, rows)
            Metres along y and x.
        """
        inside = np.clip(np.arange(rows.start, rows.stop), 0, self.shape[0] - 1)
        return np.asarray(self._sizes[:, inside])

    def identity(self) -> dict[str, Any]:
        """Return bands and shape; runs on arrays are never resumed."""
        return {"bands": sorted(self._values), "shape": list(self.shape)}
