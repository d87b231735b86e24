"""What every raster source offers: files, mosaics, resampled sources, reflectance, guides, arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import BandError
from terrafine.raster.vertical import VerticalDatum

__all__ = ["RasterSource", "Readable", "SourceBase", "closed_on_error"]

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
_NOTHING: Mapping[str, str] = MappingProxyType({})


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
        """A window, inside the raster or beyond: float32 (y, x) and bool valid (y, x); 0 where not valid."""
        ...

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Metres on the ground along y and x for each row, inside the raster or beyond; float64 (2, rows)."""
        ...


@runtime_checkable
class RasterSource(Readable, Protocol):
    """An open raster of any kind. Picklable; a context manager that gives its file handles back."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files it reads, as messages name them."""
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
        """`Area` or `Point`: what a pixel stands for."""
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
        """A window of a guide on the fine grid: float32 (y, x) and bool valid (y, x); 0 where not valid."""
        ...

    def identity(self) -> dict[str, Any]:
        """What changes when the input changes; JSON-safe."""
        ...

    def close(self) -> None:
        """Give all file handles back; a later read opens them again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@contextlib.contextmanager
def closed_on_error(source: RasterSource) -> Iterator[None]:
    """What is done with a source before it is handed on: an error in the block closes it."""
    try:
        yield
    except BaseException:
        source.close()
        raise


class SourceBase:
    """The members that most sources share: no guides, nothing to state, closed at the end of a `with` block."""

    geobox: GeoBox
    shape: tuple[int, int]
    paths: tuple[str, ...]
    bands: Mapping[str, int]
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
        """Raises BandError: the source has no such guide."""
        raise BandError(
            f"{', '.join(self.paths[:1])}: has no guide {name!r}; it has {', '.join(self.guides) or 'none'}"
        )

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _described_as(self, source: RasterSource) -> None:
        """Take over what another source states of itself: files, bands, datum, tags and notes, but not its grid."""
        self.paths, self.bands, self.nodata = source.paths, source.bands, source.nodata
        self.vertical, self.surface, self.area_or_point = source.vertical, source.surface, source.area_or_point
        self.notes, self._tags, self._lineage = source.notes, dict(source.tags), dict(source.lineage)
