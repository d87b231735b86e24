"""A coarse DEM and a reference on parts of its cells, in windows spread over what both cover."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from terrafine.errors import EmptyError
from terrafine.evaluation.sensor_fit.predict import blurred
from terrafine.raster.grid import subdivided
from terrafine.raster.protocol import RasterSource
from terrafine.raster.read.aligned import align_to
from terrafine.raster.warp.resample import fill_voids

__all__ = ["MARGIN", "Pair", "Window"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
MARGIN = 16
"""Cells around a window that filters reach."""
_SIDE = 96
_MOST = 49
_PARTS = (4, 8)
_ENOUGH = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """A window of both DEMs with its margin.

    Attributes
    ----------
    coarse
        Coarse heights in metres (y, x).
    ground
        Reference heights in metres (y·k, x·k).
    valid
        Cells valid in both.
    size
        Metres (y, x) of a coarse cell.
    corner
        Row and column of the first cell.
    """

    coarse: F64
    ground: F64
    valid: Mask
    size: tuple[float, float]
    corner: tuple[int, int]


class Pair:
    """A coarse source and a reference that is resampled to k × k parts of each coarse cell, moved by a shift.

    Interpolating means over the reference's cells blurs them by one such cell again; unless its heights are those of
    `points`, that blur is removed to first order, 2 z - G z with G a Gaussian of the cell's variance.

    Parameters
    ----------
    coarse, reference
        The open DEMs.
    points
        Whether heights of the reference are samples at points, not means over cells.
    """

    def __init__(self, coarse: RasterSource, reference: RasterSource, *, points: bool = False) -> None:
        self.coarse, self.reference, self.points = coarse, reference, points
        self.size = _size(coarse)
        fine = _size(reference)
        self.ratio = self.size[0] / fine[0], self.size[1] / fine[1]
        self.k = int(np.clip(math.ceil(math.sqrt(self.ratio[0] * self.ratio[1])) * 2, *_PARTS))
        self.windows = tuple(self._choose())

    def _ground(self, shift: tuple[float, float]) -> RasterSource:
        """The reference on parts of the cells, which are laid `shift` (rows, columns) farther down and right."""
        moved = self.coarse.geobox.translate_pix(shift[1], shift[0])
        return align_to(self.reference, subdivided(moved, self.k))

    def _sharpened(self, ground: F64) -> F64:
        if self.points:
            return ground
        cell = self.k / self.ratio[0], self.k / self.ratio[1]
        return 2.0 * ground - blurred(ground, (cell[0] / math.sqrt(12.0), cell[1] / math.sqrt(12.0)))

    def _choose(self) -> Iterator[tuple[int, int]]:
        """Corners of the windows that both cover: all, or at most `_MOST` evenly spread."""
        ground = align_to(self.reference, self.coarse.geobox)
        rows, cols = self.coarse.shape
        side = min(_SIDE, rows, cols)
        found = []
        for top in range(0, rows - side + 1, side):
            for left in range(0, cols - side + 1, side):
                at = slice(top, top + side), slice(left, left + side)
                both = ground.read("elevation", *at)[1]
                if both.mean() > _ENOUGH:
                    both &= self.coarse.read("elevation", *at)[1]
                if both.mean() > _ENOUGH:
                    found.append((top, left))
        if not found:
            raise EmptyError(
                f"{self.coarse.paths[0]} and {self.reference.paths[0]} share no window of {side} × {side} cells that "
                f"is valid in both by {100 * _ENOUGH:.0f} %; expected a larger common area"
            )
        pick = np.linspace(0, len(found) - 1, min(_MOST, len(found))).round().astype(int)
        self.side = side
        yield from (found[i] for i in sorted(set(pick.tolist())))

    def read(self, shift: tuple[float, float]) -> Iterator[Window]:
        """Read every window.

        Parameters
        ----------
        shift
            Rows and columns by which the coarse grid is moved.

        Yields
        ------
        Window
            Both DEMs.

        Raises
        ------
        SourceError, BandError
            As the `read` of a source.
        """
        source = self._ground(shift)
        for top, left in self.windows:
            outer = [slice(v - MARGIN, v + self.side + MARGIN) for v in (top, left)]
            values, valid = self.coarse.read("elevation", *outer)
            inner = [slice(s.start * self.k, s.stop * self.k) for s in outer]
            fine, known = source.read("elevation", *inner)
            if not known.any() or not valid.any():
                continue
            whole = np.asarray(known.reshape(len(values), self.k, -1, self.k).all(axis=(1, 3)))
            both = valid & binary_erosion(whole, iterations=3, border_value=1)
            ground = self._sharpened(fill_voids(fine, known).astype(np.float64))
            size = self.coarse.pixel_size_m(slice(top + self.side // 2, top + self.side // 2 + 1))[:, 0]
            yield Window(
                values.astype(np.float64),
                ground,
                both,
                (float(size[0]), float(size[1])),
                (top, left),
            )


def _size(source: RasterSource) -> tuple[float, float]:
    size = source.pixel_size_m(slice(0, source.shape[0])).mean(axis=1)
    return float(size[0]), float(size[1])
