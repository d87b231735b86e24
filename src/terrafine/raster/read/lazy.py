"""Dask-backed DataArrays of heights as a source that reads windows, and the finer array that is not computed yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import BandError
from terrafine.raster import grid
from terrafine.raster.bands import band
from terrafine.raster.crs import vertical_crs
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read import dataarray
from terrafine.raster.read.array_values import heights_of, stored_of, unit_of
from terrafine.raster.units import is_unstated, unit_factor

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


class LazyHeights(SourceBase):
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
        self.name = "the DataArray" if self._array.name is None else f"the DataArray {str(self._array.name)!r}"
        flat, self._form = dataarray.flattened(self._array, self.name, False)
        self._flat = dataarray.turned(flat, self._form)
        self._stored, self._nodata = stored_of(flat), nodata
        self.shape = (int(self._flat.shape[0]), int(self._flat.shape[1]))
        self.bands = {_ELEVATION: 1}
        self.paths = (self.name,)
        self.geobox = GeoBox(self.shape, self._flat.rio.transform(recalc=True), self._flat.rio.crs.to_wkt())

    @property
    def plain(self) -> bool:
        """Whether heights are metres without a stated datum, in a CRS of metres or degrees."""
        unit = unit_of(self._array, self.name, None)
        crs = grid.parse_crs(self._flat.rio.crs.to_wkt(), self.name)
        metres = is_unstated(unit) or unit_factor(unit, self.name) == 1.0
        axes = {axis.unit_name for axis in crs.axis_info}
        return metres and dataarray.DATUM not in self._array.attrs and vertical_crs(crs) is None and axes <= _AXES

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
        inside = [slice(max(s.start, 0), min(s.stop, n)) for s, n in zip((rows, cols), self.shape, strict=True)]
        return self._flat.data[inside[0], inside[1]]

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
        known = heights[~np.isnan(heights)]
        low, high = band(_ELEVATION).valid
        if known.size and not low <= known.min() <= known.max() <= high:
            raise BandError(
                f"{self.name}: heights from {known.min():g} to {known.max():g} m; expected {low:g} to {high:g}, and "
                "NaN at nodata"
            )
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


class BlockSource(SourceBase):
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
        self.bands = {_ELEVATION: 1}

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
        held = self._heights.shape
        wanted = [slice(max(s.start, 0), min(s.stop, n)) for s, n in zip((rows, cols), self.shape, strict=True)]
        values = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
        if all(s.start < s.stop for s in wanted):
            first = wanted[0].start - self._top, wanted[1].start - self._left
            sizes = tuple(s.stop - s.start for s in wanted)
            if min(first) < 0 or first[0] + sizes[0] > held[0] or first[1] + sizes[1] > held[1]:
                raise IndexError(f"{band}: rows {rows} and columns {cols} are outside the window that is held")
            target = values[wanted[0].start - rows.start :, wanted[1].start - cols.start :]
            part = self._heights[first[0] : first[0] + sizes[0], first[1] : first[1] + sizes[1]]
            target[: sizes[0], : sizes[1]] = part
        return values, np.isfinite(values)

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
        """Return bands and shape."""
        return {"bands": [_ELEVATION], "shape": list(self.shape)}
