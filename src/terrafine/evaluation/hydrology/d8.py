"""Steepest-descent drainage of a surface: filled, given flow directions, and passed to pyflwdir."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terrafine.errors import EmptyError, GridError, MissingExtraError, UsageError

__all__ = [
    "OUTLET",
    "NODATA",
    "Drainage",
    "Sinks",
    "cell_area_km2",
    "d8",
    "drainage",
    "fill",
    "hydrology_memory",
    "kernels",
]

Surface = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

OUTLET = np.uint8(0)
"""Code of a cell from which water leaves the extent."""
NODATA = np.uint8(247)
"""Code of a cell that was not observed."""

BYTES_PER_CELL = 124
"""Peak of comparing two float32 surfaces, arguments included; measured: 98 on 4032 x 3738 cells of real
terrain, 114 on 900 x 900 and 1800 x 1800 cells of a rough surface with many sinks."""


@dataclass(frozen=True)
class Sinks:
    """Depressions of a surface: 8-connected groups of cells that filling raised.

    Attributes
    ----------
    count, cells
        Number of depressions and of their cells.
    volume_m3, max_depth_m
        Volume, and largest depth.
    """

    count: int
    cells: int
    volume_m3: float
    max_depth_m: float


@dataclass(frozen=True)
class Drainage:
    """The drainage of one surface; arrays are (y, x).

    Attributes
    ----------
    filled
        Metres after filling.
    valid
        Cells that are not nodata.
    code
        ESRI directions as uint8 (1 E, 2 SE, 4 S … 128 NE), OUTLET or NODATA.
    area_km2
        Contributing area including the cell itself, 0 at nodata.
    pixel_size_m
        Metres along x and y of a cell in each row, (2, y).
    sinks
        Depressions that were filled.
    network
        The pyflwdir FlwdirRaster of `code`.
    """

    filled: Surface
    valid: Mask
    code: NDArray[np.uint8]
    area_km2: NDArray[np.float64]
    pixel_size_m: NDArray[np.float64]
    sinks: Sinks
    network: Any


def hydrology_memory(shape: tuple[int, int]) -> int:
    """Return the peak memory of comparing two float32 surfaces; flow routing is global.

    Parameters
    ----------
    shape
        Rows and columns (y, x).

    Returns
    -------
    int
        Bytes.
    """
    return int(shape[0]) * int(shape[1]) * BYTES_PER_CELL


def kernels() -> ModuleType:
    """Return the module of compiled loops.

    Raises
    ------
    MissingExtraError
        If numba is not installed.
    """
    return _optional("terrafine.evaluation.hydrology.kernels")


def _optional(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        if error.name is not None and error.name.startswith("terrafine"):
            raise
        raise MissingExtraError(
            f"hydrology needs {error.name}, which is not installed; "
            "install the extra with: pip install 'terrafine[evaluate]'"
        ) from error


def _checked(surface: Surface, valid: Mask | None) -> tuple[Surface, Mask]:
    if surface.ndim != 2 or min(surface.shape) < 3:
        raise GridError(f"flow routing takes a (y, x) surface of at least 3 x 3 cells, not {surface.shape}")
    if not np.issubdtype(surface.dtype, np.floating):
        raise UsageError(f"flow routing takes floating-point metres, not {surface.dtype}; convert the surface first")
    seen = np.isfinite(surface)
    if valid is not None:
        if valid.shape != surface.shape:
            raise GridError(f"the mask is {valid.shape} but the surface {surface.shape}; give one mask value a cell")
        seen &= valid.astype(bool)
    if not seen.any():
        raise EmptyError("the surface has no valid cell; there is no drainage to follow")
    return surface, seen


def _sizes(pixel_size_m: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    sizes = np.asarray(pixel_size_m, dtype=np.float64)
    if sizes.shape == (2,):
        sizes = np.repeat(sizes[:, None], rows, axis=1)
    if sizes.shape != (2, rows):
        raise GridError(f"pixel sizes are {sizes.shape}, expected (2, {rows}): metres in x and in y for each row")
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise GridError("pixel sizes must be positive metres; found a value that is not")
    return np.ascontiguousarray(sizes)


def cell_area_km2(pixel_size_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of a cell in each row.

    Parameters
    ----------
    pixel_size_m
        Metres per cell, (2, y).

    Returns
    -------
    ndarray of float64, (y,)
        Square kilometres.
    """
    return np.asarray(pixel_size_m[0] * pixel_size_m[1] * 1e-6, dtype=np.float64)


def _work(shape: tuple[int, ...]) -> NDArray[np.signedinteger[Any]]:
    size = shape[0] * shape[1]
    return np.empty(size, dtype=np.int32 if size < 2**31 - 1 else np.int64)


def fill(surface: Surface, valid: Mask | None = None) -> Surface:
    """Return a copy with every depression raised to its spill level.

    Water leaves over the border of the array and over the border of any nodata.

    Parameters
    ----------
    surface
        Metres (y, x).
    valid
        Cells that are not nodata; None for all finite cells.

    Returns
    -------
    ndarray, (y, x)
        Metres, unchanged at nodata.

    Raises
    ------
    EmptyError
        If no cell is valid.
    GridError, UsageError
        If shape or type does not fit.
    MissingExtraError
        If numba is not installed.

    References
    ----------
    Priority-flood: Barnes et al. 2014, https://doi.org/10.1016/j.cageo.2013.04.024
    """
    surface, seen = _checked(surface, valid)
    filled = np.array(surface, order="C")
    kernels().fill(filled, seen, _work(surface.shape))
    return filled


def d8(filled: Surface, valid: Mask | None, pixel_size_m: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the steepest of eight directions down from each cell of a filled surface.

    Ties go to the first of E, SE, S, SW, W, NW, N, NE. Flats are drained away from higher and toward lower ground. A
    cell on the border of the extent or of nodata with no direction down is OUTLET.

    Parameters
    ----------
    filled
        Metres (y, x).
    valid
        Cells that are not nodata; None for all finite cells.
    pixel_size_m
        Metres along x and y of a cell, (2,) or for each row (2, y).

    Returns
    -------
    ndarray of uint8, (y, x)
        ESRI codes, OUTLET or NODATA.

    Raises
    ------
    EmptyError, GridError, UsageError, MissingExtraError
        As `fill`.

    References
    ----------
    O'Callaghan & Mark 1984, https://doi.org/10.1016/S0734-189X(84)80011-0
    Flats: Barnes et al. 2014, https://doi.org/10.1016/j.cageo.2013.01.009
    """
    surface, seen = _checked(filled, valid)
    sizes = _sizes(pixel_size_m, surface.shape[0])
    code = np.empty(surface.shape, dtype=np.uint8)
    loops = kernels()
    loops.steepest(np.ascontiguousarray(surface), seen, sizes[0], sizes[1], code)
    loops.resolve_flats(np.ascontiguousarray(surface), code, _work(surface.shape))
    return code


def _sinks(raised: Mask, depth: Surface, cell_m2: NDArray[np.float64]) -> Sinks:
    _, count = ndimage.label(raised, structure=np.ones((3, 3), dtype=bool))
    by_row = depth.sum(axis=1, dtype=np.float64)
    return Sinks(
        count=int(count),
        cells=int(raised.sum()),
        volume_m3=float((by_row * cell_m2).sum()),
        max_depth_m=float(depth.max(initial=0.0)),
    )


def drainage(surface: Surface, valid: Mask | None, pixel_size_m: NDArray[np.float64]) -> Drainage:
    """Fill a surface, find flow directions and accumulate the contributing area.

    Directions are from `d8` and are passed to `pyflwdir.from_array`.

    Parameters
    ----------
    surface
        Metres (y, x).
    valid
        Cells that are not nodata; None for all finite cells.
    pixel_size_m
        Metres along x and y of a cell, (2,) or for each row (2, y).

    Returns
    -------
    Drainage
        The drainage.

    Raises
    ------
    EmptyError, GridError, UsageError, MissingExtraError
        As `fill`.
    """
    surface, seen = _checked(surface, valid)
    sizes = _sizes(pixel_size_m, surface.shape[0])
    filled = fill(surface, seen)
    depth = np.where(seen, filled - surface, 0).astype(surface.dtype)
    sinks = _sinks(depth > 0, depth, cell_area_km2(sizes) * 1e6)
    del depth
    code = d8(filled, seen, sizes)
    order = _work(surface.shape)
    size = kernels().upstream_order(code, order)
    network = _optional("pyflwdir").from_array(
        code, ftype="d8", check_ftype=False, idxs_seq=order[:size], nnodes=int(size), cache=False
    )
    own = np.where(seen, cell_area_km2(sizes)[:, None], 0.0)
    area = np.asarray(network.accuflux(own, nodata=-1.0), dtype=np.float64).reshape(surface.shape)
    return Drainage(
        filled=filled, valid=seen, code=code, area_km2=area, pixel_size_m=sizes, sinks=sinks, network=network
    )
