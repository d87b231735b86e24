"""Several dates of one place as one source: the bands of each date, and where each date was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, GridError, UsageError
from terrafine.raster.bands import band_of_date, inputs_of_dates, measured_of_date
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read.images.image import ImageSource

__all__ = ["MOST_DATES", "DateStack"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

MOST_DATES = 24
"""Dates of one stack, at most: every one is read for every tile."""


class DateStack(SourceBase):
    """Images of several dates on one grid.

    A cell is valid where at least one date was measured. A date that was not measured there has the mean of the others,
    and 0 in its `measured_N`.

    Parameters
    ----------
    images
        Two or more images with the same bands; the stack closes them. Their order does not matter to a model that
        weighs dates equally.

    Raises
    ------
    UsageError
        For fewer than two images or too many.
    GridError
        For images on different grids.
    """

    def __init__(self, images: Sequence[ImageSource]) -> None:
        if not 2 <= len(images) <= MOST_DATES:
            raise UsageError(f"{len(images)} images; expected 2 to {MOST_DATES} dates of one place in a stack")
        first = images[0]
        for other in images[1:]:
            if other.geobox != first.geobox:
                raise GridError(
                    f"{other.paths[0]}: its grid is {_grid(other)}; expected that of {first.paths[0]}, {_grid(first)}. "
                    f"{_warp(first)}Give the parts of one scene as one mosaic, not as a stack of dates"
                )
        self.images = tuple(images)
        self.geobox, self.shape = first.geobox, first.shape
        self._described_as(first)
        self.nodata, self.vertical, self.surface = None, None, None
        self.paths = tuple(path for image in images for path in image.paths)
        self._names = tuple(first.bands)
        self.bands = {name: i for i, name in enumerate(inputs_of_dates(self._names, len(images)), 1)}
        dates = range(1, len(images) + 1)
        self._reflectances = {band_of_date(name, date): (name, date) for date in dates for name in self._names}
        self._measurements = {measured_of_date(date): date for date in dates}
        self.sensor = first.sensor
        self.notes = tuple(note for image in images for note in image.notes)
        self.unmeasured: dict[str, str] = {}

    def close(self) -> None:
        """Close all images."""
        for image in self.images:
            image.close()

    def require_valid(self) -> None:
        """Count the cells of each date that were not measured, note them, and require at least one that was.

        Raises
        ------
        EmptyError
            If no cell of a date was measured.
        """
        for image in self.images:
            image.require_valid()
        self.notes = tuple(note for image in self.images for note in image.notes)
        tags = [image.unmeasured for image in self.images]
        names = {name for known in tags for name in known}
        self.unmeasured = {name: "; ".join(known.get(name, "0") for known in tags) for name in sorted(names)}

    def require_cells(self, known_m: float, low_m: float, high_m: float, who: str) -> None:
        """Check the cells as `ImageSource.require_cells` does.

        Parameters
        ----------
        known_m, low_m, high_m, who
            As there.

        Raises
        ------
        GridError
            As there.
        """
        self.images[0].require_cells(known_m, low_m, high_m, who)

    def require_clear(self, max_bright: float, *, warn: bool = False) -> None:
        """Check each date as `ImageSource.require_clear` does.

        Parameters
        ----------
        max_bright, warn
            As there.

        Raises
        ------
        SourceError
            For a date that is brighter.
        """
        for image in self.images:
            image.require_clear(max_bright, warn=warn)
        self.notes = tuple(note for image in self.images for note in image.notes)

    def bright_share(self) -> float:
        """Return the largest share of a date that looks like cloud or snow, 0 to 1."""
        return max(image.bright_share() for image in self.images)

    def numbers(self, names: Sequence[str], rows: slice, cols: slice) -> NDArray[np.float64]:
        """Return the reflectance of measured cells of all dates, without a range check.

        Parameters
        ----------
        names
            Names of the bands of one date.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        ndarray of float64, (band, cell)
            Reflectance.
        """
        return np.concatenate([image.numbers(names, rows, cols) for image in self.images], axis=1)

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Return the ground size of the cells of each row.

        Parameters
        ----------
        rows
            First and one past the last row.

        Returns
        -------
        ndarray of float64, (2, rows)
            Metres along y and x.
        """
        return self.images[0].pixel_size_m(rows)

    def identity(self) -> dict[str, Any]:
        """Return the identity of the first date, the files of all, and the identity of each."""
        every = [image.identity() for image in self.images]
        files = [file for one in every for file in one["files"]]
        digest = hashlib.sha256("".join(str(one["sha256"]) for one in every).encode()).hexdigest()
        return {**every[0], "files": files, "sha256": digest, "dates": every}

    def read(self, band: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Read a window of a date's band, or of where a date was measured.

        Parameters
        ----------
        band
            A name of `band_of_date` or `measured_of_date`.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: reflectance, or 0 and 1; 0 where not valid. Validity: True where any date was measured.

        Raises
        ------
        BandError, SourceError
            As `ImageSource.read`.
        """
        if band in self._reflectances:
            return self._reflectance(*self._reflectances[band], rows, cols)
        if band in self._measurements:
            return self._measured(self._measurements[band], rows, cols)
        raise BandError(f"{self.paths[0]}: no band of the stack is called {band!r}; found {', '.join(self.bands)}")

    def _measured(self, date: int, rows: slice, cols: slice) -> tuple[F32, Mask]:
        masks = [image.read(self._names[0], rows, cols)[1] for image in self.images]
        anywhere = np.logical_or.reduce(masks)
        return masks[date - 1].astype(np.float32), anywhere

    def _reflectance(self, name: str, date: int, rows: slice, cols: slice) -> tuple[F32, Mask]:
        every = [image.read(name, rows, cols) for image in self.images]
        own, measured = every[date - 1]
        count = np.sum([mask for _, mask in every], axis=0)
        mean = np.sum([np.where(mask, values, 0) for values, mask in every], axis=0) / np.maximum(count, 1)
        return np.where(measured, own, mean).astype(np.float32), count > 0


def _grid(image: ImageSource) -> str:
    at, crs = image.geobox.affine, image.geobox.crs
    corner = f"{at.c:.10g}, {at.f:.10g}"
    return f"{image.shape[0]} × {image.shape[1]} cells of {abs(at.a):g} from {corner} in {_name(crs)}"


def _warp(image: ImageSource) -> str:
    """The command that brings another image onto a grid, if its CRS has a code."""
    name = _name(image.geobox.crs)
    if not name.startswith("EPSG:"):
        return ""
    edges = " ".join(f"{edge:.10g}" for edge in image.geobox.boundingbox)
    height, width = image.shape
    return f"Warp it: gdalwarp -r cubic -t_srs {name} -te {edges} -ts {width} {height} in.tif out.tif. "


def _name(crs: Any) -> str:
    code = None if crs is None else crs.to_epsg()
    return f"EPSG:{code}" if code else "a CRS without a code"
