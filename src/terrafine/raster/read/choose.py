"""Which bands of a file are meant, and how each stores its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.enums import ColorInterp, MaskFlags

from terrafine.errors import BandError
from terrafine.raster.bands import BANDS
from terrafine.raster.read import integrity

__all__ = ["BandFacts", "choose_bands"]

_LISTED = 8  # bands that a message names

_WIDE = ("int64", "uint64")
_SMALLEST, _LARGEST = 1e-12, 1e12  # of scales and offsets


@dataclass(frozen=True, slots=True)
class BandFacts:
    """How one band stores its values: value = number · scale + offset."""

    index: int
    dtype: str
    nodata: float | None
    mask_band: bool
    scale: float
    offset: float


def choose_bands(
    handle: Any, name: str, want: Sequence[str], bands: Mapping[str, int] | None, nodata: float | None
) -> dict[str, BandFacts]:
    """The bands wanted, by number where `bands` says so, else by description; raises BandError."""
    index = _choose(handle, name, want, bands)
    return {band: _facts(handle, name, i, nodata, index.values()) for band, i in index.items()}


def _facts(handle: Any, name: str, index: int, nodata: float | None, chosen: Iterable[int]) -> BandFacts:
    flags = handle.mask_flag_enums[index - 1]
    # A fourth band is often written as alpha and holds near infrared: asked for by number, it measures and masks not.
    alpha = MaskFlags.alpha in flags and not any(handle.colorinterp[i - 1] == ColorInterp.alpha for i in chosen)
    scale, offset = float(handle.scales[index - 1]), float(handle.offsets[index - 1])
    if not (_SMALLEST <= abs(scale) <= _LARGEST and abs(offset) <= _LARGEST):
        raise BandError(
            f"{name}: band {index} states the scale {scale:g} and the offset {offset:g}, with which no value can be "
            "meant; expected a scale such as 1 or 0.01. Correct them: gdal_edit -scale 1 -offset 0 FILE"
        )
    dtype = str(handle.dtypes[index - 1])
    exact = dtype in _WIDE and MaskFlags.nodata in flags and nodata is None  # no float holds its nodata, GDAL does
    return BandFacts(
        index=index,
        dtype=dtype,
        nodata=nodata if nodata is not None else _nodata(handle, name, index, dtype),
        mask_band=(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags) or alpha or exact,
        scale=scale,
        offset=offset,
    )


def _nodata(handle: Any, name: str, index: int, dtype: str) -> float | None:
    """The band's nodata value; of 64-bit integers as the TIFF has it, which GDAL reads wrongly where it has a dot."""
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
        and said[0].lower() not in BANDS
    ):
        hits = [1]
    if len(hits) != 1:
        listed = ", ".join(f"{i + 1}={d!r}" if d else f"{i + 1} (no description)" for i, d in enumerate(said[:_LISTED]))
        listed += f" and {len(said) - _LISTED} more" if len(said) > _LISTED else ""
        problem = "more than one band is" if hits else "no band is"
        raise BandError(
            f'{name}: {problem} called {band!r}; the file offers {listed}. Say which with bands={{"{band}": N}}'
        )
    return hits[0]


def _only_plus_alpha(handle: Any) -> bool:
    return bool(handle.count == 2 and handle.colorinterp[1] == ColorInterp.alpha)


def _suits(handle: Any, name: str, band: str, index: int) -> None:
    dtype = handle.dtypes[index - 1]
    if dtype.startswith("complex"):
        raise BandError(f"{name}: band {index} holds {dtype}; expected real numbers for {band!r}")
    if handle.colorinterp[index - 1] == ColorInterp.palette and band != "class":
        raise BandError(f"{name}: band {index} is a picture with a colour table; expected measured values for {band!r}")
