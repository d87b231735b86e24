"""Dask-backed images as open rasters: the header is that of a GeoTIFF, the numbers are computed window by window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from terrafine.raster.read.image_form import Prepared, stored_as
from terrafine.raster.read.images.image_sample import sample_windows
from terrafine.raster.read.opened import OpenRaster

__all__ = ["LazyRaster"]

_TOGETHER = 16  # bands up to which the sample of all is computed at once
_BLOCK = 512


class LazyRaster(OpenRaster):
    """A dask-backed image as an open raster: bands, grid and types are known, its numbers are not computed.

    The header is written as a GeoTIFF without pixels and read again, so that it is judged as that of a file is. The
    windows by which images are checked (`sample_windows`) are computed once, together; others when they are read.

    Parameters
    ----------
    image
        The image, its numbers a dask array.
    path
        Where the header is written. It is needed until `close`.

    Raises
    ------
    SourceError
        As `OpenRaster`.
    """

    lazy = True

    def __init__(self, image: Prepared, path: Path) -> None:
        self._numbers = image.north_up.data
        self._known: dict[tuple[int, int, int, int, int], NDArray[Any]] = {}
        self._held: tuple[NDArray[Any], dict[int, int], int, int] | None = None
        _write_header(image, path)
        super().__init__(str(path))
        self.path = image.form.name

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_numbers": None, "_known": {}}

    def read(self, index: int, window: Window, *, masked: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return the numbers of a window: held, known or computed.

        Parameters
        ----------
        index
            Number of the band, counted from 1.
        window
            The window.
        masked
            Whether to return a mask.

        Returns
        -------
        values, mask : ndarrays, (y, x)
            Values: as a GeoTIFF would store them. Mask: 255 throughout; None unless `masked`.

        Raises
        ------
        SourceError, BandError
            If a block is not as declared, or a number is of no sensor.
        """
        top, left = int(window.row_off), int(window.col_off)
        rows, cols = slice(top, top + int(window.height)), slice(left, left + int(window.width))
        if self._held is not None:
            block, place, y0, x0 = self._held
            values = block[place[index], rows.start - y0 : rows.stop - y0, cols.start - x0 : cols.stop - x0]
        else:
            values = self._computed(index, rows, cols)
        return values, np.full(values.shape, 255, np.uint8) if masked else None

    def numbers(self, bands: Sequence[int]) -> Any:
        """Return some bands, not computed.

        Parameters
        ----------
        bands
            Their numbers, from 1.

        Returns
        -------
        dask array
            Numbers (band, y, x), north up.
        """
        return self._numbers[[n - 1 for n in bands]]

    def hold(self, block: NDArray[Any], bands: Sequence[int], top: int, left: int) -> None:
        """Read from one window alone from now on.

        Parameters
        ----------
        block
            A window of what `numbers` gave, computed.
        bands
            Numbers of its bands.
        top, left
            Its first row and column.

        Raises
        ------
        BandError
            If a number is of no sensor.
        """
        self._held = stored_as(block, self.path), {number: i for i, number in enumerate(bands)}, top, left

    def _computed(self, index: int, rows: slice, cols: slice) -> NDArray[Any]:
        """A window that is known from the first call, or computed now."""
        if not self._known:
            self._compute_sample()
        key = (index, rows.start, rows.stop, cols.start, cols.stop)
        if key not in self._known:
            self._known[key] = stored_as(np.asarray(self._numbers[index - 1, rows, cols].compute()), self.path)
        return self._known[key]

    def _compute_sample(self) -> None:
        """Compute the windows of the sample in all bands, each block of the array once."""
        import dask.base

        compute: Any = dask.base.compute
        count, height, width = self._numbers.shape
        every = [(n, *window) for n in range(min(count, _TOGETHER)) for window in sample_windows((height, width))]
        for (n, r, c), values in zip(every, compute(*(self._numbers[at] for at in every)), strict=True):
            self._known[n + 1, r.start, r.stop, c.start, c.stop] = stored_as(np.asarray(values), self.path)


def _write_header(image: Prepared, path: Path) -> None:
    """Write a GeoTIFF of the size, type and georeference of an image, without its pixels."""
    count, height, width = image.north_up.shape
    made = {
        "driver": "GTiff",
        "dtype": stored_as(np.zeros(1, image.north_up.dtype), image.form.name).dtype,
        "crs": image.north_up.rio.crs,
        "transform": image.north_up.rio.transform(recalc=True),
        "nodata": image.nodata,
    }
    layout = {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK, "sparse_ok": True, "interleave": "band"}
    with rasterio.open(path, "w", height=height, width=width, count=count, bigtiff="yes", **made, **layout) as file:
        # A file without any block is taken for one that a killed writer left.
        file.write(np.full((1, 1), 1 + (image.nodata == 1), made["dtype"]), 1, window=Window(0, 0, 1, 1))
        if image.names:
            file.descriptions = tuple(image.names)
