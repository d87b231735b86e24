"""Windowed reads with nodata filled, so that no fill depends on the tiling of the raster."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.bands import BANDS
from terrafine.raster.protocol import RasterSource
from terrafine.raster.warp.resample import fill_voids

__all__ = ["Window", "read_guides", "read_window"]

_SLOPING = {name for name, band in BANDS.items() if band.unit == "m"}  # what continues its slope into nodata


@dataclass(frozen=True, slots=True)
class Window:
    """Bands of one window of the coarse grid, finite everywhere, with the mask of observed cells.

    Attributes
    ----------
    rows, cols
        The window in cells of the raster; may reach outside.
    bands
        Name -> float32 (y, x).
    valid
        Bool (y, x), True where every band is observed.
    pixel_size_m
        Metres along y and x by row, float64 (2, y).
    guides
        Name -> float32 (2, k·y, k·x): value, and 1 where observed, else both 0.
    """

    rows: slice
    cols: slice
    bands: dict[str, NDArray[np.float32]]
    valid: NDArray[np.bool_]
    pixel_size_m: NDArray[np.float64]
    guides: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def read_guides(
    source: RasterSource, names: tuple[str, ...], rows: slice, cols: slice, k: int
) -> dict[str, NDArray[np.float32]]:
    """Read the guides that the source has, over a window of coarse cells.

    Parameters
    ----------
    source
        The raster.
    names
        Names of the guides that the model can use.
    rows, cols
        The window in coarse cells.
    k
        Fine cells along a coarse cell.

    Returns
    -------
    dict[str, ndarray]
        Name -> float32 (2, k·y, k·x): value, and 1 where observed, else both 0.
    """
    fine = slice(rows.start * k, rows.stop * k), slice(cols.start * k, cols.stop * k)
    read = {name: source.read_guide(name, *fine) for name in names if name in source.guides}
    return {name: np.stack((np.where(seen, v, 0), seen)).astype(np.float32) for name, (v, seen) in read.items()}


def read_window(source: RasterSource, names: tuple[str, ...], rows: slice, cols: slice, margin: int) -> Window:
    """Read a window and fill its nodata from cells around it, so that equal cells get equal fills in any tiling.

    Heights continue their slope; other bands are mirrored, so that reflectance stays in its range beside bright ground.
    A window without nodata is read as it is. Otherwise a larger window is read and filled, and the result cropped:
    within a halo of an observed cell, the fill then depends on the same cells whatever the tile.

    Parameters
    ----------
    source
        The raster.
    names
        Bands to read.
    rows, cols
        The window in coarse cells.
    margin
        Cells around the window that a fill may depend on.

    Returns
    -------
    Window
        The window.
    """
    plain = {name: source.read(name, rows, cols) for name in names}
    sizes = source.pixel_size_m(rows)
    valid = _all([v for _, v in plain.values()])
    if valid.all() or not valid.any():
        empty = not valid.any()
        bands = {name: np.zeros_like(a) if empty else a for name, (a, _) in plain.items()}
        return Window(rows, cols, bands, valid, sizes)
    wide_rows, wide_cols = _grown(rows, margin), _grown(cols, margin)
    inside = np.s_[margin : margin + rows.stop - rows.start, margin : margin + cols.stop - cols.start]
    filled: dict[str, NDArray[np.float32]] = {}
    for name, (values, observed) in plain.items():
        if observed.all():
            filled[name] = values
        else:
            wide, known = source.read(name, wide_rows, wide_cols)
            filled[name] = _fill(wide, known, slope=name in _SLOPING)[inside]
    return Window(rows, cols, filled, valid, sizes)


def _fill(values: NDArray[np.float32], valid: NDArray[np.bool_], *, slope: bool) -> NDArray[np.float32]:
    if not valid.any():
        return np.zeros_like(values)
    return fill_voids(values, valid, slope=slope)


def _grown(span: slice, margin: int) -> slice:
    return slice(span.start - margin, span.stop + margin)


def _all(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    out = masks[0]
    for mask in masks[1:]:
        out = out & mask
    return out
