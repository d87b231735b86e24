"""The interface of every raster source: files, mosaics, resampled sources, reflectance, guides, arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import BandError
from terrafine.raster.vertical import VerticalDatum

__all__ = ["Measured", "RasterSource", "Readable", "SourceBase", "closed_on_error"]

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Closable(Protocol):
    """What holds files open."""

    def close(self) -> None:
        """Close them."""
        ...


@runtime_checkable
class Readable(Protocol):
    """Masked windows of named bands on one north-up grid: what statistics, pictures and comparisons need."""

    @property
    def geobox(self) -> GeoBox:
        """The grid."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (y, x)."""
        ...

    @property
    def bands(self) -> Mapping[str, int]:
        """Names of the bands that can be read, each with its number in the file."""
        ...

    def read(self, band: str, rows: slice, cols: slice) -> tuple[Values, Mask]:
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
            Values: in the unit of the band; 0 where not valid. Validity: False at nodata and outside the raster.
        """
        ...

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
        ...


@runtime_checkable
class RasterSource(Readable, Protocol):
    """An open raster of any kind: picklable, and a context manager that closes its file handles."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it reads, as messages name them."""
        ...

    @property
    def nodata(self) -> float | None:
        """The value that marks a cell without data in the first file, or None."""
        ...

    @property
    def vertical(self) -> VerticalDatum | None:
        """The datum of the heights, where known."""
        ...

    @property
    def surface(self) -> str | None:
        """`DSM` or `DTM`, where known."""
        ...

    @property
    def area_or_point(self) -> str:
        """`Area` or `Point`: what a pixel value refers to."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """The metadata of the first file, read-only."""
        ...

    @property
    def lineage(self) -> Mapping[str, str]:
        """Tags that outputs made from the source must carry, such as its guides and their shifts; read-only."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the input that the user should read."""
        ...

    @property
    def guides(self) -> tuple[str, ...]:
        """Names of its guides; empty for a source without guides."""
        ...

    def read_guide(self, name: str, rows: slice, cols: slice) -> tuple[Values, Mask]:
        """Read a window of a guide on the fine grid.

        Parameters
        ----------
        name
            Name of the guide.
        rows, cols
            First and one past the last row and column of the fine grid.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: 0 where not valid. Validity: False where the guide has no data.

        Raises
        ------
        BandError
            If the source has no such guide.
        """
        ...

    def identity(self) -> dict[str, Any]:
        """Return what changes when the input changes; JSON-safe."""
        ...

    def close(self) -> None:
        """Close all file handles; a later read opens the files again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Measured(Protocol):
    """What statistics of reflectance need: an image, or several dates of one."""

    shape: tuple[int, int]
    paths: tuple[str, ...]
    lazy: bool

    def numbers(self, names: Sequence[str], rows: slice, cols: slice) -> NDArray[np.float64]:
        """Return the reflectance of measured cells.

        Parameters
        ----------
        names
            Names of the bands.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        ndarray of float64, (band, cell)
            Reflectance.
        """
        ...


@contextlib.contextmanager
def closed_on_error(source: Closable) -> Iterator[None]:
    """Close a source or an open file if the block that prepares it fails.

    Parameters
    ----------
    source
        A source or file that is about to be handed on.

    Yields
    ------
    None
        Nothing; the block runs.
    """
    try:
        yield
    except BaseException:
        source.close()
        raise


class Closing:
    """What is closed at the end of a `with` block."""

    def close(self) -> None:
        """Close what is open; by default nothing is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SourceBase(Closing):
    """The members that most sources share: no guides, no notes, closed at the end of a `with` block.

    `lazy` states whether pixels are computed when they are read, so that no check may read all of them.
    """

    geobox: GeoBox
    shape: tuple[int, int]
    paths: tuple[str, ...]
    bands: Mapping[str, int]
    lazy: bool = False
    nodata: float | None = None
    vertical: VerticalDatum | None = None
    surface: str | None = None
    area_or_point: str = "Area"
    notes: tuple[str, ...] = ()
    guides: tuple[str, ...] = ()
    _tags: Mapping[str, str] = _NOTHING
    _lineage: Mapping[str, str] = _NOTHING

    @property
    def tags(self) -> Mapping[str, str]:
        """The metadata of the first file, read-only."""
        return MappingProxyType(dict(self._tags))

    @property
    def lineage(self) -> Mapping[str, str]:
        """Tags that outputs made from the source must carry, read-only."""
        return MappingProxyType(dict(self._lineage))

    def read_guide(self, name: str, rows: slice, cols: slice) -> tuple[Values, Mask]:
        """Raise BandError: this source has no guides.

        Parameters
        ----------
        name, rows, cols
            As in `RasterSource.read_guide`.

        Returns
        -------
        tuple[Values, Mask]
            Nothing; the error is always raised.

        Raises
        ------
        BandError
            Always.
        """
        raise BandError(
            f"{', '.join(self.paths[:1])}: has no guide {name!r}; it has {', '.join(self.guides) or 'none'}"
        )

    def _described_as(self, source: RasterSource) -> None:
        """Take over what another source states of itself: files, bands, datum, tags and notes, but not its grid."""
        self.paths, self.bands, self.nodata = source.paths, source.bands, source.nodata
        self.vertical, self.surface, self.area_or_point = source.vertical, source.surface, source.area_or_point
        self.notes, self._tags, self._lineage = source.notes, dict(source.tags), dict(source.lineage)
