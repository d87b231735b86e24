"""An open raster file: its header, and windows of stored numbers read through one handle."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from terrafine.errors import SourceError
from terrafine.raster import gdal
from terrafine.raster.protocol import Closing
from terrafine.raster.read.checks import integrity
from terrafine.raster.read.checks.vet import Opening, vet

__all__ = ["Header", "OpenRaster", "open_if_raster", "open_quietly", "open_raster", "read_header"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Header:
    """What a raster file states about itself and its bands.

    Attributes
    ----------
    descriptions
        Description of each band in lower case, "" where there is none.
    units, dtypes, colours
        Unit ("" without one), numpy type and colour interpretation of each band.
    crs
        The CRS as WKT, None where there is none.
    tags
        Tags of the file's default domain and of Terrafine's own.
    palette
        The colour table of the only band, (red, green, blue, alpha) by number; None where there is none.
    """

    descriptions: tuple[str, ...]
    units: tuple[str, ...]
    dtypes: tuple[str, ...]
    colours: tuple[str, ...]
    crs: str | None
    tags: Mapping[str, str]
    palette: Mapping[int, tuple[int, int, int, int]] | None

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)


class OpenRaster(Closing, os.PathLike[str]):
    """An open raster file that is accepted wherever its path is.

    Sources of several bands of the file share it. After `close`, the next read opens the file again. Pickled without
    its handle.

    Parameters
    ----------
    path
        Anything that GDAL opens.

    Raises
    ------
    SourceError
        If the file is missing, truncated or may not be read, or if GDAL cannot open it.

    Attributes
    ----------
    lazy
        Whether its numbers are computed when they are read, so that no check may read all of them.
    """

    lazy = False

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._handle: Any = None
        self._opening = vet(path)
        integrity.check_whole(path)
        try:
            with gdal.environment():
                self._handle = _open(self._opening)
                self.parts: tuple[str, ...] = tuple(self._handle.files)
                for part in self.parts:
                    if part != path:
                        integrity.check_whole(part)
                integrity.check_blocks(self._handle, path)
            self.header = _header(self._handle)
        except (RasterioError, UnicodeDecodeError) as error:  # rasterio decodes text of a header as UTF-8
            self.close()
            raise SourceError(
                f"{path}: not a raster that GDAL can open ({error}); expected for example a GeoTIFF, VRT or .hgt"
            ) from None
        except BaseException:
            self.close()
            raise

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def dataset(self) -> Any:
        """The rasterio dataset; opened again if it was closed."""
        if self._handle is None:
            with gdal.environment():  # takes milliseconds, so not around every read
                self._handle = _open(self._opening)
        return self._handle

    def read(self, index: int, window: Window, *, masked: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Read the stored numbers of a window.

        Parameters
        ----------
        index
            Number of the band, counted from 1.
        window
            The window, in the file's own row order.
        masked
            Whether to read the mask band too.

        Returns
        -------
        values, mask : ndarrays, (y, x)
            Values: as stored. Mask: 0 where there is no data; None unless `masked`.

        Raises
        ------
        RasterioError
            If the window cannot be read.
        """
        with self._lock:
            handle = self.dataset
            return handle.read(index, window=window), handle.read_masks(index, window=window) if masked else None

    def close(self) -> None:
        """Close the handle."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def open_raster(path: PathLike) -> OpenRaster:
    """Open a raster file, or return one that is open.

    Parameters
    ----------
    path
        Anything that GDAL opens, or an OpenRaster.

    Returns
    -------
    OpenRaster
        The open file.

    Raises
    ------
    SourceError
        If the file is missing, truncated or may not be read, or if GDAL cannot open it.
    """
    return path if isinstance(path, OpenRaster) else OpenRaster(os.fspath(path))


def open_if_raster(path: PathLike) -> OpenRaster | None:
    """Open a file if it is a raster with bands.

    Parameters
    ----------
    path
        Any file.

    Returns
    -------
    OpenRaster or None
        None if GDAL finds no raster or no band in the file.

    Raises
    ------
    SourceError
        If the file is a raster that is truncated or may not be read.
    """
    try:
        raster = open_raster(path)
    except SourceError:
        try:
            with gdal.environment():
                open_quietly(os.fspath(path)).close()
        except (RasterioError, UnicodeDecodeError):
            return None
        raise
    if raster.header.count:
        return raster
    raster.close()
    return None


def read_header(path: PathLike) -> Header:
    """Return the header of a file.

    Parameters
    ----------
    path
        A raster file, which is opened and closed, or an OpenRaster.

    Returns
    -------
    Header
        What the file states.

    Raises
    ------
    SourceError
        If the file is missing, truncated or may not be read, or if GDAL cannot open it.
    """
    if isinstance(path, OpenRaster):
        return path.header
    with open_raster(path) as raster:
        return raster.header


def open_quietly(path: str) -> Any:
    """Open a file with rasterio after the checks of `vet`, without a warning if it is not georeferenced.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    rasterio.DatasetReader
        The open dataset.

    Raises
    ------
    SourceError
        If it may not be read.
    RasterioError
        If GDAL cannot open it.
    """
    return _open(vet(path))


def _open(opening: Opening) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return opening.open()


def _header(handle: Any) -> Header:
    palette = None
    if handle.count == 1 and handle.colorinterp[0] == ColorInterp.palette:
        with contextlib.suppress(ValueError):  # a palette is announced, and none is there
            palette = dict(handle.colormap(1))
    return Header(
        descriptions=tuple((d or "").strip().lower() for d in handle.descriptions),
        units=tuple((u or "").strip() for u in handle.units),
        dtypes=tuple(map(str, handle.dtypes)),
        colours=tuple(c.name for c in handle.colorinterp),
        crs=handle.crs.to_wkt() if handle.crs else None,
        tags={**handle.tags(), **dict(handle.tags(ns="TERRAFINE"))},
        palette=palette,
    )
