"""Map cells of one grid to another: exact on a lattice of cells, linear between, the same for every window."""

from __future__ import annotations

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

__all__ = ["Lattice"]

Floats = NDArray[np.float64]

_STEPS = (16, 8, 4, 2, 1)
_ERROR = 0.002  # largest error of linear interpolation between lattice points, in source cells


class Lattice:
    """Maps cells of a target grid to cells of a source grid, both counted from the outer corner of the first cell.

    PROJ transforms points at every `step`-th cell, counted from the grid's own corner, so the result for a cell never
    depends on the window.

    Parameters
    ----------
    source, target
        Geotransforms of the two grids.
    wkt
        CRSs (source, target) as WKT, or None if both grids share one.
    shape
        Rows and columns (y, x) of the target grid.

    Attributes
    ----------
    ratio
        Source cells per target cell along y and x, at the middle of the grid.
    step
        Cells between transformed points.
    """

    def __init__(self, source: Affine, target: Affine, wkt: tuple[str, str] | None, shape: tuple[int, int]) -> None:
        self._source, self._target, self._wkt = source, target, wkt
        self._shape = shape
        self._transformer: Transformer | None = None
        self._wraps = wkt is not None and CRS.from_wkt(wkt[0]).is_geographic
        self.ratio = self._ratio()
        self.step = next((s for s in _STEPS if self._error(s) < _ERROR), 1) if wkt is not None else 16

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_transformer": None}

    def at(self, y: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Return the source cells of points in target cells, without interpolation.

        Parameters
        ----------
        y, x
            Points of any shape, in target cells.

        Returns
        -------
        y, x : ndarrays of float64
            In source cells; infinite where the projection is undefined.
        """
        s, t = self._source, self._target
        east, north = t.c + t.a * x, t.f + t.e * y
        if self._wkt is not None:
            if self._transformer is None:
                self._transformer = Transformer.from_crs(self._wkt[1], self._wkt[0], always_xy=True)
            east, north = (np.asarray(v, np.float64) for v in self._transformer.transform(east, north))
            if self._wraps:
                east = self._unwrapped(east)
        return (north - s.f) / s.e, (east - s.c) / s.a

    def _unwrapped(self, east: Floats) -> Floats:
        """Make longitudes continuous across the antimeridian, starting within 180 degrees of the source."""
        finite = np.isfinite(east)
        if not finite.any():
            return east
        out = np.where(finite, east, east[finite].flat[0])
        for axis in range(out.ndim - 1, -1, -1):
            out = np.unwrap(out, axis=axis, period=360.0)
        turns = np.round((out.flat[0] - self._source.c) / 360.0)
        return np.where(finite, out - 360.0 * turns, np.inf)

    def centres(self, rows: slice, cols: slice) -> tuple[Floats, Floats]:
        """Return the source cells of the centres of a window's cells.

        Parameters
        ----------
        rows, cols
            First and one past the last row and column of the target grid.

        Returns
        -------
        y, x : ndarrays of float64, (y, x)
            In source cells.
        """
        return self._window(rows, cols, 1)

    def parts(self, rows: slice, cols: slice, n: int) -> tuple[Floats, Floats]:
        """Return the source cells of the centres of n × n equal parts of each cell.

        Parameters
        ----------
        rows, cols
            First and one past the last row and column of the target grid.
        n
            Parts per side of a cell.

        Returns
        -------
        y, x : ndarrays of float64, (y · n, x · n)
            In source cells.
        """
        return self._window(rows, cols, n)

    def _window(self, rows: slice, cols: slice, n: int) -> tuple[Floats, Floats]:
        """Return points (y · n, x · n): the lattice around the window, filled linearly, then cropped."""
        step = self.step
        top, left = rows.start // step, cols.start // step
        nodes_y = np.arange(top, (rows.stop - 1) // step + 2) * float(step)
        nodes_x = np.arange(left, (cols.stop - 1) // step + 2) * float(step)
        inner = (np.arange(step * n) + 0.5) / (step * n)
        cut = (
            slice((rows.start - top * step) * n, (rows.stop - top * step) * n),
            slice((cols.start - left * step) * n, (cols.stop - left * step) * n),
        )
        y, x = (
            _filled(_filled(nodes, inner)[cut[0]].T, inner)[cut[1]].T
            for nodes in self.at(*np.meshgrid(nodes_y, nodes_x, indexing="ij"))
        )
        return y, x

    def _probes(self) -> tuple[Floats, Floats]:
        y, x = (np.linspace(0.0, max(n - 17, 0), 5) // 16 * 16 for n in self._shape)
        grid = np.meshgrid(y, x, indexing="ij")
        return grid[0], grid[1]

    def _error(self, step: int) -> float:
        """Return the largest error, in source cells, at the middle of some lattice cells."""
        y, x = self._probes()
        corners = [self.at(y + i * step, x + j * step) for i in (0, 1) for j in (0, 1)]
        true = self.at(y + step / 2, x + step / 2)
        with np.errstate(invalid="ignore"):
            miss = [np.abs(sum(c[k] for c in corners) / 4 - true[k]) for k in (0, 1)]
        finite = np.concatenate([m[np.isfinite(m)] for m in miss])
        return float(finite.max()) if finite.size else 0.0

    def _ratio(self) -> tuple[float, float]:
        """Return the source cells per target cell, along y and x, at the middle of the grid."""
        y, x = self._shape[0] / 2, self._shape[1] / 2
        py, px = self.at(np.array([y, y + 1, y]), np.array([x, x, x + 1]))
        down = float(np.hypot(py[1] - py[0], px[1] - px[0]))
        across = float(np.hypot(py[2] - py[0], px[2] - px[0]))
        return (down, across) if np.isfinite(down + across) else (1.0, 1.0)


def _filled(nodes: Floats, inner: Floats) -> Floats:
    """Interpolate from each row of nodes to the next at the fractions `inner`: (n + 1, m) to (n · len(inner), m)."""
    with np.errstate(invalid="ignore"):
        filled = nodes[:-1, None, :] + (nodes[1:] - nodes[:-1])[:, None, :] * inner[None, :, None]
    return filled.reshape(-1, nodes.shape[1])
