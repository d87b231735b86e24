"""Tiles of a raster in Web Mercator, for a map in a browser: masked values of one or more bands, and single values."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from terrafine.errors import BandError, GridError, SourceError
from terrafine.raster import gdal
from terrafine.raster.protocol import closed_on_error
from terrafine.raster.read.checks import integrity
from terrafine.raster.read.opened import open_quietly

__all__ = ["TILE", "WebTiles", "ground_metres"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

TILE = 256
"""Pixels along a side of a tile."""

_WORLD = 20037508.342789244  # half the width of the Web Mercator world, metres
_RADIUS = 6378137.0
_POLE = 85.05  # degrees: Web Mercator ends here
_MOST_CELLS = 64_000_000  # of the file's own resolution that one tile may read where there are no overviews
_SAMPLE = 512  # cells along a side of the small picture that statistics come from


@dataclass(slots=True)
class WebTiles:
    """A raster file that is read by tiles of the Web Mercator pyramid.

    Attributes
    ----------
    path
        The file.
    names
        Description of each band, or `band N`.
    smooth
        Whether values between cells are interpolated; class numbers are not.
    """

    path: str
    smooth: bool = True
    names: tuple[str, ...] = ()
    _file: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        try:
            with gdal.environment():
                self._file = open_quietly(self.path)
        except RasterioError as error:
            raise SourceError(f"{self.path}: not a raster that GDAL can open ({error})") from None
        if self._file.crs is None:
            self.close()
            raise GridError(f"{self.path}: has no CRS, so it has no place on a map; write a copy that states its CRS")
        with closed_on_error(self):
            integrity.check_blocks(self._file, self.path)
        said = [(d or "").strip() for d in self._file.descriptions]
        self.names = tuple(d or f"band {i + 1}" for i, d in enumerate(said))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees; the east is beyond 180 where the raster crosses that meridian."""
        west, south, east, north = transform_bounds(self._file.crs, "EPSG:4326", *self._file.bounds, densify_pts=21)
        return west, max(south, -_POLE), east if east > west else east + 360, min(north, _POLE)

    @property
    def deepest(self) -> int:
        """The zoom level at which a pixel of a tile is no larger than a cell."""
        west, south, east, north = self.bounds
        cells = max(self._file.width / (east - west), self._file.height / (north - south))
        return int(np.clip(math.ceil(math.log2(cells * 360 / TILE)), 0, 22))

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each band as the file states it, "" for none."""
        return tuple((u or "").strip() for u in self._file.units)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the file and of the namespace TERRAFINE."""
        return {**self._file.tags(), **self._file.tags(ns="TERRAFINE")}

    def number(self, name: str) -> int:
        """Return the number of a band by its description.

        Parameters
        ----------
        name
            The description.

        Returns
        -------
        int
            From 1.

        Raises
        ------
        BandError
            Where no band has it.
        """
        if name not in self.names:
            raise BandError(f"{self.path}: no band is called {name!r}; found {', '.join(self.names)}")
        return self.names.index(name) + 1

    def tile(self, zoom: int, column: int, row: int, bands: Sequence[int], margin: int = 0) -> tuple[F64, Mask]:
        """Read one tile.

        Parameters
        ----------
        zoom, column, row
            Address of the tile, row 0 in the north.
        bands
            Band numbers, from 1.
        margin
            Pixels around the tile that are read too.

        Returns
        -------
        tuple[ndarray, ndarray]
            Values (band, y, x) with scale and offset applied, 0 where not valid, and where all bands are valid (y, x).

        Raises
        ------
        SourceError
            Where the file is damaged.
        """
        side = TILE + 2 * margin
        pixel = 2 * _WORLD / (TILE * 2**zoom)
        left = -_WORLD + (column * TILE - margin) * pixel
        top = _WORLD - (row * TILE - margin) * pixel
        box = (left, top - side * pixel, left + side * pixel, top)
        with self._lock, gdal.environment():
            if self._file is None or self._too_many(zoom):
                return np.zeros((len(bands), side, side)), np.zeros((side, side), bool)
            with self._readable():
                return self._warped(box, side, bands)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what GDAL says of a damaged file into a SourceError."""
        try:
            yield
        except RasterioError as error:
            raise SourceError(f"{self.path}: a part of it cannot be read ({error}); copy the file again") from None

    def _too_many(self, zoom: int) -> bool:
        """Whether a tile would read more cells than allowed, because the file has no overviews."""
        if self._file.overviews(1):
            return False
        across = max(1.0, 2.0 ** (self.deepest - zoom)) * TILE
        return bool(min(across, self._file.width) * min(across, self._file.height) > _MOST_CELLS)

    def _warped(self, box: tuple[float, float, float, float], side: int, bands: Sequence[int]) -> tuple[F64, Mask]:
        step = 2 ** max(0, self.deepest - round(math.log2(2 * _WORLD / (box[2] - box[0]) * side / TILE)))
        full = side * min(step, 4096)  # at the file's own resolution; GDAL then takes the overview that fits
        how = Resampling.bilinear if self.smooth else Resampling.nearest
        shape = (len(bands), side, side)
        with WarpedVRT(
            self._file,
            crs="EPSG:3857",
            transform=from_bounds(*box, full, full),
            width=full,
            height=full,
            resampling=how,
        ) as warped:
            values = warped.read(list(bands), out_shape=shape, resampling=how).astype(np.float64)
            valid = (warped.read_masks(list(bands), out_shape=shape) > 0).all(axis=0)
            if self._file.nodata is None and not any(f.name == "alpha" for f in self._file.colorinterp):
                valid &= warped.dataset_mask(out_shape=shape[1:]) > 0
        return self._physical(values, bands, valid)

    def _physical(self, values: F64, bands: Sequence[int], valid: Mask) -> tuple[F64, Mask]:
        scales = np.array([self._file.scales[n - 1] for n in bands])[:, None, None]
        offsets = np.array([self._file.offsets[n - 1] for n in bands])[:, None, None]
        known = valid & np.isfinite(values).all(axis=0)
        return np.where(known, values * scales + offsets, 0.0), known

    def sample(self, bands: Sequence[int]) -> tuple[F64, Mask]:
        """Read a small picture of the whole raster from its overviews.

        Parameters
        ----------
        bands
            Band numbers, from 1.

        Returns
        -------
        tuple[ndarray, ndarray]
            As `tile`; the middle of the raster alone where it has no overviews and is large.
        """
        with self._lock, gdal.environment():
            height, width = self._file.height, self._file.width
            window = Window(0, 0, width, height)
            if not self._file.overviews(1) and height * width > _MOST_CELLS:
                side = min(height, width, 2048)
                window = Window((width - side) // 2, (height - side) // 2, side, side)
            shape = tuple(max(1, min(_SAMPLE, int(n))) for n in (window.height, window.width))
            with self._readable():
                values = self._file.read(list(bands), window=window, out_shape=(len(bands), *shape)).astype(np.float64)
                masks = self._file.read_masks(list(bands), window=window, out_shape=(len(bands), *shape))
        return self._physical(values, bands, (masks > 0).all(axis=0))

    def value(self, longitude: float, latitude: float, bands: Sequence[int]) -> list[float] | None:
        """Return the values of the cell at a place, None where there is no data.

        Parameters
        ----------
        longitude, latitude
            Degrees.
        bands
            Band numbers, from 1.

        Returns
        -------
        list of float or None
            One value for each band, scale and offset applied.
        """
        with self._lock, gdal.environment():
            if self._file is None:
                return None
            to_file = Transformer.from_crs("EPSG:4326", self._file.crs.to_wkt(), always_xy=True)
            x, y = to_file.transform(longitude, latitude)
            if not (math.isfinite(x) and math.isfinite(y)):
                return None
            column, row = ~self._file.transform * (x, y)
            if not (0 <= column < self._file.width and 0 <= row < self._file.height):
                return None
            window = Window(int(column), int(row), 1, 1)
            with self._readable():
                values = self._file.read(list(bands), window=window).astype(np.float64)
                valid = (self._file.read_masks(list(bands), window=window) > 0).all(axis=0)
        values, known = self._physical(values, bands, valid)
        return [float(v) for v in values[:, 0, 0]] if known[0, 0] else None


def ground_metres(zoom: int, row: int, margin: int = 0) -> F64:
    """Compute the ground size of the pixels of a tile's rows.

    Parameters
    ----------
    zoom, row
        Address of the tile.
    margin
        Pixels above and below it.

    Returns
    -------
    ndarray of float64, (y,)
        Metres along a side of a pixel: those of Web Mercator times the cosine of the latitude.
    """
    pixel = 2 * _WORLD / (TILE * 2**zoom)
    north = _WORLD - (row * TILE + np.arange(-margin, TILE + margin) + 0.5) * pixel
    latitude = 2 * np.arctan(np.exp(north / _RADIUS)) - math.pi / 2
    return np.asarray(pixel * np.cos(latitude))
