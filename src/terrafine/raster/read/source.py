"""Open files as named bands on one north-up grid; reads are masked and windowed, never the whole raster."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS

from terrafine.errors import BandError, EmptyError, UsageError
from terrafine.raster import grid
from terrafine.raster.bands import band as band_of
from terrafine.raster.crs import horizontal
from terrafine.raster.protocol import SourceBase, closed_on_error
from terrafine.raster.read import identity, mosaic, value_range
from terrafine.raster.read.datum import datum_and_surface
from terrafine.raster.read.description import describe_source
from terrafine.raster.read.file import RasterFile, Stated, open_file
from terrafine.raster.read.opened import Header
from terrafine.raster.vertical import VerticalDatum

__all__ = ["Source", "open_source"]

PathLike = str | os.PathLike[str]
KEPT_OPEN = 16  # files of a mosaic; a larger one opens each file at its first read


class Source(SourceBase):
    """Named bands on one grid, from one file or a mosaic of files that share a grid; `open_source` makes one.

    Rows run north to south whatever the file's own order. Where files overlap, the first valid one counts. Pickled
    without handles; a worker opens the files again at its first read.

    Parameters
    ----------
    files, places
        The opened files, and the first row and column of each on the grid.
    geobox, crs
        The grid, and its CRS as a pyproj object.
    datum, surface
        Vertical datum, and `DSM` or `DTM`, where known.
    pixel_size
        Stated cell size in metres (y, x).
    check_range
        Whether a value outside the valid range of its band is an error.
    """

    def __init__(
        self,
        files: Sequence[RasterFile],
        places: Sequence[tuple[int, int]],
        geobox: GeoBox,
        crs: CRS | None,
        datum: VerticalDatum | None,
        surface: str | None,
        pixel_size: tuple[float, float] | None,
        check_range: bool,
    ) -> None:
        first = files[0]
        self._files = tuple(files)
        self._places, self._crs = tuple(places), crs
        self._stated = pixel_size
        self._check_range = check_range
        self.geobox, self.lazy = geobox, first.raster.lazy
        self.paths = tuple(f.path for f in files)
        self.shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        self.bands = {name: fact.index for name, fact in first.facts.items()}
        self.nodata = next(iter(first.facts.values())).nodata
        self.vertical = datum
        self.surface = surface
        self.area_or_point = first.area_or_point
        self._tags = first.tags

    def close(self) -> None:
        """Close all file handles; a later read opens the files again."""
        for file in self._files:
            file.close()

    @property
    def header(self) -> Header:
        """What the first file states about itself."""
        return self._files[0].raster.header

    def with_bands(
        self,
        want: Sequence[str],
        bands: Mapping[str, int] | None = None,
        *,
        nodata: float | None = None,
        check_range: bool | None = None,
    ) -> Source:
        """Return the same open files with other bands, read through the same handles.

        Closing either source closes the files.

        Parameters
        ----------
        want, bands
            Names of the bands, and band numbers by name.
        nodata, check_range
            As `open_source`; by default as this source has them.

        Returns
        -------
        Source
            The source with the other bands.

        Raises
        ------
        BandError, GridError
            As `open_source`.
        """
        for name in want:
            band_of(name)
        files: list[RasterFile] = []
        for file in self._files:
            files.append(file.with_bands(want, bands, nodata))
            if len(self._files) > KEPT_OPEN:
                file.close()
        checked = self._check_range if check_range is None else check_range
        return Source(files, self._places, self.geobox, self._crs, self.vertical, self.surface, self._stated, checked)

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window, inside the raster or reaching beyond it.

        Parameters
        ----------
        band
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: in the unit of the band, heights in metres, scale and offset applied; 0 where not valid. Validity:
            False outside the raster, at nodata, under the mask band and at NaN.

        Raises
        ------
        BandError
            If the band was not opened, or a value is outside its valid range or infinite.
        SourceError
            If the file cannot be read.
        UsageError
            If the window is negative.
        """
        if band not in self.bands:
            raise BandError(f"{self.paths[0]}: band {band!r} was not opened; opened are {', '.join(self.bands)}")
        top, bottom = int(rows.start), int(rows.stop)
        left, right = int(cols.start), int(cols.stop)
        if bottom < top or right < left:
            raise UsageError(f"a window runs forward; found rows {top}-{bottom}, columns {left}-{right}")
        shape = (bottom - top, right - left)
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        for file, (y0, x0) in zip(self._files, self._places, strict=True):
            r0, r1 = max(top, y0), min(bottom, y0 + file.shape[0])
            c0, c1 = max(left, x0), min(right, x0 + file.shape[1])
            if r0 >= r1 or c0 >= c1:
                continue
            part, ok = file.read(band, slice(r0 - y0, r1 - y0), slice(c0 - x0, c1 - x0))
            if self._check_range:
                value_range.check_range(file, band, part, ok)
            else:
                ok &= np.isfinite(part)
                part[~ok] = 0.0
            if ok.shape == shape and len(self._files) == 1:
                return part, ok
            here = np.s_[r0 - top : r1 - top, c0 - left : c1 - left]
            fresh = ok & ~valid[here]
            values[here][fresh] = part[fresh]
            valid[here] |= fresh
        return values, valid

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
        return grid.pixel_size_m(self.geobox, rows, self._stated, self._crs)

    @property
    def scaled(self) -> bool:
        """Whether a file states a scale or offset of its own, which is applied when reading."""
        return any(f.scale != 1.0 or f.offset != 0.0 for file in self._files for f in file.facts.values())

    def storage(self, band: str) -> list[tuple[str, float, float]]:
        """Return how each file stores a band: (type, scale, offset), where value = number · scale + offset.

        Parameters
        ----------
        band
            Name of the band.

        Returns
        -------
        list[tuple[str, float, float]]
            One entry for each distinct way.
        """
        facts = [file.facts[band] for file in self._files]
        return list(dict.fromkeys((f.dtype, f.scale, f.offset) for f in facts))

    def require_valid(self, band: str | None = None) -> None:
        """Require at least one valid cell of a band; stops at the first found.

        Parameters
        ----------
        band
            Name of the band; None for the first.

        Raises
        ------
        EmptyError
            If there is no valid cell.
        BandError, SourceError
            As `read`.
        """
        name = band or next(iter(self.bands))
        side = min(self.shape[1], 8 << 20)
        step = max(1, (8 << 20) // max(1, side))
        for top in range(0, self.shape[0], step):
            rows = slice(top, min(top + step, self.shape[0]))
            for left in range(0, self.shape[1], side):
                if self.read(name, rows, slice(left, min(left + side, self.shape[1])))[1].any():
                    return
        raise EmptyError(
            f"{', '.join(self.paths[:3])}: band {name!r} holds no valid cell (nodata {self.nodata}); "
            "expected at least one"
        )

    def identity(self) -> dict[str, Any]:
        """Return what identifies the input, to detect changes; JSON-safe.

        It holds the files with size, time and digest (of a lazy source none), the grid and the bands. `sha256` covers
        content and grid, not path or time; local files of 64 MB and more are sampled.
        """
        own = () if self.lazy else self._files
        files = identity.file_entries((p for f in own for p in (f.path, *f.raster.parts)), self)
        facts = {
            "shape": list(self.shape),
            "transform": [float(v) for v in tuple(self.geobox.affine)[:6]],
            "crs": None if self._crs is None else self._crs.to_wkt(),
            "bands": dict(self.bands),
            "nodata": None if self.nodata is None else repr(self.nodata),
            "unit": self._files[0].unit,
            "vertical": None if self.vertical is None else self.vertical.name,
            "pixel_size_m": None if self._stated is None else list(self._stated),
        }
        text = json.dumps([facts, [f.get("sha256") for f in files]], sort_keys=True)
        return {"files": files, **facts, "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def describe(self) -> dict[str, Any]:
        """Return what `terrafine info` shows of a raster; JSON-safe, reads only headers."""
        return describe_source(self, self._files[0], self._crs)


def open_source(
    paths: PathLike | Sequence[PathLike],
    *,
    bands: Mapping[str, int] | None = None,
    want: Sequence[str] = ("elevation",),
    vertical_datum: str | None = None,
    check_range: bool = True,
    assume_crs: str | None = None,
    pixel_size_m: float | tuple[float, float] | None = None,
    elevation_unit: str | None = None,
    nodata: float | None = None,
    unit_required: bool = True,
) -> Source:
    """Open anything that GDAL opens, or several files as a mosaic, as named bands on one north-up grid.

    Parameters
    ----------
    paths
        The file or files.
    bands
        Name to band number where descriptions do not identify the bands.
    want
        Names of the bands to read.
    vertical_datum
        Datum of the heights where the files do not state it.
    check_range
        Whether a value outside the valid range of its band is an error.
    assume_crs
        CRS that overrides the files' own.
    pixel_size_m
        Cell size in metres, one number or (y, x), for files without CRS.
    elevation_unit, nodata
        Unit of the heights and nodata value; they override what the files state.
    unit_required
        Whether heights of unstated unit are an error.

    Returns
    -------
    Source
        The open source; close it, or use it in a `with` block.

    Raises
    ------
    SourceError
        If a file is missing, truncated or not a raster.
    BandError
        If a band is absent or ambiguous.
    GridError
        If a grid or unit is unusable, or the files do not share a grid.
    DatumError
        If vertical datums differ or contradict `vertical_datum`.
    UsageError
        If no file is given, or the pixel size is not plausible.
    """
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not listed:
        raise UsageError("no input file was given; expected at least one")
    stated: tuple[float, float] | None = None
    if pixel_size_m is not None:
        pair = (pixel_size_m, pixel_size_m) if isinstance(pixel_size_m, (int, float)) else pixel_size_m
        stated = (float(pair[0]), float(pair[1]))
        if not all(grid.plausible_cell(s) for s in stated):
            raise UsageError(f"a pixel size is positive, {grid.CELLS_M}; found {pixel_size_m!r}")
    for name in want:
        band_of(name)
    options = Stated(assume_crs, elevation_unit, nodata, stated is not None, unit_required)
    files: list[RasterFile] = []
    with contextlib.ExitStack() as guards:
        for path in listed:
            file = open_file(path, want, bands, options)
            guards.enter_context(closed_on_error(file))
            files.append(file)
            if len(listed) > KEPT_OPEN:
                file.close()
        transform, shape, places = mosaic.lay_out(files)
        datum, surface = datum_and_surface(files, vertical_datum)
    crs = None if files[0].crs is None else horizontal(files[0].crs)
    geobox = GeoBox(shape, transform, None if crs is None else crs.to_wkt())
    return Source(files, places, geobox, crs, datum, surface, stated, check_range)
