"""Dask-backed DataArrays of heights as a source that reads windows, and the finer array that is not computed yet."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.raster import grid
from terrafine.raster.crs import vertical_crs
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read import dataarray
from terrafine.raster.read.array import clipped, window_of
from terrafine.raster.read.array_values import heights_of, name_of, require_heights, stored_of, unit_of
from terrafine.raster.units import is_unstated, unit_factor
from terrafine.raster.vertical import TAG

__all__ = ["BlockSource", "LazyHeights", "is_lazy"]

_ELEVATION = "elevation"
_AXES = {"metre", "degree"}


def is_lazy(source: Any) -> bool:
    """Whether a DataArray, or the one variable of a Dataset, is a dask array.

    Parameters
    ----------
    source
        A DataArray or a Dataset.

    Returns
    -------
    bool
        False for what is in memory.
    """
    return bool(dataarray.one_variable(source).chunks)


class _Heights(SourceBase):
    """What both sources state of their heights."""

    bands = MappingProxyType({_ELEVATION: 1})

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Return the ground size of the cells of each row, inside the raster or beyond it.

        Parameters
        ----------
        rows
            First and one past the last row.

        Returns
        -------
        ndarray of float64, (2, rows)
            Metres along y and x.
        """
        return grid.pixel_size_m(self.geobox, rows)

    def identity(self) -> dict[str, Any]:
        """Return bands and shape; lazy runs are never resumed."""
        return {"bands": [_ELEVATION], "shape": list(self.shape)}


class LazyHeights(_Heights):
    """A dask-backed DataArray of heights as a source; a window is computed when it is read.

    Parameters
    ----------
    source
        The DataArray, or a Dataset with one.
    nodata
        A further nodata value.
    """

    def __init__(self, source: Any, nodata: float | None = None) -> None:
        self._array = dataarray.one_variable(source)
        self.name = name_of(self._array)
        flat, self._form = dataarray.flattened(self._array, self.name, False)
        self._flat = dataarray.turned(flat, self._form)
        self._stored, self._nodata = stored_of(flat), nodata
        self.shape = (int(self._flat.shape[0]), int(self._flat.shape[1]))
        self.paths = (self.name,)
        self.geobox = GeoBox(self.shape, self._flat.rio.transform(recalc=True), self._flat.rio.crs.to_wkt())

    @property
    def plain(self) -> bool:
        """Whether heights are metres without a stated datum, in a CRS of metres or degrees."""
        unit = unit_of(self._array, self.name, None)
        crs = grid.parse_crs(self._flat.rio.crs.to_wkt(), self.name)
        metres = is_unstated(unit) or unit_factor(unit, self.name) == 1.0
        axes = {axis.unit_name for axis in crs.axis_info}
        return metres and TAG not in self._array.attrs and vertical_crs(crs) is None and axes <= _AXES

    @property
    def numbers(self) -> Any:
        """Dask array (y, x) of raw numbers, north up."""
        return self._flat.data

    def window(self, rows: slice, cols: slice) -> Any:
        """Return the part of a window that is inside the raster, as a dask array of raw numbers.

        Parameters
        ----------
        rows, cols
            First and one past the last row and column; they may reach outside.

        Returns
        -------
        dask array
            Numbers (y, x) as they are stored.
        """
        return self._flat.data[clipped(rows, cols, self.shape)]

    def block(self, raw: NDArray[Any], top: int, left: int) -> BlockSource:
        """Return a source of the whole raster that holds one window alone.

        Parameters
        ----------
        raw
            What `window` gave, computed.
        top, left
            Its first row and column inside the raster.

        Returns
        -------
        BlockSource
            The source.

        Raises
        ------
        BandError
            If a height is out of the valid range, or no number.
        """
        heights = heights_of(raw, self._stored, self.name, self._nodata)
        require_heights(heights[~np.isnan(heights)], self.name)
        return BlockSource(heights, top, left, self.geobox, self.paths)

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs: not the array itself."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_array", "_flat")}

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Compute a window; cells outside the raster are not valid.

        Parameters
        ----------
        band
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: NaN where not valid.

        Raises
        ------
        BandError
            As `block`.
        """
        raw = np.asarray(self.window(rows, cols).compute())
        return self.block(raw, max(rows.start, 0), max(cols.start, 0)).read(band, rows, cols)

    def finer(self, data: Any, k: int) -> Any:
        """Return the DataArray of a result, with the orientation, names and attributes of the source.

        Parameters
        ----------
        data
            Dask array (band, y, x) or (y, x) on the grid of k × k cells to one.
        k
            Output cells along one side of an input cell.

        Returns
        -------
        DataArray
            Not computed.
        """
        import xarray as xr
        from rioxarray.rioxarray import affine_to_coords

        rows, columns = data.shape[-2:]
        transform = self.geobox.affine * Affine.scale(1 / k)
        coords: dict[str, Any] = dict(affine_to_coords(transform, columns, rows))
        dims: Sequence[str] = ("band", "y", "x")[-data.ndim :]
        if data.ndim == 3:
            coords["band"] = np.arange(1, len(data) + 1)
        out = xr.DataArray(data, coords=coords, dims=dims).rio.write_crs(self._flat.rio.crs)
        return dataarray.as_the_source(out.rio.write_transform(transform), self._array, self._form, None)


class BlockSource(_Heights):
    """One window of heights as a source of the whole raster; nothing else is read of it.

    Parameters
    ----------
    heights
        float32 (y, x), NaN at nodata.
    top, left
        First row and column of the window.
    geobox
        Grid of the whole raster.
    paths
        What messages call it.
    """

    def __init__(
        self, heights: NDArray[np.float32], top: int, left: int, geobox: GeoBox, paths: tuple[str, ...]
    ) -> None:
        self._heights, self._top, self._left = heights, top, left
        self.geobox, self.paths = geobox, paths
        self.shape = (int(geobox.shape[0]), int(geobox.shape[1]))

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window of the window; cells outside the raster are not valid.

        Parameters
        ----------
        band
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: NaN where not valid.

        Raises
        ------
        IndexError
            If a cell inside the raster is outside the window.
        """
        wanted = clipped(rows, cols, self.shape)
        if all(s.start < s.stop for s in wanted):
            for s, first, size in zip(wanted, (self._top, self._left), self._heights.shape, strict=True):
                if s.start < first or s.stop > first + size:
                    raise IndexError(f"{band}: rows {rows} and columns {cols} are outside the window that is held")
        held_rows = slice(rows.start - self._top, rows.stop - self._top)
        return window_of(self._heights, held_rows, slice(cols.start - self._left, cols.stop - self._left))
