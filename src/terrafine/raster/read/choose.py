"""Choose bands of a file by name or number, and describe how each stores its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from terrafine.errors import BandError
from terrafine.raster.bands import is_other_quantity
from terrafine.raster.read.checks import integrity
from terrafine.raster.read.opened import OpenRaster

__all__ = ["BandFacts", "choose_bands", "has_band", "physical_values"]

_LISTED = 8  # largest number of bands that a message names

_WIDE = ("int64", "uint64")
_HUGE = 1e30
_EPS = 2**-50  # of a 64-bit integer, by which drivers round it to a float
_SMALLEST, _LARGEST = 1e-12, 1e12  # of scales and offsets


@dataclass(frozen=True, slots=True)
class BandFacts:
    """How one band stores its values: value = number · scale + offset.

    Attributes
    ----------
    index
        Number of the band in the file, from 1.
    dtype
        Type of the numbers.
    nodata
        The number of a cell without data, or None.
    mask_band
        Whether a mask band decides which cells are valid.
    scale, offset
        Scale and offset that the file states.
    """

    index: int
    dtype: str
    nodata: float | None
    mask_band: bool
    scale: float
    offset: float


def choose_bands(
    handle: Any, name: str, want: Sequence[str], bands: Mapping[str, int] | None, nodata: float | None
) -> dict[str, BandFacts]:
    """Choose bands by number where the caller gives one, else by description.

    Parameters
    ----------
    handle
        The open rasterio dataset.
    name
        The file, for messages.
    want
        Names of the bands to choose.
    bands
        Name to band number.
    nodata
        Nodata value that overrides the file's own.

    Returns
    -------
    dict
        Name to facts, in the order of `want`.

    Raises
    ------
    BandError
        If a band is absent, ambiguous, complex or a palette image, or its scale or offset is not plausible.
    """
    index = _choose(handle, name, want, bands)
    return {band: _facts(handle, name, i, nodata, index.values()) for band, i in index.items()}


def has_band(raster: OpenRaster, band: str, bands: Mapping[str, int] | None = None) -> bool:
    """Return whether a file offers a band of that name.

    Parameters
    ----------
    raster
        The open file.
    band
        Name of the band.
    bands
        Name to band number where descriptions do not identify them.

    Returns
    -------
    bool
        True by number, by description or by colour, and for the only band of a file.
    """
    try:
        choose_bands(raster.dataset, raster.path, (band,), bands, None)
    except BandError:
        return False
    return True


def physical_values(
    raw: NDArray[Any], mask: NDArray[np.uint8] | None, fact: BandFacts, factor: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the values of a window in physical units, and which of them are valid.

    Parameters
    ----------
    raw
        The numbers as the file stores them, (y, x).
    mask
        The mask band, 0 where there is no data, or None.
    fact
        How the band stores its values.
    factor
        Metres per unit of height; 1 for other bands.

    Returns
    -------
    values, valid : ndarrays of float32 and bool, (y, x)
        Values: 0 where not valid. Validity: False at nodata, under the mask band and at NaN.
    """
    valid = np.ones(raw.shape, np.bool_) if mask is None else mask > 0
    floating = raw.dtype.kind == "f"
    if floating:
        valid &= ~np.isnan(raw)
    if fact.nodata is not None and not np.isnan(fact.nodata):
        if floating and abs(fact.nodata) > _HUGE:
            valid &= np.abs(raw) < _HUGE
        elif floating:
            valid &= raw != raw.dtype.type(fact.nodata)
        elif raw.dtype.itemsize == 8:  # float64 holds neither limit of 64-bit integers but the next power of two
            valid &= np.abs(raw.astype(np.float64) - fact.nodata) > _EPS * abs(fact.nodata)
        elif np.iinfo(raw.dtype).min <= fact.nodata <= np.iinfo(raw.dtype).max:
            valid &= raw != fact.nodata
    if fact.scale * factor != 1.0 or fact.offset != 0.0:
        with np.errstate(over="ignore", invalid="ignore"):
            values = ((raw.astype(np.float64) * fact.scale + fact.offset) * factor).astype(np.float32)
    else:
        with np.errstate(over="ignore"):  # becomes infinite, which the caller refuses
            values = raw.astype(np.float32)
    if not valid.all():
        values[~valid] = 0.0
    return values, valid


def _facts(handle: Any, name: str, index: int, nodata: float | None, chosen: Iterable[int]) -> BandFacts:
    flags = handle.mask_flag_enums[index - 1]
    # A fourth band is often declared as alpha but holds near infrared: chosen by number, it is data and not a mask.
    alpha = MaskFlags.alpha in flags and not any(handle.colorinterp[i - 1] == ColorInterp.alpha for i in chosen)
    scale, offset = float(handle.scales[index - 1]), float(handle.offsets[index - 1])
    if not (_SMALLEST <= abs(scale) <= _LARGEST and abs(offset) <= _LARGEST):
        raise BandError(
            f"{name}: band {index} states the scale {scale:g} and the offset {offset:g}, which are not plausible; "
            "expected a scale such as 1 or 0.01. Correct them: gdal_edit -scale 1 -offset 0 FILE"
        )
    dtype = str(handle.dtypes[index - 1])
    exact = dtype in _WIDE and MaskFlags.nodata in flags and nodata is None  # only GDAL compares it exactly
    return BandFacts(
        index=index,
        dtype=dtype,
        nodata=nodata if nodata is not None else _nodata(handle, name, index, dtype),
        mask_band=(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags) or alpha or exact,
        scale=scale,
        offset=offset,
    )


def _nodata(handle: Any, name: str, index: int, dtype: str) -> float | None:
    """Return the nodata value; for 64-bit integers from the TIFF itself, because GDAL misreads it if it has a dot."""
    stated = handle.nodatavals[index - 1]
    if stated is None or dtype not in _WIDE or handle.driver != "GTiff" or not Path(name).is_file():
        return None if stated is None else float(stated)
    text = integrity.stated_nodata(name)
    try:
        return float(stated if text is None else text)
    except ValueError:
        return float(stated)


def _choose(handle: Any, name: str, want: Sequence[str], bands: Mapping[str, int] | None) -> dict[str, int]:
    said = [(d or "").strip() for d in handle.descriptions]
    chosen: dict[str, int] = {}
    for band in want:
        if bands and band in bands:
            i = int(bands[band])
            if not 1 <= i <= handle.count:
                raise BandError(f'{name}: bands={{"{band}": {i}}}, but the file has bands 1 to {handle.count}')
        else:
            i = _by_name(handle, name, band, said, alone=len(want) == 1)
        _suits(handle, name, band, i)
        chosen[band] = i
    return chosen


def _by_name(handle: Any, name: str, band: str, said: list[str], *, alone: bool) -> int:
    hits = [i + 1 for i, d in enumerate(said) if d.lower() == band]
    if not hits and band in {"red", "green", "blue"}:
        hits = [i + 1 for i, c in enumerate(handle.colorinterp) if c == ColorInterp[band]]
    if (
        not hits
        and (alone or band == "elevation")
        and (handle.count == 1 or _only_plus_alpha(handle))
        and not is_other_quantity(said[0], band)
    ):
        hits = [1]
    if len(hits) != 1:
        problem = "more than one band is" if hits else "no band is"
        raise BandError(
            f'{name}: {problem} called {band!r}; the file has {_listed(said)}. State which with bands={{"{band}": N}}'
        )
    return hits[0]


def _listed(said: Sequence[str]) -> str:
    """Return the bands of a file for a message, a few of them by name."""
    if not any(said):
        return f"{len(said)} band{'s' * (len(said) > 1)} without description"
    listed = ", ".join(f"{i}={d!r}" if d else f"{i} (no description)" for i, d in enumerate(said[:_LISTED], 1))
    return f"{listed} and {len(said) - _LISTED} more" if len(said) > _LISTED else listed


def _only_plus_alpha(handle: Any) -> bool:
    return bool(handle.count == 2 and handle.colorinterp[1] == ColorInterp.alpha)


def _suits(handle: Any, name: str, band: str, index: int) -> None:
    dtype = handle.dtypes[index - 1]
    if dtype.startswith("complex"):
        raise BandError(f"{name}: band {index} holds {dtype}; expected real numbers for {band!r}")
    if handle.colorinterp[index - 1] == ColorInterp.palette and band != "class":
        raise BandError(f"{name}: band {index} has a colour table; expected measured values for {band!r}")
