"""Labels as rasters, resampled to a finer or coarser grid: class numbers, or the colours of a painted mask."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import GridError, UsageError
from terrafine.raster.protocol import closed_on_error
from terrafine.raster.read.content_type import colour_table, open_labels
from terrafine.raster.read.opened import open_raster
from terrafine.raster.read.source import Source, open_source

__all__ = ["UNKNOWN", "LabelRaster", "label_numbers", "open_label_raster"]

PathLike = str | os.PathLike[str]
UNKNOWN = 255
"""The label of cells where nothing is known."""


@dataclass(frozen=True)
class LabelRaster:
    """A raster of labels: 1 for impervious, UNKNOWN for nodata and unknown labels, else 0.

    Attributes
    ----------
    source
        The open raster.
    impervious
        Labels that mean impervious.
    unknown
        Labels that mean unknown.
    painted
        Whether labels are colours 0xRRGGBB instead of class numbers.
    table
        Colour of each number of a file with a colour table.
    """

    source: Source
    impervious: tuple[int, ...]
    unknown: tuple[int, ...]
    painted: bool = False
    table: NDArray[np.int64] | None = None

    def close(self) -> None:
        """Give the file handle back."""
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def burn(self, geobox: GeoBox) -> NDArray[np.uint8]:
        """Return the labels on a grid of the same CRS; each cell takes the label at its centre.

        Parameters
        ----------
        geobox
            The grid.

        Returns
        -------
        ndarray of uint8, (y, x)
            1 impervious, 0 other, 255 unknown.

        Raises
        ------
        GridError
            If the CRSs differ.
        """
        values, valid = self._at_centres(geobox)
        out = np.isin(values, self.impervious).astype(np.uint8)
        out[~valid | np.isin(values, self.unknown)] = UNKNOWN
        return out

    def numbers(self, geobox: GeoBox) -> NDArray[np.int64]:
        """Return the class number at the centre of each cell of a grid of the same CRS.

        Parameters
        ----------
        geobox
            The grid.

        Returns
        -------
        ndarray of int64, (y, x)
            -1 at nodata.

        Raises
        ------
        GridError
            If the CRSs differ.
        """
        values, valid = self._at_centres(geobox)
        return np.where(valid, values, -1)

    def finer_numbers(self, geobox: GeoBox, k: int, shift: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.int64]:
        """Return the class numbers on a grid subdivided k times, for an image whose content is displaced.

        Parameters
        ----------
        geobox
            Grid of the image, in the CRS of the labels.
        k
            Cells along one cell of the image.
        shift
            Displacement of the image's content in its cells, right and down.

        Returns
        -------
        ndarray of int64, (k·y, k·x)
            -1 at nodata.

        Raises
        ------
        GridError
            If the CRSs differ.
        """
        affine = geobox.affine * Affine.translation(-shift[0], -shift[1]) * Affine.scale(1 / k)
        return self.numbers(GeoBox((geobox.shape[0] * k, geobox.shape[1] * k), affine, geobox.crs))

    def unlisted(self, geobox: GeoBox) -> dict[str, int]:
        """Count the cells of each colour that is neither impervious nor unknown.

        Parameters
        ----------
        geobox
            A grid of the same CRS.

        Returns
        -------
        dict
            `#RRGGBB` to the number of cells; empty for class numbers.

        Raises
        ------
        GridError
            If the CRSs differ.
        """
        if not self.painted:
            return {}
        values, valid = self._at_centres(geobox)
        found, cells = np.unique(values[valid], return_counts=True)
        listed = {*self.impervious, *self.unknown}
        return {f"#{c:06X}": n for c, n in zip(found.tolist(), cells.tolist(), strict=True) if c not in listed}

    def _at_centres(self, geobox: GeoBox) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        a, b = geobox.affine, self.source.geobox.affine
        if self.source.geobox.crs != geobox.crs:
            raise GridError(
                f"{self.source.paths[0]}: the labels have another CRS than the grid of the samples; expected the same. "
                "Reproject them without mixing classes: gdalwarp -r near -t_srs"
            )
        rows = np.floor((a.f + (np.arange(geobox.shape[0]) + 0.5) * a.e - b.f) / b.e).astype(int)
        cols = np.floor((a.c + (np.arange(geobox.shape[1]) + 0.5) * a.a - b.c) / b.a).astype(int)
        there = slice(int(rows.min()), int(rows.max()) + 1), slice(int(cols.min()), int(cols.max()) + 1)
        values, valid = self._read(*there)
        at = np.ix_(rows - there[0].start, cols - there[1].start)
        return values[at], valid[at]

    def _read(self, rows: slice, cols: slice) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        if "class" in self.source.bands:
            read, valid = self.source.read("class", rows, cols)
            values = read.astype(np.int64)
            if self.table is None:
                return values, valid
            return self.table[values], valid & (self.table[values] >= 0)
        bands = [self.source.read(name, rows, cols) for name in ("red", "green", "blue")]
        red, green, blue = (band.astype(np.int64) for band, _ in bands)
        return (red << 16) | (green << 8) | blue, np.logical_and.reduce([valid for _, valid in bands])


def open_label_raster(
    path: PathLike, impervious: Sequence[str], unknown: Sequence[str] = (), pixel_size_m: float | None = None
) -> LabelRaster:
    """Open a raster of labels.

    Parameters
    ----------
    path
        A raster of class numbers, of red, green and blue, or with a colour table.
    impervious, unknown
        Labels of each meaning: class numbers ("1") or colours ("#3C1098"), not a mix of both.
    pixel_size_m
        Cell size in metres, for a file without CRS.

    Returns
    -------
    LabelRaster
        The open labels.

    Raises
    ------
    UsageError
        If labels are neither numbers nor colours, or a mix, or none is impervious.
    SourceError, BandError, GridError
        As `open_source`.
    """
    here, not_here = label_numbers(impervious, unknown)
    colours = [m for m in (*impervious, *unknown) if m.startswith("#")]
    if not impervious:
        raise UsageError(f"{path}: impervious nothing; expected at least one class number, or colour as #RRGGBB")
    raster = open_raster(path)
    with closed_on_error(raster):
        table = colour_table(raster.header) if colours else None
        if colours and table is None:
            source = open_source(raster, want=("red", "green", "blue"), check_range=False, pixel_size_m=pixel_size_m)
        else:
            source = open_labels(raster, pixel_size_m=pixel_size_m)
    return LabelRaster(source, here, not_here, bool(colours), table)


def label_numbers(impervious: Sequence[str], unknown: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of labels that are written as text.

    Parameters
    ----------
    impervious, unknown
        Labels of each meaning: class numbers ("1") or colours ("#3C1098").

    Returns
    -------
    tuple of tuples of int
        The class numbers, or the colours as 0xRRGGBB.

    Raises
    ------
    UsageError
        If one is neither, if numbers and colours are mixed, or if one has both meanings.
    """
    marks = [*impervious, *unknown]
    colours = [m for m in marks if m.startswith("#")]
    named = f"impervious {', '.join(impervious) or 'nothing'}, unknown {', '.join(unknown) or 'nothing'}"
    if colours and len(colours) < len(marks):
        raise UsageError(f"{named}; expected class numbers, or colours as #RRGGBB, for both")
    here, not_here = tuple(map(_number, impervious)), tuple(map(_number, unknown))
    if both := set(here) & set(not_here):
        raise UsageError(f"{named}: {len(both)} of them mean both; expected each label once")
    return here, not_here


def _number(mark: str) -> int:
    try:
        return int(mark[1:], 16) if mark.startswith("#") and len(mark) == 7 else int(mark)
    except ValueError:
        raise UsageError(f"label {mark!r}: expected a class number, or a colour as #RRGGBB") from None
