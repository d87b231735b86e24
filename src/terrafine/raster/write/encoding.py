"""How values are stored in a file: type, scale, nodata and colours; and the GeoTIFF profile that stores them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import OutputError
from terrafine.raster.bands import BANDS

__all__ = ["FLOAT", "Allowed", "Encoding", "allowed", "profile"]

_PREDICTOR = {"float32": 3, "int16": 2, "uint8": 1}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How values are stored: value = number · scale, whole numbers rounded.

    Attributes
    ----------
    dtype
        Type of the numbers: float32, or an integer.
    scale
        Value of one unit of the number.
    nodata
        The number of a cell without data; of integers the lowest or the highest of their type.
    palette
        Colours by number, or None.
    """

    dtype: str = "float32"
    scale: float = 1.0
    nodata: float = -9999.0
    palette: Mapping[int, tuple[int, int, int]] | None = None

    @property
    def stored_nodata(self) -> float:
        """The nodata value as the file states it."""
        return float(np.float32(self.nodata))

    @property
    def nan(self) -> bool:
        """Whether cells without data are NaN."""
        return math.isnan(self.nodata)

    @property
    def whole(self) -> bool:
        """Whether the numbers are integers."""
        return np.dtype(self.dtype).kind in "iu"

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and highest number that a value may be stored as."""
        if not self.whole:
            return -math.inf, math.inf
        low, high = np.iinfo(self.dtype).min, np.iinfo(self.dtype).max
        return low + (low == self.nodata), high - (high == self.nodata)

    def encode(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the numbers that store values, still as float32; NaN stays NaN.

        Parameters
        ----------
        values
            Values of any shape.

        Returns
        -------
        NDArray[np.float32]
            Numbers of the same shape, whole for integers.
        """
        return np.rint(values / np.float32(self.scale)) if self.whole else values

    def decoded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return values as they are read back of a file: rounded as they are stored; NaN stays NaN.

        Parameters
        ----------
        values
            Values of any shape.

        Returns
        -------
        NDArray[np.float32]
            Values of the same shape.
        """
        return self.encode(values) * np.float32(self.scale)


FLOAT = Encoding()


@dataclass(frozen=True, slots=True)
class Allowed:
    """The numbers that a band of a file may hold.

    Attributes
    ----------
    what, unit
        What they are, and their unit, for messages.
    low, high
        Lowest and highest number.
    """

    what: str
    unit: str
    low: float
    high: float

    def require(self, low: float, high: float, where: str) -> None:
        """Check the lowest and the highest number that were found.

        Parameters
        ----------
        low, high
            Lowest and highest number.
        where
            File and position, for the message.

        Raises
        ------
        OutputError
            If one is out of the range.
        """
        if self.low <= low <= high <= self.high:
            return
        unit = f" {self.unit}" if self.unit not in ("", "1") else ""
        raise OutputError(
            f"{where}{self.what} from {low:.6g} to {high:.6g}{unit}; expected {self.low:g} to {self.high:g}{unit}, "
            "which is what readers take. Check the values and the unit of every input",
            lasting=True,
        )


def allowed(encoding: Encoding, names: Sequence[str], units: Sequence[str]) -> list[Allowed]:
    """Return what each band may hold: as floats the valid range of the quantity, else what its type can store.

    Parameters
    ----------
    encoding
        How the values are stored.
    names, units
        Name and unit of each band. A name that `terrafine.raster.bands` does not list, or that has another unit there,
        limits nothing.

    Returns
    -------
    list[Allowed]
        One for each band.
    """
    ranges = []
    for name, unit in zip(names, units, strict=True):
        known = BANDS.get(name)
        if encoding.whole or known is None or known.unit != unit:
            ranges.append(Allowed(f"{encoding.dtype} numbers", "", *encoding.range))
        else:
            ranges.append(Allowed(name, unit, *known.valid))
    return ranges


def profile(encoding: Encoding, count: int, block: int, compress: str, threads: int) -> dict[str, Any]:
    """Return the creation options of one tiled level of a GeoTIFF.

    Parameters
    ----------
    encoding, count
        How its values are stored, and the number of bands.
    block
        Side of a tile in cells.
    compress
        `zstd`, `deflate`, `lzw` or `none`; the first two also with a level, as `zstd:9`.
    threads
        Threads that compress.

    Returns
    -------
    dict[str, Any]
        Arguments of `rasterio.open`.
    """
    method, _, level = compress.lower().partition(":")
    options: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": encoding.dtype,
        "count": count,
        "nodata": encoding.stored_nodata,
        "compress": method,
        "predictor": _PREDICTOR[encoding.dtype] if method != "none" else 1,
        "tiled": True,
        "blockxsize": block,
        "blockysize": block,
        "interleave": "pixel",
        "bigtiff": "YES",
        "num_threads": threads,
    }
    if method == "zstd":
        options["zstd_level"] = int(level or 1)
    if method == "deflate" and level:
        options["zlevel"] = int(level)
    return options
