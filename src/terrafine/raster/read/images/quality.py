"""Cells of an optical product without a measurement: saturated numbers, and cells that a quality band flags.

Sentinel-2 writes 65535 where a detector was saturated; Landsat and others stop at the largest number of their type.
Programs write -9999 or a limit of an integer type where there is nothing, often without declaring it. In the scene
classification of Sentinel-2 L2A (SCL), 0 is no data and 1 is saturated or defective. In Landsat Collection 2, bit 0 of
QA_PIXEL is fill, and bit n - 1 of QA_RADSAT is saturation of band n.

References
----------
https://sentiwiki.copernicus.eu/web/s2-products
https://www.usgs.gov/landsat-missions/landsat-collection-2-quality-assessment-bands
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError
from terrafine.raster.read.images.sensors import Sensor
from terrafine.raster.read.source import Source

__all__ = ["Census", "QualityBand", "fill_values", "open_quality", "saturated_values"]

Mask = NDArray[np.bool_]
_SATURATED = 65535.0
_SHORT = {"int16": 32767.0, "uint16": 65535.0}
_FILLS = (-9999, -(1 << 15), -(1 << 31), (1 << 31) - 1, (1 << 32) - 1, -(1 << 63), (1 << 63) - 1, (1 << 64) - 1)
_SCL_CLASSES = 11
_OLI = {"blue": 2, "green": 3, "red": 4, "nir": 5}  # band numbers of Landsat 8 and 9
_KINDS = ("scl", "qa_pixel", "qa_radsat")


def saturated_values(source: Source, sensor: Sensor) -> dict[str, tuple[np.float32, ...]]:
    """Return what each band's `read` returns for a saturated number; nothing for reflectance that is stored as it is.

    Parameters
    ----------
    source
        The open image.
    sensor
        How its numbers become reflectance.

    Returns
    -------
    dict
        Band to values.
    """
    found = {}
    for name in source.bands:
        values: set[np.float32] = set()
        for dtype, scale, offset in source.storage(name):
            whole = np.dtype(dtype).kind in "iu"
            if whole or sensor.fill is not None:
                number = np.float64(_SHORT.get(dtype, _SATURATED)) * scale + offset
                values.add(np.float32(number))
        found[name] = tuple(values)
    return found


def fill_values(source: Source, sensor: Sensor, low: float, high: float) -> dict[str, tuple[np.float32, ...]]:
    """Return what each band's `read` returns for -9999 and for the limits of integer types.

    Parameters
    ----------
    source
        The open image.
    sensor
        How its numbers become reflectance.
    low, high
        Range of reflectance; a number that lies in it is a measurement.

    Returns
    -------
    dict
        Band to values.
    """
    found = {}
    for name in source.bands:
        values: set[np.float32] = set()
        for dtype, scale, offset in source.storage(name):
            for fill in _FILLS:
                number = np.float64(fill) * scale + offset
                stored = np.dtype(dtype).kind not in "iu" or np.iinfo(dtype).min <= fill <= np.iinfo(dtype).max
                if stored and not low <= number * sensor.factor + sensor.offset <= high:
                    values.add(np.float32(number))
        found[name] = tuple(values)
    return found


@dataclass(frozen=True)
class QualityBand:
    """A quality band of the image's own file.

    Attributes
    ----------
    kind
        `scl`, `qa_pixel` or `qa_radsat`.
    source
        The open band.
    bits
        Bits that mark a cell as not measured; not used for `scl`.
    """

    kind: str
    source: Source
    bits: int = 0

    def unmeasured(self, rows: slice, cols: slice) -> Mask:
        """Return where the band flags a cell as not measured.

        Parameters
        ----------
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        ndarray of bool, (y, x)
            False beyond the raster.

        Raises
        ------
        SourceError
            If the file cannot be read.
        """
        values, _ = self.source.read("class", rows, cols)
        if self.kind == "scl":
            return np.asarray(values <= 1)
        return np.asarray((values.astype(np.int64) & self.bits) != 0)


def open_quality(image: Source) -> tuple[list[QualityBand], list[str]]:
    """Open the quality bands that the first file describes by name.

    Parameters
    ----------
    image
        The image; its files are read through the same handles.

    Returns
    -------
    bands : list of QualityBand
        Those that can be used.
    notes : list of str
        Sentences about those that cannot.

    Raises
    ------
    SourceError, GridError
        As `open_source`.
    """
    first = image.paths[0]
    saturation = sum(1 << (_OLI[name] - 1) for name in image.bands if name in _OLI)
    bits = {"qa_pixel": 1, "qa_radsat": saturation}
    found, notes = [], []
    for kind in _KINDS:
        at = [i + 1 for i, name in enumerate(image.header.descriptions) if name == kind]
        if len(at) != 1:
            continue
        try:
            # Without a nodata value: 0 in QA_RADSAT means not saturated, whatever nodata value the file declares.
            source = image.with_bands(("class",), {"class": at[0]}, nodata=float("nan"), check_range=True)
        except BandError:
            notes.append(f"{first}: band {kind.upper()} is not in every file of the mosaic; it was not used.")
            continue
        band = QualityBand(kind, source, bits.get(kind, 0))
        if kind == "scl" and not _plausible(source):
            notes.append(f"{first}: band SCL holds values above {_SCL_CLASSES}, not scene classes; it was not used.")
            continue
        found.append(band)
    return found, notes


def _plausible(source: Source) -> bool:
    """Whether the middle of the band holds scene classes."""
    middle = tuple(slice(max(0, n // 2 - 256), min(n, n // 2 + 256)) for n in source.shape)
    values, _ = source.read("class", *middle)
    return float(values.max(initial=0.0)) <= _SCL_CLASSES


@dataclass
class Census:
    """Counts of the cells of an image by what was measured there.

    Attributes
    ----------
    cells, valid, saturated, flagged, impossible, fill
        Numbers of cells: all; measured in all bands; saturated in any band; flagged by a quality band; measured but
        outside the range of reflectance; with a nodata number that the file does not declare.
    share
        Share of the rows that were counted.
    bands
        Saturated cells by band.
    """

    cells: int = 0
    valid: int = 0
    saturated: int = 0
    flagged: int = 0
    impossible: int = 0
    fill: int = 0
    share: float = 1.0
    bands: Mapping[str, int] = field(default_factory=dict)

    def add(self, valid: Mask, saturated: Mapping[str, Mask], flagged: Mask, impossible: Mask, fill: Mask) -> None:
        """Count a window.

        Parameters
        ----------
        valid
            Cells measured in all bands, bool (y, x).
        saturated
            Saturated cells by band; the total counts each cell once.
        flagged
            Cells flagged by a quality band.
        impossible
            Measured cells outside the range of reflectance.
        fill
            Cells with a nodata number that the file does not declare.
        """
        any_band = np.logical_or.reduce(list(saturated.values()))
        self.cells += valid.size
        self.valid += int(valid.sum())
        self.saturated += int(any_band.sum())
        self.flagged += int((flagged & ~any_band).sum())
        self.impossible += int(impossible.sum())
        self.fill += int((fill & ~any_band).sum())
        self.bands = {name: self.bands.get(name, 0) + int(mask.sum()) for name, mask in saturated.items()}

    @property
    def tags(self) -> dict[str, str]:
        """Numbers of cells that were read as nodata, for the tags of an output; zero counts are left out."""
        found = {
            "SATURATED_CELLS": self.saturated,
            "FLAGGED_CELLS": self.flagged,
            "IMPOSSIBLE_CELLS": self.impossible,
            "FILL_CELLS": self.fill,
        }
        tags = {name: str(n) for name, n in found.items() if n}
        if tags and self.share != 1.0:
            tags["CELLS_COUNTED"] = f"{100 * self.share:.0f} % of the rows"
        if self.saturated:
            tags["SATURATED_BANDS"] = " ".join(f"{name}={n}" for name, n in self.bands.items() if n)
        return tags

    def notes(self, path: str) -> tuple[str, ...]:
        """Return sentences about the cells that were read as nodata.

        Parameters
        ----------
        path
            The file, for messages.

        Returns
        -------
        tuple of str
            One sentence for each kind of cell that occurs.
        """
        counted = "" if self.share == 1.0 else f" (counted in {100 * self.share:.0f} % of the rows)"
        listed = ", ".join(f"{name} {n:,}" for name, n in self.bands.items() if n)
        result = (
            (self.saturated, f"saturated ({listed})"),
            (self.flagged, "flagged as fill, saturated or defective by the file's quality band"),
            (self.fill, "-9999 or a limit of an integer type, which the file does not declare as nodata"),
            (self.impossible, "out of the range of reflectance, -0.2 to 3"),
        )
        return tuple(
            f"{path}: {n:,} of {self.cells:,} cells ({n / self.cells:.2g}) are {what}; they were read as nodata"
            f"{counted}."
            for n, what in result
            if n
        )
