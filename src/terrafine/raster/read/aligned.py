"""Resample sources of another CRS, resolution or offset to a reference grid, window by window."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import rasterio.crs
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.warp import calculate_default_transform, transform_bounds

from terrafine.errors import GridError, UsageError
from terrafine.raster import grid
from terrafine.raster.bands import band as band_of
from terrafine.raster.protocol import RasterSource, SourceBase, closed_on_error
from terrafine.raster.warp import interpolate
from terrafine.raster.warp.transformer import Lattice

__all__ = ["AlignedSource", "align_to", "warp_grid"]

_COARSER = 1.25  # from this ratio on, a target cell clearly holds more than one source cell, and values are averaged
_MARGIN = 3  # source cells around a window: the reach of the cubic kernel, plus one
_WHOLE = 1e-6
_CHUNK = (128, 512)
_CRS_ADVICE = "expected for example EPSG:32633"


def align_to(source: RasterSource, geobox: GeoBox) -> AlignedSource:
    """Resample a source to a grid; it is read in windows and never held whole.

    Parameters
    ----------
    source
        An open raster; closed if this fails.
    geobox
        The grid to resample to.

    Returns
    -------
    AlignedSource
        The source on that grid; closing it closes the original.

    Raises
    ------
    GridError
        If one grid has a CRS and the other none, or if they do not overlap.
    """
    with closed_on_error(source):
        return AlignedSource(source, geobox)


class AlignedSource(SourceBase):
    """A source resampled to another grid.

    Resampling to a coarser grid averages (classes: nearest); otherwise the band's own resampling is used. Invalid cells
    have no weight. Each window equals the same window of the whole: the transformation is the same in every cell.

    Parameters
    ----------
    source
        An open raster.
    geobox
        The grid to resample to.

    Raises
    ------
    GridError
        If one grid has a CRS and the other none, or if they do not overlap.
    """

    def __init__(self, source: RasterSource, geobox: GeoBox) -> None:
        self._source = source
        self.geobox = geobox
        self.shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        self._described_as(source)
        here, there = source.geobox.crs, geobox.crs
        self._wkt: tuple[str, str] | None = None
        self._same_crs = here is None and there is None
        if here is not None and there is not None:
            self._wkt = (here.to_wkt(), there.to_wkt())
            self._same_crs = CRS.from_wkt(self._wkt[0]) == CRS.from_wkt(self._wkt[1])
        elif not self._same_crs:
            bare, other = ("it", "the reference grid") if here is None else ("the reference grid", "it")
            raise GridError(f"{self.paths[0]}: {bare} has no CRS, {other} has one; state it with assume_crs=CRS")
        self._lattice = Lattice(
            source.geobox.affine, geobox.affine, self._wkt if not self._same_crs else None, self.shape
        )
        self._ratio = self._lattice.ratio
        self._parts = math.ceil(max(self._ratio) - 1e-6)  # at least one part for each source cell in a target cell
        edge_y, edge_x = (np.linspace(0.0, n, 65) for n in self.shape)
        if self._needed(*self._lattice.at(*np.meshgrid(edge_y, edge_x, indexing="ij"))) is None:
            raise GridError(
                f"{self.paths[0]}: does not overlap the reference grid {tuple(geobox.boundingbox)}; expected a common "
                "area"
            )

    def on(self, geobox: GeoBox) -> AlignedSource:
        """Return the same source resampled to another grid.

        Parameters
        ----------
        geobox
            The grid to resample to.

        Returns
        -------
        AlignedSource
            The source on that grid.

        Raises
        ------
        GridError
            As for the class.
        """
        return AlignedSource(self._source, geobox)

    def close(self) -> None:
        """Close the file handles of the source."""
        self._source.close()

    def identity(self) -> dict[str, Any]:
        """Return the identity of the source and the grid that it is resampled to."""
        affine = [float(v) for v in tuple(self.geobox.affine)[:6]]
        return {**self._source.identity(), "aligned_to": {"shape": list(self.shape), "transform": affine}}

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Return the ground size of the cells of each row of the reference grid.

        Parameters
        ----------
        rows
            First and one past the last row.

        Returns
        -------
        ndarray of float64, (2, rows)
            Metres along y and x.

        Raises
        ------
        GridError
            As `terrafine.raster.grid.pixel_size_m`.
        """
        stated = None
        if self.geobox.crs is None:  # one plane: the source's stated size, in the proportion of the two pitches
            own = self._source.pixel_size_m(slice(0, 1))[:, 0]
            a, b = self._source.geobox.affine, self.geobox.affine
            stated = (float(own[0] * b.e / a.e), float(own[1] * b.a / a.a))
        return grid.pixel_size_m(self.geobox, rows, stated)

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window of the reference grid.

        Parameters
        ----------
        band
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: in the unit of the band; 0 where not valid. Validity: False where the source has no data.

        Raises
        ------
        BandError, SourceError
            As the `read` of the source.
        """
        shape = (int(rows.stop - rows.start), int(cols.stop - cols.start))
        whole = self._whole_offset()
        if whole is not None:
            down, across = whole
            there = slice(rows.start + down, rows.stop + down), slice(cols.start + across, cols.stop + across)
            return self._source.read(band, *there)
        out, ok = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        tall, wide = self._chunk(band)
        for top in range(0, shape[0], tall):
            for left in range(0, shape[1], wide):
                part = np.s_[top : min(top + tall, shape[0]), left : min(left + wide, shape[1])]
                y = slice(rows.start + part[0].start, rows.start + part[0].stop)
                x = slice(cols.start + part[1].start, cols.start + part[1].stop)
                out[part], ok[part] = self._block(band, y, x)
        return out, ok

    def _chunk(self, band: str) -> tuple[int, int]:
        """Return the rows and columns resampled at once, so that points stay in the processor's cache."""
        parts = self._parts if self._method(band) == "average" else 1
        return max(1, _CHUNK[0] // parts), max(1, _CHUNK[1] // parts)

    def _block(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        method = self._method(band)
        parts = self._parts if method == "average" else 1
        y, x = self._lattice.centres(rows, cols) if method != "average" else self._lattice.parts(rows, cols, parts)
        window = self._needed(y, x)
        if window is None:
            shape = (rows.stop - rows.start, cols.stop - cols.start)
            return np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        values, valid = self._source.read(band, *window)
        corner = (int(window[0].start), int(window[1].start))
        if method == "average":
            return interpolate.averaged(values, valid, y, x, corner, parts)
        return interpolate.interpolated(values, valid, y, x, corner, method)

    def _method(self, band: str) -> Literal["average", "cubic", "bilinear", "nearest"]:
        own = band_of(band).resampling
        coarser = math.sqrt(self._ratio[0] * self._ratio[1]) > _COARSER
        return "average" if coarser and own != "nearest" else own

    def _whole_offset(self) -> tuple[int, int] | None:
        """Return the offset in rows and columns from the source to the grid if it is whole cells, else None."""
        a, b = self._source.geobox.affine, self.geobox.affine
        if not self._same_crs:
            return None
        cells = max(*self.shape, *self._source.shape)
        if max(abs(b.a / a.a - 1), abs(b.e / a.e - 1)) * cells > _WHOLE:
            return None
        x, y = (b.c - a.c) / a.a, (b.f - a.f) / a.e
        return (round(y), round(x)) if max(abs(x - round(x)), abs(y - round(y))) < 1e-3 else None

    def _needed(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[slice, slice] | None:
        """Return the window of source cells that points need, counted from the source's corner, or None."""
        spans: list[slice] = []
        for at, size in ((y, self._source.shape[0]), (x, self._source.shape[1])):
            finite = at[np.isfinite(at)]
            if finite.size == 0 or finite.max() < 0 or finite.min() >= size:
                return None
            # At most the source itself and the kernel's reach, however far away points are.
            start = max(-_MARGIN, math.floor(min(float(finite.min()), size)) - _MARGIN)
            stop = min(size + _MARGIN, math.ceil(max(float(finite.max()), 0.0)) + _MARGIN)
            spans.append(slice(start, stop))
        return spans[0], spans[1]


def warp_grid(
    geobox: GeoBox, crs: object | None = None, resolution: float | tuple[float, float] | None = None
) -> GeoBox:
    """Return the north-up grid that covers another one in another CRS or resolution.

    Edges lie on whole multiples of the cell size.

    Parameters
    ----------
    geobox
        The grid to cover.
    crs
        The target CRS; None keeps the CRS.
    resolution
        Cell size in units of the target CRS, one number or (x, y); None keeps about as many cells.

    Returns
    -------
    GeoBox
        The grid; `geobox` itself if nothing changes.

    Raises
    ------
    GridError
        If the CRS cannot be read, or the grid cannot be transformed to it.
    UsageError
        If the resolution is not positive and finite.
    """
    if geobox.crs is None:
        raise GridError("a grid without CRS cannot be transformed to another; state it with assume_crs=CRS")
    wkt = geobox.crs.to_wkt()
    target = CRS.from_wkt(wkt) if crs is None else grid.parse_crs(_plain(crs), "target_crs=", _CRS_ADVICE)
    here, there = rasterio.crs.CRS.from_wkt(wkt), rasterio.crs.CRS.from_wkt(target.to_wkt())
    box = geobox.boundingbox
    bounds = (box.left, box.bottom, box.right, box.top)
    height, width = int(geobox.shape[0]), int(geobox.shape[1])
    if resolution is None:
        if crs is None or target == CRS.from_wkt(wkt):
            return geobox
        natural, _, _ = calculate_default_transform(here, there, width, height, *bounds)
        size = (abs(natural.a), abs(natural.e))
    else:
        size = (resolution, resolution) if isinstance(resolution, (int, float)) else resolution
    if not all(math.isfinite(s) and s > 0 for s in size):
        raise UsageError(f"a resolution is positive and finite; found {resolution!r}")
    left, bottom, right, top = transform_bounds(here, there, *bounds, densify_pts=101)
    if not all(math.isfinite(v) for v in (left, bottom, right, top)) or left >= right:
        raise GridError(
            f"the grid {bounds} cannot be transformed to {target.name}: it is outside the area of that CRS or crosses "
            "its edge"
        )
    x0, x1 = math.floor(left / size[0] + 1e-6), math.ceil(right / size[0] - 1e-6)
    y0, y1 = math.floor(bottom / size[1] + 1e-6), math.ceil(top / size[1] - 1e-6)
    affine = Affine(size[0], 0.0, x0 * size[0], 0.0, -size[1], y1 * size[1])
    out = GeoBox((y1 - y0, x1 - x0), affine, target.to_wkt())
    grid.check_grid("target_crs=", affine, (y1 - y0, x1 - x0), target, metres_known=False)
    return out


def _plain(crs: object) -> object:
    return crs.to_wkt() if hasattr(crs, "to_wkt") else crs
