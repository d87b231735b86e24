"""An optical image as reflectance: measured values cell by cell, and which cells were not measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, EmptyError, SourceError
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read.images.cells import require_square_cells
from terrafine.raster.read.images.image_sample import sample
from terrafine.raster.read.images.quality import Census, QualityBand, fill_values, saturated_values
from terrafine.raster.read.images.sensors import SENSORS, Sensor
from terrafine.raster.read.source import Source

__all__ = ["ImageSource", "stated"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_HUGE = 1e30  # written by some programs as undeclared nodata
_RANGE = (-0.2, 3.0)
_FEW = 1e-3  # up to this share of cells outside that range are faults of the image, not a wrongly stated sensor
_COUNTED = 150_000_000  # larger images are sampled; a Sentinel-2 tile has fewer cells
_STRIP = 1 << 20  # cells read at a time
_BRIGHT, _GREY = 0.3, 0.25


class _Window(NamedTuple):
    """Raw numbers by band, cells measured in all bands, saturated ones by band, flagged ones, and undeclared nodata."""

    raw: dict[str, F32]
    valid: Mask
    saturated: dict[str, Mask]
    flagged: Mask
    fill: Mask


class ImageSource(SourceBase):
    """A source whose bands are reflectance: red, green, blue and others on one north-up grid.

    Fill, saturated numbers, undeclared nodata (±1e30, -9999, limits of integer types) and cells that a quality band
    flags are not valid; a cell is valid where all its bands are.

    Parameters
    ----------
    source
        The numbers as the file stores them.
    sensor
        How numbers become reflectance.
    allowed
        Sensors that messages name.
    quality
        Quality bands of the same file.
    named
        Whether the user stated the sensor; messages then do not ask for it.

    Attributes
    ----------
    unmeasured
        Tags that count the cells read as nodata, filled by `require_valid`.
    unread
        Number of bands of the first file that are not read.
    """

    def __init__(
        self,
        source: Source,
        sensor: Sensor,
        allowed: Sequence[str] = tuple(SENSORS),
        quality: Sequence[QualityBand] = (),
        named: bool = False,
    ) -> None:
        self._source, self.sensor, self._allowed = source, sensor, tuple(allowed)
        self._quality, self._tolerant, self._named = tuple(quality), False, named
        self.unmeasured: dict[str, str] = {}
        self._saturated, self._fill = saturated_values(source, sensor), fill_values(source, sensor, *_RANGE)
        self.geobox, self.shape, self.lazy = source.geobox, source.shape, source.lazy
        self._described_as(source)
        self.nodata, self.vertical, self.surface = None, None, None
        self.unread = source.header.count - len(self.bands)

    def close(self) -> None:
        """Close the file handles."""
        self._source.close()

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
        return self._source.pixel_size_m(rows)

    def identity(self) -> dict[str, Any]:
        """Return the identity of the source and how its numbers are read."""
        quality = {"quality": [band.kind for band in self._quality]} if self._quality else {}
        return {**self._source.identity(), "sensor": self.sensor.name, **quality}

    def read(self, band: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Read a window of reflectance.

        Parameters
        ----------
        band
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: reflectance, 0 to 1 in general; 0 where not valid. Validity: True where all bands were measured.

        Raises
        ------
        BandError
            If a value is outside -0.2 to 3.
        SourceError
            If the file cannot be read.
        """
        raw, valid = self._measured(rows, cols)[:2]
        if self._tolerant:
            for numbers in raw.values():
                valid &= _possible(self._reflectance(numbers))
        values = self._reflectance(raw[band])
        values[~valid] = 0.0
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if low < _RANGE[0] or high > _RANGE[1]:
            raise BandError(
                f"{self.paths[0]}: {band} read as {self.sensor.name} is reflectance from {low:.3g} to {high:.3g}; "
                f"expected -0.2 to 3. {self._advice(raw[band][valid])}"
            )
        return values, valid

    def _advice(self, numbers: F32) -> str:
        """Return what to do about numbers outside the range of reflectance."""
        if not self._named:
            return f"State which sensor it is: {stated(self._allowed)}"
        odd = numbers[~_possible(self._reflectance(numbers))]
        found, count = np.unique(odd, return_counts=True)
        most = float(found[count.argmax()])
        return (
            f"{odd.size:,} of {numbers.size:,} numbers are outside, most often {most:.10g}; if that means no data, "
            f"state it with nodata={most:.10g}"
        )

    def numbers(self, names: Sequence[str], rows: slice, cols: slice) -> NDArray[np.float64]:
        """Return the reflectance, without a range check, of the cells where all named bands were measured.

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
        raw, valid = self._measured(rows, cols, names)[:2]
        return np.stack(
            [raw[name][valid].astype(np.float64) * self.sensor.factor + self.sensor.offset for name in names]
        )

    def _reflectance(self, raw: F32) -> F32:
        return raw * np.float32(self.sensor.factor) + np.float32(self.sensor.offset)

    def _measured(self, rows: slice, cols: slice, names: Sequence[str] | None = None) -> _Window:
        """Read a window and find out which of its cells were measured."""
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        valid, fill = np.ones(shape, np.bool_), np.zeros(shape, np.bool_)
        raw: dict[str, F32] = {}
        saturated: dict[str, Mask] = {}
        for name in names or self.bands:
            raw[name], ok = self._source.read(name, rows, cols)
            valid &= ok & (np.abs(raw[name]) < _HUGE)
            if self.sensor.fill is not None:
                valid &= raw[name] != self.sensor.fill
            saturated[name] = ok & np.isin(raw[name], self._saturated[name])
            if self._fill[name]:
                fill |= ok & np.isin(raw[name], self._fill[name]) & ~saturated[name]
        flagged = np.zeros(shape, np.bool_)
        for band in self._quality:
            flagged |= band.unmeasured(rows, cols)
        flagged &= valid
        for mask in (*saturated.values(), flagged, fill):
            valid = valid & ~mask
        return _Window(raw, valid, saturated, flagged & ~fill, fill)

    def require_valid(self) -> None:
        """Count the cells that were not measured, note them, and require at least one that was.

        Up to a thousandth of the cells may be outside the range of reflectance: they become nodata. Of a lazy image
        only a sample is read; its cells are counted part by part (`require_possible`).

        Raises
        ------
        EmptyError
            If no cell was measured.
        """
        if self.lazy:
            sample(self)
            self._tolerant = True
            return
        census = self._census()
        self._tolerant = 0 < census.impossible <= _FEW * census.valid
        if not self._tolerant:
            census.impossible = 0
        self.notes = (*self.notes, *census.notes(self.paths[0]))
        self.unmeasured = census.tags
        if census.valid:
            return
        files = ", ".join(self.paths[:3])
        if census.saturated or census.flagged:
            raise EmptyError(
                f"{files}: no cell has red, green and blue: {census.saturated:,} of {census.cells:,} are saturated and "
                f"{census.flagged:,} flagged by the file's quality band, the others are nodata; expected at least one "
                "measured cell. Take another scene, or a product that is not saturated"
            )
        raise EmptyError(f"{files}: no cell has red, green and blue; expected at least one")

    def _census(self) -> Census:
        """Count cells by what was measured; sample very large images in strips until a valid cell is found."""
        height, width = self.shape
        step = max(1, _STRIP // max(1, width))
        tops = list(range(0, height, step))
        every = max(1, -(-height * width // _COUNTED))
        census = Census()
        for turn, top in enumerate([*tops[::every], *(t for i, t in enumerate(tops) if i % every)]):
            if turn == len(tops[::every]) and census.valid:
                break
            self._count(census, slice(top, min(top + step, height)), slice(0, width))
        census.share = census.cells / max(1, height * width)
        return census

    def _count(self, census: Census, rows: slice, cols: slice) -> None:
        """Count the cells of a window."""
        window = self._measured(rows, cols)
        possible = np.logical_and.reduce([_possible(self._reflectance(numbers)) for numbers in window.raw.values()])
        census.add(window.valid, window.saturated, window.flagged, window.valid & ~possible, window.fill)

    def require_possible(self, rows: slice, cols: slice) -> None:
        """Require of a part of a lazy image what `require_valid` requires of a whole one.

        Parameters
        ----------
        rows, cols
            First and one past the last row and column of the part.

        Raises
        ------
        BandError
            If more than a thousandth of its measured cells are outside the range of reflectance.
        """
        census = Census()
        self._count(census, rows, cols)
        if census.impossible > _FEW * census.valid:
            raise BandError(
                f"{self.paths[0]}: read as {self.sensor.name}, {census.impossible:,} of {census.valid:,} cells in rows "
                f"{rows.start} to {rows.stop} and columns {cols.start} to {cols.stop} are outside -0.2 to 3, the range "
                "of reflectance; expected at most a thousandth of each part of a lazy image. Mask them: array.where()"
            )

    @property
    def stored_bands(self) -> tuple[int, ...]:
        """Numbers of all bands that it reads, those of quality included."""
        sources = (self._source, *(band.source for band in self._quality))
        return tuple(sorted({number for source in sources for number in source.bands.values()}))

    def require_cells(self, known_m: float, low_m: float, high_m: float, who: str) -> None:
        """Check that cells are about square and of a size that a model can read.

        Parameters
        ----------
        known_m, low_m, high_m
            Cell size in metres that the model was trained on, and the smallest and largest that it reads.
        who
            Name of the model, for messages.

        Raises
        ------
        GridError
            If not; the message gives the gdalwarp command.
        """
        require_square_cells(self, known_m, low_m, high_m, who)

    def require_clear(self, max_bright: float, *, warn: bool = False) -> None:
        """Check that not too much of the image looks like cloud or snow.

        Parameters
        ----------
        max_bright
            Largest share of bright, colourless cells, 0 to 1.
        warn
            Add a note instead of raising an error.

        Raises
        ------
        SourceError
            If the share is larger.
        """
        share = self.bright_share()
        if share > max_bright:
            found = f"{self.paths[0]}: {100 * share:.0f} % of the image is as bright and colourless as cloud or snow"
            if not warn:
                raise SourceError(
                    f"{found}, which hide ground; expected at most {100 * max_bright:.0f} %. Take a clear scene, mask "
                    "clouds, or raise max_bright=SHARE"
                )
            self.notes = (*self.notes, f"{found}; bright ground looks the same, so it was read as stated")

    def bright_share(self) -> float:
        """Return the share of sampled cells that are as bright and colourless as cloud or snow, 0 to 1."""
        found = sample(self)
        mean = found.mean(axis=0)
        white = (found.max(axis=0) - found.min(axis=0)) < _GREY * mean
        return float(np.mean((mean > _BRIGHT) & white)) if mean.size else 0.0


def _possible(values: F32) -> Mask:
    """Return which values are inside the range of reflectance."""
    return np.asarray((values >= _RANGE[0]) & (values <= _RANGE[1]))


def stated(sensors: Sequence[str]) -> str:
    """Return the argument that states one of several sensors, for messages.

    Parameters
    ----------
    sensors
        Names of the sensors.

    Returns
    -------
    str
        Such as `sensor="sentinel2" | "landsat-l2"`.
    """
    return "sensor=" + " | ".join(f'"{name}"' for name in sensors)
