"""Surfaces as evaluation reads them: windows of float64 metres, NaN where nodata, on any grid that is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import GridError
from terrafine.raster.protocol import RasterSource, Readable
from terrafine.raster.read.content_type import whole_numbers

__all__ = [
    "AreaMean",
    "Interpolated",
    "Labels",
    "Readable",
    "aligned",
    "moved",
    "pixel_size",
    "raster_record",
    "same_grid",
    "scale_between",
    "window",
]

F64 = NDArray[np.float64]
_CONTEXT = 24  # coarse cells around a window: ten rounds of back-projection reach 2 + 2 * 10


def window(source: Readable, rows: slice, cols: slice, band: str = "elevation") -> F64:
    """One window (y, x), inside the raster or reaching beyond, NaN where nodata."""
    values, valid = source.read(band, rows, cols)
    return np.where(valid, values.astype(np.float64), np.nan)


def pixel_size(source: Readable) -> tuple[float, float]:
    """Metres (y, x) of a cell, mean over all rows."""
    size = source.pixel_size_m(slice(0, source.shape[0])).mean(axis=1)
    return float(size[0]), float(size[1])


def raster_record(path: str | os.PathLike[str], source: Readable) -> dict[str, Any]:
    """A raster as results.json has it: file name, cells, CRS, and metres (x, y) of a cell."""
    size = pixel_size(source)
    crs = source.geobox.crs
    return {
        "path": Path(path).name,
        "width": source.shape[1],
        "height": source.shape[0],
        "crs": "none" if crs is None else (f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)),
        "pixel_size_m": [size[1], size[0]],
    }


def same_grid(a: Any, b: Any) -> bool:
    """Whether two geoboxes have the same cells: CRS, shape, and corners within a thousandth of a cell."""
    return bool(a.crs == b.crs and tuple(a.shape) == tuple(b.shape) and _offset(a, b) == (0.0, 0.0))


def _offset(fine: Any, coarse: Any) -> tuple[float, float] | None:
    """Cells of `coarse` (y, x) that the corner of `fine` lies beyond its corner; None where pitches are no 1 : k."""
    f, c = fine.affine, coarse.affine
    for kx, ky in ((c.a / f.a, c.e / f.e),):
        if abs(kx - round(kx)) * fine.shape[1] > 1e-2 or abs(kx - ky) * fine.shape[0] > 1e-2 or round(kx) < 1:
            return None
    y, x = (f.f - c.f) / c.e, (f.c - c.c) / c.a
    return tuple(0.0 if abs(v) < 1e-3 else v for v in (y, x))  # type: ignore[return-value]


def scale_between(fine: Any, coarse: Any) -> int | None:
    """k where `fine` subdivides `coarse` in k×k from the same corner over the same extent, else None."""
    if fine.crs != coarse.crs or _offset(fine, coarse) != (0.0, 0.0):
        return None
    k = round(coarse.affine.a / fine.affine.a)
    return k if tuple(n * k for n in coarse.shape) == tuple(fine.shape) else None


def aligned(source: RasterSource, geobox: Any) -> Readable:
    """The source on another grid: averaged over each cell where that is coarser, never sampled."""
    if same_grid(source.geobox, geobox):
        return source
    from terrafine.raster.read.aligned import align_to

    there = align_to(source, geobox)
    a, b = source.geobox.affine, geobox.affine
    if source.geobox.crs == geobox.crs and min(b.a / a.a, b.e / a.e) > 1.01:
        return AreaMean(source, geobox, there)
    return there


class AreaMean:
    """A finer source of the same CRS averaged over the cells of a grid, each of its cells by the area it shares.

    The corners need not coincide: a cell cut by an edge counts with its part, so that a shift by a hundredth of a
    cell moves the mean by as much. Nodata cells have no weight; a cell with less than half of its area valid is nodata.
    """

    def __init__(self, source: Readable, geobox: Any, like: Readable) -> None:
        self.source, self.geobox, self.like = source, geobox, like
        self.shape: tuple[int, int] = (int(geobox.shape[0]), int(geobox.shape[1]))
        self.bands: Mapping[str, int] = source.bands

    def pixel_size_m(self, rows: slice) -> F64:
        """That of the grid."""
        return self.like.pixel_size_m(rows)

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values and validity of a window of the grid."""
        a, b = self.source.geobox.affine, self.geobox.affine
        y = (b.f + b.e * np.arange(rows.start, rows.stop + 1) - a.f) / a.e
        x = (b.c + b.a * np.arange(cols.start, cols.stop + 1) - a.c) / a.a
        top, left = int(np.floor(y[0])), int(np.floor(x[0]))
        there = slice(top, int(np.ceil(y[-1]))), slice(left, int(np.ceil(x[-1])))
        values, valid = self.source.read(band, *there)
        known = valid.astype(np.float64)
        area = _integrals(_integrals(known, y - top).T, x - left).T
        total = _integrals(_integrals(values * known, y - top).T, x - left).T
        whole = float((y[1] - y[0]) * (x[1] - x[0]))
        ok = area >= 0.5 * whole
        return np.where(ok, total / np.where(ok, area, 1.0), 0.0).astype(np.float32), ok


def _integrals(cells: F64, edges: F64) -> F64:
    """Integrals down the columns between consecutive edges, in cells; (n, m) -> (edges - 1, m)."""
    before = np.vstack((np.zeros((1, cells.shape[1])), np.cumsum(cells, axis=0)))
    whole = np.clip(np.floor(edges).astype(int), 0, len(cells) - 1)
    upto = before[whole] + (edges - whole)[:, None] * cells[whole]
    return np.diff(upto, axis=0)


def moved(geobox: Any, rows: float, cols: float) -> Any:
    """The same grid laid `rows` farther south and `cols` farther east, in cells."""
    return geobox.translate_pix(cols, rows) if rows or cols else geobox


class Interpolated:
    """A coarse source made k times finer by bicubic (Keys, a = −0.5), plain or back-projected in ten rounds.

    Read in windows with enough context that the window does not show. Cells under a coarse nodata cell are nodata.
    """

    def __init__(self, coarse: Readable, k: int, geobox: Any, *, back_projected: bool) -> None:
        self.coarse, self.k, self.geobox, self.back_projected = coarse, k, geobox, back_projected
        self.shape: tuple[int, int] = (coarse.shape[0] * k, coarse.shape[1] * k)
        self.bands: Mapping[str, int] = {"elevation": 1}  # it has no standard error of its own

    def pixel_size_m(self, rows: slice) -> F64:
        """That of the coarse grid, divided."""
        k = self.k
        top, bottom = rows.start // k, -(-rows.stop // k)
        size = np.repeat(self.coarse.pixel_size_m(slice(top, bottom)) / k, k, axis=1)
        return np.asarray(size[:, rows.start - top * k : rows.stop - top * k])

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values and validity of a window of the fine grid."""
        from terrafine.raster.warp.resample import back_project, fill_voids, upsample

        k = self.k
        outer = [slice(s.start // k - _CONTEXT, -(-s.stop // k) + _CONTEXT) for s in (rows, cols)]
        values, valid = self.coarse.read(band, outer[0], outer[1])
        inner = tuple(
            slice(s.start - o.start * k, s.stop - o.start * k) for s, o in zip((rows, cols), outer, strict=True)
        )
        if not valid.any():
            shape = (rows.stop - rows.start, cols.stop - cols.start)
            return np.zeros(shape, np.float32), np.zeros(shape, bool)
        filled = fill_voids(values, valid)
        fine = upsample(filled, k)
        if self.back_projected:
            fine = back_project(fine, filled, k, rounds=10)
        known = np.repeat(np.repeat(valid, k, axis=0), k, axis=1)
        return np.ascontiguousarray(fine[inner]), np.ascontiguousarray(known[inner])


def _crs(geobox: Any) -> str:
    crs = geobox.crs
    return "none" if crs is None else (f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name))


class Labels:
    """A raster of integers (land cover, a mask) read at the cell centres of another grid: the nearest, never a mean."""

    def __init__(self, source: Readable, geobox: Any, path: str | os.PathLike[str]) -> None:
        self.source, self.geobox, self.path = source, geobox, os.fspath(path)
        if source.geobox.crs != geobox.crs:
            raise GridError(
                f"{self.path}: the CRS is {_crs(source.geobox)}, that of the grid compared on is {_crs(geobox)}; "
                "expected one CRS for classes and masks. Bring it there without mixing classes: gdalwarp -r near -t_srs"
            )

    def read(self, rows: slice, cols: slice) -> NDArray[np.int64]:
        """Values (y, x) of a window of the grid; −1 where there is none."""
        a, b = self.geobox.affine, self.source.geobox.affine
        y = a.f + (np.arange(rows.start, rows.stop) + 0.5) * a.e
        x = a.c + (np.arange(cols.start, cols.stop) + 0.5) * a.a
        r, c = np.floor((y - b.f) / b.e).astype(int), np.floor((x - b.c) / b.a).astype(int)
        top, left = int(r.min()), int(c.min())
        values, valid = self.source.read("class", slice(top, int(r.max()) + 1), slice(left, int(c.max()) + 1))
        at = np.ix_(r - top, c - left)
        return whole_numbers(self.path, values[at], valid[at])
